"""The carriers' market: everything between the gateway's request and the person's handset, and back.

Calls are synchronous, as the provider's door sees them; what takes time comes back by callback, or is a SimPy
event. The way of a message after the provider's queue is in journey.py.
"""

from array import array
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import simpy

from simulator.model.blocking import BlockList, BlockScope
from simulator.model.carriers import (
    CARRIERS,
    VOIP,
    CampaignQueue,
    CampaignRegistration,
    CarrierParameters,
    DailyCap,
    Percentiles,
)
from simulator.model.draws import Draws
from simulator.model.faults import Faults
from simulator.model.filtering import Filtering, FilteringParameters
from simulator.model.handsets import HandsetParameters, Handsets
from simulator.model.inventory import Inventory, InventoryParameters, Number, is_area_code
from simulator.model.journey import Journey
from simulator.model.ledger import STATUSES, Ledger, inbound_sid_of, number_of, sid_of
from simulator.model.look_ups import LOOK_UP_LUCK
from simulator.model.messages import (
    DEAD,
    LANDLINE,
    MarketRefusal,
    MessageRecord,
    Passage,
    Population,
    Receiver,
    Submission,
    is_us_number,
)
from simulator.model.segments import segments_of
from simulator.model.webhooks import InboundEvent, StatusEvent, WebhookParameters, Webhooks

__all__ = [
    "InboundEvent",
    "Market",
    "MarketParameters",
    "MarketRefusal",
    "MessageRecord",
    "Number",
    "StatusEvent",
    "Submission",
]

_LONGEST_BODY = 1600
_LONGEST_VALIDITY_S = 36_000.0


class MarketParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of every part of the market."""

    carriers: CarrierParameters = CarrierParameters()
    handsets: HandsetParameters = HandsetParameters()
    filtering: FilteringParameters = FilteringParameters()
    inventory: InventoryParameters = InventoryParameters()
    webhooks: WebhookParameters = WebhookParameters()
    block_scope: BlockScope = BlockScope.PAIR


class _Campaign(msgspec.Struct):
    registration: CampaignRegistration
    queue: CampaignQueue[Passage]


class Market:
    """The API provider and the carriers of one world. `start_at` is the world's start in Unix seconds."""

    def __init__(
        self,
        env: simpy.Environment,
        parameters: MarketParameters,
        *,
        start_at: float,
        population: Population,
        draws: Draws,
        ledger: Ledger,
        faults: Faults,
        people: Receiver | None = None,
    ) -> None:
        self.ledger = ledger
        self.filtering = Filtering(parameters.filtering)
        luck = draws.stream("market/provisioning")
        self.inventory = Inventory(parameters.inventory, lambda phone: population.index_of(phone) >= 0, luck)
        self.webhooks = Webhooks(env, parameters.webhooks, draws, ledger, faults)
        self.blocks = BlockList(parameters.block_scope)
        self.stray_inbound = 0  # texts to numbers that are not ours
        self._env = env
        self._parameters = parameters
        self._start_at = start_at
        self._faults = faults
        self._journey = Journey(
            env,
            parameters.carriers,
            draws=draws,
            ledger=ledger,
            faults=faults,
            filtering=self.filtering,
            handsets=Handsets(parameters.handsets, draws),
            inventory=self.inventory,
            webhooks=self.webhooks,
        )
        self._journey.people = people
        self._campaigns: dict[int, _Campaign] = {}
        self._caps: dict[str, DailyCap] = {}
        self._purchases = 0
        self._know_population(population)
        self._journey_luck = draws.stream("market/journey")
        self._inbound_luck = draws.stream("market/inbound")
        self._lookup_luck = draws.stream(LOOK_UP_LUCK)
        carriers = parameters.carriers
        self._inbound_s = Percentiles((0.5, carriers.inbound_median_s), (0.99, carriers.inbound_p99_s))

    def _know_population(self, population: Population) -> None:
        # bytes and array give plain ints, several times as fast as numpy scalars
        self._index_of = population.index_of
        self._carrier_of = population.carrier.tobytes()
        self._line_of = population.line.tobytes()
        self._texts = array("H", bytes(2 * len(population)))
        self._texts_to_strangers: dict[int, int] = {}
        self._texts_from = array("I", bytes(4 * len(population)))
        self._texts_from_strangers: dict[int, int] = {}
        self._opaque: dict[int, bytes] = {}

    # ------------------------------------------------------------ what the gateway hears

    @property
    def people(self) -> Receiver | None:
        """Who is told of texts that light up a handset."""
        return self._journey.people

    @people.setter
    def people(self, people: Receiver | None) -> None:
        self._journey.people = people

    @property
    def on_status(self) -> Callable[[StatusEvent], object]:
        """Called when a status webhook arrives; a ConnectionError is retried, then the webhook is lost."""
        return self.webhooks.on_status

    @on_status.setter
    def on_status(self, handler: Callable[[StatusEvent], object]) -> None:
        self.webhooks.on_status = handler

    @property
    def on_inbound(self) -> Callable[[InboundEvent], object]:
        """Called when an inbound text's webhook arrives; ConnectionError as for on_status."""
        return self.webhooks.on_inbound

    @on_inbound.setter
    def on_inbound(self, handler: Callable[[InboundEvent], object]) -> None:
        self.webhooks.on_inbound = handler

    # ------------------------------------------------------------ registration and numbers

    def register(self, campaign: int, registration: CampaignRegistration) -> None:
        """Register a campaign, or change its limits."""
        self.filtering.register(campaign, registration.max_numbers)
        self._set_cap(campaign, registration)
        self._journey.waive_tmobile_fee(campaign, waived=registration.tmobile_fee_waived)
        known = self._campaigns.get(campaign)
        if known is not None:
            known.registration = registration
            known.queue.limit(registration)
            return
        queue: CampaignQueue[Passage] = CampaignQueue(
            self._env,
            registration,
            self._parameters.carriers,
            depart=self._journey.depart,
            expire=self._journey.expire,
            slow_factor=self._faults.slow_factor if self._faults.any_brownout else None,
            in_queue=self.ledger.in_queue,
        )
        self._campaigns[campaign] = _Campaign(registration, queue)

    def _set_cap(self, campaign: int, registration: CampaignRegistration) -> None:
        limit = registration.tmobile_daily_segments
        if limit is None:
            self._journey.caps.pop(campaign, None)
            return
        brand = registration.brand or f"campaign {campaign}"
        cap = self._caps.setdefault(brand, DailyCap(limit, self._start_at))
        cap.segments_per_day = limit
        self._journey.caps[campaign] = cap

    def own(self, phone: int, campaign: int) -> Number:
        """Bring a number along that the campaign already has, ready to send."""
        self._count_number(campaign, 1)
        return self.inventory.own(phone, campaign, self._env.now)

    def buy(self, area_code: str, campaign: int) -> simpy.Event:
        """Buy a number in an area code ("" for any); the event's value is the Number.

        Fails with MarketRefusal 21421, 21422 or 21452, or ConnectionRefusedError in an outage.
        """
        bought = self._env.event()
        bought.defused = True  # a failure is an answer here, even when nobody waits for it
        order = (bought, area_code, campaign, self._purchases)
        self._purchases += 1
        self._env.timeout(self._parameters.inventory.purchase_lag_s, order).callbacks.append(self._sell)
        return bought

    def _sell(self, event: Any) -> None:
        bought, area_code, campaign, nth = event.value
        now = self._env.now
        if self._faults.refuses(now):
            bought.fail(ConnectionRefusedError("the provider is down"))
            return
        code = 21421 if area_code and not is_area_code(area_code) else self._faults.purchase_fails(nth)
        number = None
        if not code:
            number = self.inventory.take(area_code, campaign, now)
            code = 0 if number else 21452
        self.ledger.buy(now, number.phone if number else 0, campaign, code)
        if number is None:
            bought.fail(MarketRefusal(code))
            return
        self.inventory.introduce(number.phone, now)
        self._count_number(campaign, 1)
        bought.succeed(number)

    def release(self, number: Number) -> None:
        """Give a number back; texts to it are dropped from now on."""
        holding = self.inventory.give_back(number.phone)
        if holding is not None:
            self._count_number(holding.campaign, -1)
            self.ledger.releases.append(self._env.now, number.phone)

    def _count_number(self, campaign: int, change: int) -> None:
        known = self._campaigns.get(campaign)
        if known is not None:
            known.queue.numbers += change

    # ------------------------------------------------------------ outbound

    def submit(self, submission: Submission) -> str:
        """Take one message and return its sid. Raises MarketRefusal, or ConnectionRefusedError in an outage."""
        now = self._env.now
        self._reach(now)
        campaign = self._campaigns.get(submission.campaign)
        code = self._refusal(submission, campaign, now)
        if code:
            self.ledger.refuse(now, submission.to, submission.sender, submission.campaign, code)
            raise MarketRefusal(code)
        passage = self._enter(submission, now)
        code = self._unsendable(submission, campaign, now)
        if code or campaign is None:
            self._journey.fail_soon(passage, code)
        else:
            campaign.queue.push(passage)
        return passage.sid

    def _reach(self, now: float) -> None:
        if self._faults.parameters.outages and self._faults.refuses(now):
            raise ConnectionRefusedError("the provider is down")

    def _refusal(self, submission: Submission, campaign: _Campaign | None, now: float) -> int:
        """The code with which the provider refuses a create call at once; 0 when it takes it."""
        if not is_us_number(submission.to):
            return 21211 if str(submission.to)[0] == "1" else 21408  # abroad, where nothing is allowed
        holding = self.inventory.holding(submission.sender)
        if holding is None or self._faults.ban_code(holding.nth, now) == 21606:
            return 21606
        if not submission.pictures and (not submission.body or submission.body.isspace()):
            return 21602
        if len(submission.body) > _LONGEST_BODY:
            return 21617
        if not 1 <= submission.validity_s <= _LONGEST_VALIDITY_S:
            return 21624
        if self.blocks.blocks(submission.to, submission.sender, submission.campaign):
            return 21610
        return 21611 if campaign is not None and self._full(campaign) else 0

    def _full(self, campaign: _Campaign) -> bool:
        most = self._parameters.carriers.queue_s * campaign.registration.total_per_s
        return campaign.queue.waiting_segments >= most

    def _unsendable(self, submission: Submission, campaign: _Campaign | None, now: float) -> int:
        """The code with which a message that was taken fails at the provider; 0 when it may go."""
        holding = self.inventory.holding(submission.sender)
        if campaign is None or holding is None or holding.campaign != submission.campaign:
            return 30034
        if not campaign.registration.registered:
            return 30034
        if now < holding.ready_at:
            return 30035
        return 30033 if self.filtering.suspended(submission.campaign, now) else 0

    def _enter(self, submission: Submission, now: float) -> Passage:
        to = submission.to
        index = self._index_of(to)
        if index >= 0:
            nth = self._texts[index]
            self._texts[index] = nth + 1
            carrier, line = self._carrier_of[index], self._line_of[index]
        else:  # nobody's number
            nth = self._texts_to_strangers.get(to, 0)
            self._texts_to_strangers[to] = nth + 1
            carrier, line = to % VOIP, DEAD
        n = self.ledger.submit(submission, now, carrier)
        if isinstance(submission.reference, bytes):
            self._opaque[n] = submission.reference
        return Passage(
            n,
            nth,
            sid_of(n),
            submission,
            index,
            carrier,
            line,
            submission.segments,
            now + submission.validity_s,
            self._journey_luck.word(to, nth),
            is_mms=submission.pictures > 0,
        )

    # ------------------------------------------------------------ inbound

    def text_from_person(self, phone: int, to: int, body: str, pictures: tuple[str, ...] = ()) -> None:
        """A person sends a text to one of our numbers, with pictures of these media types."""
        nth = self._nth_from(phone)
        delay_s = self._inbound_s.at_bits(self._inbound_luck.word(phone, nth))
        self._env.timeout(delay_s, (phone, to, body, pictures, nth)).callbacks.append(self._take_inbound)

    def _nth_from(self, phone: int) -> int:
        """How many texts a person has sent before this one, which is counted."""
        index = self._index_of(phone)
        if index >= 0:
            nth = self._texts_from[index]
            self._texts_from[index] = nth + 1
        else:
            nth = self._texts_from_strangers.get(phone, 0)
            self._texts_from_strangers[phone] = nth + 1
        return nth

    def _take_inbound(self, event: Any) -> None:
        phone, to, body, pictures, nth = event.value
        now, holding = self._env.now, self.inventory.holding(to)
        if holding is None:
            self.stray_inbound += 1
            return
        index, segments = self._index_of(phone), segments_of(body)
        n = self.ledger.receive(
            now,
            phone,
            to,
            campaign=holding.campaign,
            carrier=self._carrier_of[index] if index >= 0 else VOIP,
            text=body,
            segments=segments,
            pictures=pictures,
        )
        if self.blocks.hear(phone, to, holding.campaign, body, now):
            self.ledger.opt_outs += 1
            self.filtering.opt_out(holding.campaign, to, now)
        text = InboundEvent(inbound_sid_of(n), phone, to, body, now, segments, pictures)
        self.webhooks.inbound(n, text, nth)

    def complaint(self, phone: int, number: int) -> None:
        """A person reports one of our numbers as junk."""
        holding = self.inventory.holding(number)
        if holding is not None:
            self.filtering.complaint(holding.campaign, number, self._env.now)

    # ------------------------------------------------------------ questions

    def lookup(self, phone: int) -> tuple[str, str]:
        """(line type, carrier) as a lookup service says it, for its price."""
        self.ledger.look_up()
        return self.line_of(phone)

    def line_of(self, phone: int) -> tuple[str, str]:
        """The same as it was said before, for who has kept it; a small share is wrong."""
        index = self._index_of(phone)
        if index < 0 or self._line_of[index] == DEAD:
            return "unknown", ""
        carrier = CARRIERS[self._carrier_of[index]]
        wrong = self._lookup_luck(phone) < self._parameters.inventory.lookup_error_share
        if (self._line_of[index] == LANDLINE) != wrong:
            return "landline", carrier
        return ("nonFixedVoip" if carrier == "voip" else "mobile"), carrier

    def fetch(self, sid: str) -> MessageRecord | None:
        """One message by its sid; None when the provider does not know it."""
        self._reach(self._env.now)
        n = number_of(sid)
        return self._record(n) if n is not None and n < len(self.ledger.submissions) else None

    def find(self, reference: tuple[int, int, int] | bytes) -> list[MessageRecord]:
        """The messages that carry a reference, oldest first: more than one means it was sent twice."""
        self._reach(self._env.now)
        if isinstance(reference, bytes):
            return [self._record(n) for n, known in self._opaque.items() if known == reference]
        campaign_id, message_id, attempt = reference
        found = self.ledger.submissions.where(message_id=message_id, campaign_id=campaign_id, attempt=attempt)
        return [self._record(n) for n in found]

    def messages_to(self, phone: int, since: float = 0.0) -> list[MessageRecord]:
        """The messages to a phone that were created at `since` or later, oldest first."""
        self._reach(self._env.now)
        records = [self._record(n) for n in self.ledger.submissions.where(to=phone)]
        return [record for record in records if record.created_at >= since]

    def inbound_since(self, since: float, number: int | None = None) -> list[InboundEvent]:
        """Inbound texts the provider has had since then, whether or not their webhook came."""
        self._reach(self._env.now)
        rows = self.ledger.inbound.columns()
        first = int(np.searchsorted(rows["at"], since))
        return [
            InboundEvent(
                inbound_sid_of(n),
                int(rows["person"][n]),
                int(rows["number"][n]),
                self.ledger.inbound_texts[n],
                float(rows["at"][n]),
                int(rows["segments"][n]),
                self.ledger.pictures.get(n, ()),
            )
            for n in range(first, len(rows))
            if number is None or rows["number"][n] == number
        ]

    def _record(self, n: int) -> MessageRecord:
        row = self.ledger.submissions.row(n)
        status, code = self.ledger.state(n)
        return MessageRecord(
            sid=sid_of(n),
            to=int(row["to"]),
            sender=int(row["sender"]),
            campaign=int(row["campaign"]),
            segments=int(row["segments"]),
            status=STATUSES[status],
            code=code,
            created_at=row["arrived_at"],
            reference=self._opaque.get(n)
            or (int(row["campaign_id"]), int(row["message_id"]), int(row["attempt"])),
        )
