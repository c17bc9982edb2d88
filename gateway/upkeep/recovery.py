"""Recovery: what a crash, a lost answer or a failed write left behind is settled by asking, never by sending again.

A text is `sending` or `unknown` while nobody knows whether the provider has it. When its lease is over and its request
can no longer be on the wire (`ask_at`), and nobody here has it in hand, the provider is asked: it has the text (then its
word counts), or it never had it (then nothing was sent, and the text queues again). "Never" is believed at once only of
a provider whose list is exact; of one whose list lags, when it is said twice, as far apart as it may lag.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import structlog

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.lifecycle import State
from gateway.metrics import Metrics
from gateway.pipeline import answers
from gateway.pipeline.delivery import Delivery
from gateway.pipeline.hand_over import HandOver
from gateway.pipeline.road import CampaignRoad
from gateway.providers.base import Found, OutboundText, Provider, ProviderError, StatusReport
from gateway.store import receipts
from gateway.store.database import Database
from gateway.store.receipts import Asked, Unsettled
from gateway.upkeep.periodic import repeatedly

_log = structlog.get_logger("gateway.recovery")
_AT_ONCE = 16  # questions: an outage leaves thousands of texts to ask about, and the bank needs its places
_A_ROUND = 500  # texts of one campaign: the others are next, half a minute later
_WRITTEN_WITHIN_S = 10.0
_LONE_LOOK_S = 600.0  # though nothing can be left: for what another process left, or a statement that outlived its caller
_REMEMBERED_S = 3600.0  # that the provider did not know a text; longer than any round of questions

Attempt = tuple[int, int]


class Recovery:
    """Asks twice a minute about what is left of the campaigns that this worker owns.

    A look at the books tells also from when the first text may be asked about, and whoever owns a campaign is the only
    one to claim its texts: nothing that is claimed after a look is due within `settled_s`. So no look is made before
    something can be due; when nothing is under way at all, there is one every ten minutes.

    `settled_s` is the length of a lease and of the longest time on the wire. An earlier owner of a campaign may have
    claimed texts until it lost the campaign, by a clock that differs from ours: nothing of a campaign is asked about
    sooner than `settled_s` after it became ours.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        provider: Provider,
        delivery: Delivery,
        hand_over: HandOver,
        roads: Mapping[int, CampaignRoad],
        *,
        settled_s: float,
        on_the_wire_s: float,
        ask_every_s: float = 30.0,
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._provider = provider
        self._delivery = delivery
        self._hand_over = hand_over
        self._roads = roads
        self._settled_s = settled_s
        self._on_the_wire_s = on_the_wire_s
        self._ask_every_s = ask_every_s
        self._not_found_at: dict[
            Attempt, float
        ] = {}  # when the provider first did not know it, by Clock.steady
        self._looked: list[
            tuple[CampaignKey, float]
        ] = []  # at these campaigns, and since when they were ours
        self._looked_at = -math.inf  # by Clock.steady
        self._nothing_before = -math.inf  # that was in the books then is due, by Clock.steady
        self._untold: Counter[Attempt] = Counter()  # how often it has said nothing of what is left

    async def run(self) -> None:
        await repeatedly(self.run_once, lambda _: self._ask_every_s, "settling what was left")

    async def run_once(self) -> None:
        """Settles what can be settled now. Raises DatabaseAway."""
        self._hand_over.end_what_hangs()
        self._forget_the_old()
        since = self._clock.steady() - self._settled_s
        ours = [
            (road.key, road.owned_since)
            for _, road in sorted(self._roads.items())
            if road.owned_since <= since
        ]
        if not ours or (ours == self._looked and self._clock.steady() < self._next_look_at()):
            return
        now = self._clock.now()
        left = await self._left([key for key, _ in ours], now)
        self._looked = ours
        self._untold = Counter({each: n for each in map(_attempt, left) if (n := self._untold[each])})
        if left:
            await self._ask_about(left, now)

    def _next_look_at(self) -> float:
        """By Clock.steady; before that nothing can be due of what was looked at."""
        has_claimed_since = self._hand_over.claimed_at >= self._looked_at
        longest_s = self._settled_s if has_claimed_since else _LONE_LOOK_S
        return min(self._nothing_before, self._looked_at + longest_s)

    async def _left(self, campaigns: Sequence[CampaignKey], now: float) -> list[Unsettled]:
        """A look at the books: what may be asked about now and is in nobody's hands here."""
        self._looked_at = self._clock.steady()
        times = await receipts.ask_times(self._database, campaigns)
        never_after = now + self._settled_s + 2 * self._ask_every_s
        self._nothing_before = math.inf if times is None else self._looked_at + times.first - now
        if times is None or now < times.first <= times.last <= never_after:
            return []
        self._nothing_before = self._looked_at
        return [
            each
            for each in await receipts.to_ask(self._database, campaigns, now, never_after, _A_ROUND)
            if not self._hand_over.knows(each.message_id, each.attempt)
        ]

    async def _ask_about(self, left: Sequence[Unsettled], now: float) -> None:
        asked = [
            Asked(each.organisation_id, each.campaign_id, each.message_id, each.attempt) for each in left
        ]
        before = await receipts.ask_later(self._database, asked, now + self._ask_every_s)
        were_sending = sum(state == State.SENDING for state in before.values())
        self._metrics.transition(State.SENDING, State.UNKNOWN, were_sending)
        _log.warning("asking about texts that nobody told of", texts=len(before), were_sending=were_sending)
        free = [each for each in left if each.message_id in before]
        for some in _at_once(sorted(free, key=lambda each: self._untold[_attempt(each)])):
            if not any(await asyncio.gather(*(self._settle(each) for each in some))):
                return  # the provider tells nothing now: the others are asked about next time

    async def _settle(self, left: Unsettled) -> bool:
        """Whether the provider said anything. Where it did not, the others are asked about first the next time."""
        self._untold[_attempt(left)] += 1
        try:
            async with asyncio.timeout(self._on_the_wire_s):
                found = await self._provider.find(
                    _text(left), since=left.slot_at - self._on_the_wire_s, others=left.others
                )
        except (ProviderError, TimeoutError) as error:
            why = str(error) or "no answer in time"
            _log.info("the provider can't tell", message_id=left.message_id, why=why)
            return False
        except Exception:  # noqa: BLE001 - a text that can't be asked about must not keep the others from it
            _log.exception("asking the provider met a defect", message_id=left.message_id)
            return False
        del self._untold[_attempt(left)]
        if found is not None:
            await _written(self._delivery.status(_report(left, found, self._clock.now())), left)
        elif self._is_never(left):
            await _written(self._delivery.answer(answers.not_sent(_text(left), self._clock.now())), left)
        return True

    def _is_never(self, left: Unsettled) -> bool:
        """Whether "it is not there" can be believed by now."""
        now = self._clock.steady()
        first_at = self._not_found_at.setdefault(_attempt(left), now)
        return now - first_at >= self._provider.find_lags_s

    def _forget_the_old(self) -> None:
        since = self._clock.steady() - _REMEMBERED_S
        self._not_found_at = {each: at for each, at in self._not_found_at.items() if at >= since}


async def _written(told: "asyncio.Future[None]", left: Unsettled) -> None:
    """What is not written in time (somebody holds the row) is written all the same, and keeps no other waiting."""
    done, _ = await asyncio.wait([told], timeout=_WRITTEN_WITHIN_S)
    if done and (error := told.exception()) is not None:
        _log.error("what the provider told could not be written", message_id=left.message_id, why=str(error))


def _attempt(left: Unsettled) -> Attempt:
    return left.message_id, left.attempt


def _text(left: Unsettled) -> OutboundText:
    return OutboundText(
        left.campaign_id,
        left.message_id,
        left.attempt,
        left.phone,
        left.number_phone,
        left.body,
        left.segments,
        0.0,
        left.media,
    )


def _report(left: Unsettled, found: Found, now: float) -> StatusReport:
    return StatusReport(
        left.campaign_id, left.message_id, left.attempt, found.status, found.code, now, found.provider_sid
    )


def _at_once(left: Sequence[Unsettled]) -> Iterator[list[Unsettled]]:
    """Some at a time, of one person one: two texts are told apart by what is known of the first."""
    by_person: dict[str, list[Unsettled]] = {}
    for each in left:
        by_person.setdefault(each.phone, []).append(each)
    for nth in range(max(map(len, by_person.values()), default=0)):
        people = [texts[nth] for texts in by_person.values() if nth < len(texts)]
        for first in range(0, len(people), _AT_ONCE):
            yield people[first : first + _AT_ONCE]
