"""The market as an API account sees it: services, keywords answered by the provider, faults started by hand."""

from collections.abc import Callable
from typing import Any, cast

import msgspec

from simulator.model.blocking import START_WORDS, STOP_WORDS, BlockList, BlockScope
from simulator.model.carriers import CARRIERS, CampaignRegistration, CarrierParameters
from simulator.model.draws import Draws
from simulator.model.faults import FaultParameters, Faults, NumberBan, Window
from simulator.model.inventory import Number, is_area_code, is_toll_free
from simulator.model.ledger import Ledger, Table
from simulator.model.market import Market
from simulator.model.messages import MarketRefusal, Population, Submission
from simulator.twin.filed_table import FiledColumn, FiledTable, FiledTexts
from simulator.twin.strangers import OpenPopulation

HELP_WORDS = frozenset({"HELP", "INFO"})
_NETWORK_WORDS = frozenset({"STOP", "START", "UNSTOP"})  # of a toll-free number
_LATER = {21611: 30001}  # with a service, a full queue has another code
_NEVER = Window(0.0, 1e-9)  # keeps the questions about windows asked, so that one can be opened at any time


class LiveFaults(Faults):
    """Faults that can be started and healed while the world lives."""

    def __init__(self, parameters: FaultParameters, draws: Draws, duration_s: float) -> None:
        self._draws = draws
        super().__init__(parameters, draws, duration_s)
        self.scenario = self.parameters
        self.change()

    @property
    def any_brownout(self) -> bool:
        return True

    def slow_factor(self, carrier: int, now: float) -> float:
        return super().slow_factor(carrier, now) if self.parameters.brownouts else 1.0

    def receipts_held_until(self, now: float) -> float:
        return super().receipts_held_until(now) if len(self.parameters.receipt_storms) > 1 else now

    def stop_wave_share(self, now: float) -> float:
        return super().stop_wave_share(now) if self.parameters.stop_waves else 0.0

    def change(self, **fields: Any) -> None:
        """Replace fields of the parameters, windows in seconds since the world's start."""
        storms = fields.pop("receipt_storms", self.parameters.receipt_storms)
        parameters = msgspec.structs.replace(self.parameters, **fields)
        if _NEVER not in storms:
            storms = (_NEVER, *storms)
        super().__init__(
            msgspec.structs.replace(parameters, receipt_storms=storms), self._draws, duration_s=1.0
        )

    def heal(self) -> None:
        """Back to what the scenario says."""
        self.parameters = self.scenario
        self.change()


class AccountLedger(Ledger):
    """The ledger, and when each message was sent and ended: 0 as long as it was not.

    `statuses` and `inbound_deliveries` are here the webhooks that set out; `acknowledged` and
    `inbound_acknowledged` those that a receiver has answered with 2xx.
    """

    def __init__(self, prices: CarrierParameters) -> None:
        super().__init__(prices)
        self.sent_at = FiledColumn[float]("d")
        self.ended_at = FiledColumn[float]("d")
        self.inbound_texts = FiledTexts()
        self._states = FiledColumn[int]("B")
        self._codes = FiledColumn[int]("H")
        self.acknowledged = Table("n:q at:d status:B code:H")
        self.inbound_acknowledged = Table("n:q at:d")
        for name, table in list(vars(self).items()):
            if isinstance(table, Table):
                setattr(self, name, FiledTable(table))
        self.on_receive: Callable[[int, float, int, int, str, int], object] = lambda *_: None

    def submit(self, submission: Submission, arrived_at: float, carrier: int) -> int:
        self.sent_at.append(0.0)
        self.ended_at.append(0.0)
        return super().submit(submission, arrived_at, carrier)

    def accept(self, n: int, departed_at: float, at: float) -> None:
        self.sent_at[n] = at
        super().accept(n, departed_at, at)

    def final(self, n: int, at: float, status: int, code: int = 0) -> None:
        self.ended_at[n] = at
        super().final(n, at, status, code)

    def receive(self, at: float, person: int, number: int, *, text: str, segments: int, **more: Any) -> int:
        n = super().receive(at, person, number, text=text, segments=segments, **more)
        self.on_receive(n, at, person, number, text, segments)
        return n


class KeywordBlocks(BlockList):
    """A plain number's STOP closes the pair, a service's every sender of it; `on_keyword` hears stop, start, help.

    A toll-free number's STOP closes the pair in the network itself: its answers are none of the provider's, and
    YES does not open it again (help.twilio.com, toll-free opt-out).
    """

    def __init__(self) -> None:
        super().__init__(BlockScope.PAIR)
        self.services: set[int] = set()
        self.on_keyword: Callable[[int, int, str], object] = lambda *_: None

    def hear(self, person: int, number: int, campaign: int, text: str, now: float) -> bool:
        word = text.strip().upper()
        blocked = self.blocks(person, number, campaign)
        toll_free = is_toll_free(number)
        if toll_free and word == "YES":
            return False
        newly = super().hear(person, self._scope(number, campaign), campaign, text, now)
        if toll_free and (word in _NETWORK_WORDS or blocked):
            return newly
        if word in STOP_WORDS and not blocked:
            self.on_keyword(person, number, "STOP")
        elif word in START_WORDS and blocked:
            self.on_keyword(person, number, "START")
        elif word in HELP_WORDS:
            self.on_keyword(person, number, "HELP")
        return newly

    def blocks(self, person: int, number: int, campaign: int) -> bool:
        return super().blocks(person, self._scope(number, campaign), campaign)

    def _scope(self, number: int, campaign: int) -> int:
        return -campaign if campaign in self.services and not is_toll_free(number) else number


class AccountMarket(Market):
    """A market for many accounts: every phone is somebody's, numbers move between campaigns."""

    def __init__(self, *arguments: Any, population: OpenPopulation, **named: Any) -> None:
        super().__init__(*arguments, population=population, **named)
        self.keywords = KeywordBlocks()
        self.blocks = self.keywords

    def _know_population(self, population: Population) -> None:
        super()._know_population(population)
        assert isinstance(population, OpenPopulation)
        self._index_of = population.admit
        self._carrier_of = cast(bytes, population.carriers)  # the growing column itself, only ever indexed
        self._line_of = cast(bytes, population.lines)
        self._texts = population.texts
        self._texts_from = population.texts_from

    def place(self, submission: Submission, *, in_service: bool, code: int = 0) -> int:
        """Take one message; its number in the ledger.

        Raises MarketRefusal for a sender's or recipient's fault, which in a service ends the message later; `code`
        is such a fault that the caller knows of already.
        """
        now = self._env.now
        campaign = self._campaigns.get(submission.campaign)
        if not code and self.blocks.blocks(submission.to, submission.sender, submission.campaign):
            code = 21610
        if not code and campaign is not None and self._full(campaign):
            code = 21611
        if code and not in_service:
            self.ledger.refuse(now, submission.to, submission.sender, submission.campaign, code)
            raise MarketRefusal(code)
        passage = self._enter(submission, now)
        code = _LATER.get(code, code) or self._unsendable(submission, campaign, now)
        if code or campaign is None:
            self._journey.fail_soon(passage, code)
        else:
            campaign.queue.push(passage)
        return passage.n

    def sell(self, phone: int, campaign: int) -> Number:
        """Buy one number that is on sale. Raises MarketRefusal 21422 when it is not, or not any more."""
        nth, self._purchases = self._purchases, self._purchases + 1
        refused = self._faults.purchase_fails(nth)
        number = None if refused else self.inventory.sell(phone, campaign, self._env.now)
        if number is None:
            self.ledger.buy(self._env.now, 0, campaign, 21422)
            raise MarketRefusal(21422)
        if not is_toll_free(phone):
            self.inventory.introduce(phone, self._env.now)
        self._count_number(campaign, 1)
        self.ledger.buy(self._env.now, phone, campaign)
        return number

    def next_on_sale(self, area_code: str) -> int:
        """The number a purchase in an area code ("" for any) brings. Raises MarketRefusal 21421 or 21452."""
        if area_code and not is_area_code(area_code):
            raise MarketRefusal(21421)
        for candidate in (area_code,) if area_code else self._parameters.inventory.anywhere:
            for phone in self.inventory.on_sale(candidate, 1):
                return phone
        raise MarketRefusal(21452)

    def move(self, phone: int, campaign: int, *, at_once: bool = False) -> None:
        """Put a number into another campaign; unless `at_once`, carriers have to learn of it, until then 30035."""
        holding = self.inventory.holding(phone)
        if holding is None or holding.campaign == campaign:
            return
        self._count_number(holding.campaign, -1)
        self._count_number(campaign, 1)
        holding.campaign = campaign
        holding.ready_at = self._env.now
        if not at_once:
            self.inventory.introduce(phone, self._env.now)

    def ban(self, phone: int, code: int) -> bool:
        """Ban a number from now on; False when nobody holds it."""
        holding = self.inventory.holding(phone)
        if holding is None or not isinstance(self._faults, LiveFaults):
            return False
        bans = (*self._faults.parameters.number_bans, NumberBan(self._env.now, holding.nth, code))
        self._faults.change(number_bans=bans)
        return True

    def is_banned(self, phone: int) -> bool:
        """Whether the provider itself refuses a number (21606)."""
        holding = self.inventory.holding(phone)
        return holding is not None and self._faults.ban_code(holding.nth, self._env.now) == 21606

    def rates(self, campaign: int) -> dict[str, float]:
        """Segments per second that each carrier takes from a campaign, and in all."""
        known = self._campaigns.get(campaign)
        if known is None:
            return {}
        registration: CampaignRegistration = known.registration
        other = self._parameters.carriers.other_per_number_per_s * max(1, known.queue.numbers)
        return {
            "total": registration.total_per_s,
            **{name: registration.carrier_per_s.get(name, other) for name in CARRIERS},
        }

    def cap(self, campaign: int) -> tuple[int, int] | None:
        """T-Mobile's (segments used today, cap) of the campaign's brand; None when it has no cap."""
        cap = self._journey.caps.get(campaign)
        return (cap.used, cap.segments_per_day) if cap is not None else None
