"""Delivery: the provider's word -> sent | delivered | undelivered | failed | queued again | unknown.

Answers to our own requests and status callbacks come the same way: in any order, twice, late. The words
about one attempt within a commit window are folded into its furthest state, and the store moves only along
the table. A failure after which another attempt may follow is decided with the message locked.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec
import structlog

from gateway.clock import Clock
from gateway.core.rules.errors import Reason, consequence
from gateway.core.rules.lifecycle import TERMINAL, State, fold, provider_word
from gateway.core.rules.retry import Again, Ended, after_failure
from gateway.core.sending.pacing import next_cap_reset
from gateway.metrics import Metrics
from gateway.pipeline.admission import LANE_RETRY
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.providers.base import StatusReport
from gateway.store import receipts
from gateway.store.database import Database
from gateway.store.group_commit import Bound, TooMuchWaits, WindowOptions
from gateway.store.receipts import InFlight, Moved, Requeue, Word
from gateway.store.windows import CampaignWindows

if TYPE_CHECKING:
    from gateway.pipeline.dispatch import Dispatch

_log = structlog.get_logger("gateway.delivery")
_FOREVER = float("inf")
_MOST_WAITING = 50_000  # words, of all campaigns; answers to our own requests are taken all the same


class News(msgspec.Struct, frozen=True, gc=False):
    """One word about one attempt. `ended` says how an attempt failed, None when it did not."""

    campaign_id: int
    message_id: int
    attempt: int
    state: State
    at: float
    code: int | None = None
    reason: str | None = None
    provider_sid: str | None = None
    ended: Ended | None = None
    is_answer: bool = False
    report: StatusReport | None = None  # the callback it came in


_RECEIPTS = (State.DELIVERED.value, State.UNDELIVERED.value)
_ENDED = {State.FAILED: Ended.FAILED, State.UNDELIVERED: Ended.UNDELIVERED}


class Requeued(msgspec.Struct, frozen=True, gc=False):
    """A failed attempt, from which number, and whether the next must come from another."""

    news: News
    number_id: int | None
    other_number: bool


class Delivery:
    """The station; `status` and `answer` are its doors."""

    def __init__(
        self,
        database: Database,
        campaigns: Campaigns,
        clock: Clock,
        metrics: Metrics,
        *,
        window_s: float,
        max_rows: int = 2000,
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._metrics = metrics
        self._listener: Dispatch | None = None
        self.ignored = 0
        bound = Bound(_MOST_WAITING, most_bytes=0)
        self.windows: CampaignWindows[int, News, None] = CampaignWindows(
            self._write, WindowOptions(window_s=window_s, max_items=max_rows, bound=bound)
        )

    def listen(self, listener: "Dispatch") -> None:
        self._listener = listener

    def status(self, report: StatusReport) -> "asyncio.Future[None]":
        """A status callback; the future is done when it is durable. An unknown word changes nothing.

        Raises TooMuchWaits: the provider has to bring it again, perhaps to a worker that can read the campaign's
        settings.
        """
        if report.campaign_id in self._campaigns.unreadable:
            raise TooMuchWaits(f"the settings of campaign {report.campaign_id} can't be read here")
        state = provider_word(report.status)
        if state is None or report.campaign_id not in self._campaigns:
            self._metrics.webhooks("status", "unknown")
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done
        return self.windows.put(
            report.campaign_id,
            News(
                report.campaign_id,
                report.message_id,
                report.attempt,
                state,
                report.at,
                report.code or None,
                None,
                report.provider_sid,
                _ENDED.get(state),
                report=report,
            ),
        )

    def close(self) -> list[StatusReport]:
        """Stops at once; returns the callbacks that were not acknowledged."""
        return [news.report for news in self.windows.close() if news.report is not None]

    def answer(self, news: News) -> "asyncio.Future[None]":
        """What became of our own request; it is never refused, since nobody would bring it again."""
        return self.windows.put(news.campaign_id, news, always=True)

    async def _write(self, campaign_id: int, items: list[News]) -> list[None]:
        await self._write_campaign(self._campaigns[campaign_id], items)
        return [None] * len(items)

    async def _write_campaign(self, campaign: Campaign, items: Sequence[News]) -> None:
        plain: list[Word] = []
        second_chances: list[News] = []
        for news in _by_attempt(items):
            last = _last_word(news)
            if _are_two_texts(news):
                self._sent_twice(last)
            if last.ended is not None and self._may_follow(campaign, last):
                second_chances.append(last)
            else:
                plain.append(_word(news, last))
        if plain:
            await self._tell(campaign, plain)
        if second_chances:
            await self._decide(campaign, second_chances)

    async def _tell(self, campaign: Campaign, words: Sequence[Word]) -> None:
        now = self._clock.now()
        moved = await receipts.tell(self._database, campaign.key, campaign.opt_out_scope, words, now)
        heard = {(each.message_id, each.attempt) for each in moved}
        late = [word for word in words if (word.message_id, word.attempt) not in heard]
        if late:
            await receipts.late(self._database, campaign.key, late, now)
        self._learn(campaign, moved)

    def _learn(self, campaign: Campaign, moved: Sequence[Moved]) -> None:
        self._count(campaign.campaign_id, moved)
        for each in moved:
            if each.is_another:
                self._sent_twice(each)
        if self._listener is not None:
            self._listener.moved(campaign.campaign_id, moved)

    def _count(self, campaign_id: int, moved: Sequence[Moved]) -> None:
        moves = Counter((each.before, each.after, each.carrier, each.code) for each in moved)
        for (before, after, carrier, code), n in moves.items():
            if before == after:
                self.ignored += n
                self._metrics.webhooks("status", "stale", n)
                continue
            state = State(after)
            self._metrics.transition(State(before), state, n)
            if state in TERMINAL:
                self._metrics.final(carrier, state, _reason(state, code), n)
                if code is not None and consequence(code).opts_out:
                    self._metrics.opt_outs("provider", n)
        now = self._clock.now()
        for each in moved:
            if each.after in _RECEIPTS and each.before != each.after and each.slot_at is not None:
                took_s = max(0.0, now - each.slot_at)
                self._metrics.delivery_duration(each.carrier, took_s, campaign_id, each.message_id, now)

    def _sent_twice(self, what: News | Moved) -> None:
        """The provider speaks of two texts of one attempt: somebody was texted twice."""
        self._metrics.violated("duplicate_send")
        _log.error("an attempt was sent twice", message_id=what.message_id, attempt=what.attempt)

    def _may_follow(self, campaign: Campaign, news: News) -> bool:
        """Whether the catalogue allows another attempt at all; most failures end here."""
        return isinstance(self._after(campaign, news, spent=1, not_after=_FOREVER), Again)

    def _after(
        self, campaign: Campaign, news: News, *, spent: int, not_after: float, free: int = 0
    ) -> object:
        assert news.ended is not None
        now = self._clock.now()
        return after_failure(
            news.code,
            news.ended,
            spent,
            now,
            not_after,
            random=random.Random(news.message_id * 64 + news.attempt).random(),
            policy=campaign.settings.retry,
            daily_reset_at=next_cap_reset(now),
            free=free,
        )

    async def _decide(self, campaign: Campaign, failures: Sequence[News]) -> None:
        """With the messages locked: another attempt, or the end."""
        now = self._clock.now()
        words, again, failed = [], [], []
        async with self._database.transaction() as connection:
            there = await receipts.lock(connection, campaign.key, [news.message_id for news in failures])
            for news in failures:
                message = there.get(news.message_id)
                if message is None or not _applies(news, message):
                    continue
                follows = self._after(
                    campaign,
                    news,
                    spent=message.spent,
                    not_after=message.not_after,
                    free=message.attempt - message.spent,
                )
                if isinstance(follows, Again) and message.has_words:
                    again.append(_requeue(news, follows))
                    failed.append(Requeued(news, message.number_id, follows.other_number))
                    self._metrics.transition(State(message.state), State.QUEUED)
                else:
                    words.append(_word([news], news))
            moved = await receipts.tell(connection, campaign.key, campaign.opt_out_scope, words, now)
            await receipts.requeue(connection, campaign.key, again, now)
        self._learn(campaign, moved)
        if failed and self._listener is not None:
            self._listener.requeued(campaign.campaign_id, failed)


def _applies(news: News, message: InFlight) -> bool:
    """Whether a failure still speaks of the message: of its attempt, and nothing has proved it wrong."""
    state = State(message.state)
    if message.attempt != news.attempt or state in TERMINAL or state is State.QUEUED:
        return False
    never_left = news.ended in (Ended.NOT_SENT, Ended.RECALLED)
    return not never_left or state in (State.SENDING, State.UNKNOWN)


def _reason(after: State, code: int | None) -> str | None:
    """The class of a final word for the metrics; None when it is good."""
    if code is not None:
        return consequence(code).reason
    return None if after is State.DELIVERED else Reason.UNKNOWN


def _by_attempt(items: Iterable[News]) -> list[list[News]]:
    """The words about each attempt, in the order in which they came."""
    attempts: dict[tuple[int, int], list[News]] = {}
    for news in items:
        attempts.setdefault((news.message_id, news.attempt), []).append(news)
    return list(attempts.values())


def _are_two_texts(news: Sequence[News]) -> bool:
    return len(news) > 1 and len({each.provider_sid for each in news if each.provider_sid}) > 1


def _last_word(news: Sequence[News]) -> News:
    """The word that decides: the first end, else the furthest state."""
    if len(news) == 1:
        return news[0]
    state, _ = fold(State.SENDING, [each.state for each in news])
    return next((each for each in news if each.state is state), news[0])


def _word(news: Sequence[News], last: News) -> Word:
    is_end = last.state in TERMINAL
    means = consequence(last.code) if last.code is not None and is_end else None
    memory_s = means.memory_s if means else 0.0
    return Word(
        message_id=last.message_id,
        attempt=last.attempt,
        state=last.state,
        code=last.code,
        reason=last.reason,
        provider_sid=next((each.provider_sid for each in news if each.provider_sid), None),
        accepted_at=next((each.at for each in news if each.is_answer and each.state is State.SENT), None),
        sent_at=next((each.at for each in news if not each.is_answer and each.state is State.SENT), None),
        final_at=last.at if is_end else None,
        memory_until=last.at + memory_s if 0 < memory_s < _FOREVER else None,
        permanent=memory_s == _FOREVER,
        opts_out=means.opts_out if means else False,
    )


def _requeue(news: News, follows: Again) -> Requeue:
    return Requeue(
        message_id=news.message_id,
        attempt=news.attempt,
        ended=State.UNDELIVERED if news.ended is Ended.UNDELIVERED else State.FAILED,
        code=news.code,
        provider_sid=news.provider_sid,
        lane=None if news.ended is Ended.RECALLED else LANE_RETRY,
        due_at=follows.at,
        spends_attempt=follows.spends_attempt,
    )
