"""Results of an action: its figures, the rows behind each, by script, by volunteer and by code (F118, F151 to F170).

What the journal tells is read from the counts that are kept, so that a running bank of any size is told at once; the
definitions are one table in core/bank/results.py.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Final

import msgspec

from gateway.core.bank.rates import Rate, rate
from gateway.core.bank.results import (
    DEFINITIONS,
    STORED,
    ErrorLine,
    FigureName,
    Lists,
    Rates,
    by_name,
    errors_of,
    rates_of,
    tallied,
    used,
)
from gateway.core.rules.errors import NotNow, TextbankError
from gateway.core.rules.months import FIRST_WITH_A_MONTH, ids_since
from gateway.core.rules.safeguards import GATEWAY
from gateway.p2p.cursors import bad_cursor, cursor_of, place_of
from gateway.pipeline.campaigns import Campaign
from gateway.store import counts, result_rows, results
from gateway.store.counts import Count, Counts
from gateway.store.database import Database
from gateway.store.result_rows import ListedRow, Narrowed
from gateway.store.results import Beside, LabelTotal
from gateway.store.troubles import DatabaseBusy

__all__ = ["ActionResults", "Figure", "LabelTotal", "ListedRow", "Narrowed", "NoResults", "Results"]

LOOK_AT: Final = 5_000
"""Rows that one statement looks at for a page."""
_LOOKS: Final = 8  # statements for a page: a figure of few rows among many may give a short page
_BY_MONTH: Final = frozenset({FigureName.RESPONSES, *STORED})
_CATCH_UP: Final = 5  # folds, of 200 events each, before the counts are read
_COUNTED_WITHIN_S: Final = 1.0  # a campaign for the first time, as a rule


class NoResults(TextbankError):
    """There is no such action."""

    def __init__(self, action_id: int) -> None:
        super().__init__(f"there is no action {action_id}")


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure, and what it means. `of`: how many it could be, where there is such a number; `people`: how many different
    ones; `lists`: what its rows are."""

    result: FigureName
    title: str
    number: int
    of: int | None = None
    people: int | None = None
    means: str
    lists: Lists


class ScriptResult(msgspec.Struct, frozen=True, kw_only=True):
    """A script: how often it was sent (F118), its segments, and how its first texts did."""

    script: str
    used: int
    segments: int
    rates: Rates


class VolunteerResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a volunteer did (F168); `failed` are texts in any of the three failure boxes."""

    user_id: int
    name: str
    initials: int
    follow_ups: int
    reports: int
    responses: int
    opt_outs: int
    failed: int


class VolunteerPage(msgspec.Struct, frozen=True):
    """Volunteers in the order of their ids."""

    volunteers: list[VolunteerResult]
    next: str | None


class RowPage(msgspec.Struct, frozen=True):
    """Rows behind a figure. A page may be short although others come: `next` says so."""

    rows: list[ListedRow]
    next: str | None


class ActionResults(msgspec.Struct, frozen=True, kw_only=True):
    """An action's results at a version; what happened in the last `behind_s` seconds may not be in them."""

    action_id: int
    title: str
    published_at: float | None
    version: str
    behind_s: float
    figures: list[Figure]
    reported: Rate
    rates: Rates
    scripts: list[ScriptResult]
    errors: list[ErrorLine]


_Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _RowPlace(msgspec.Struct, frozen=True, array_like=True):
    result: FigureName
    id: _Id


class Results:
    """What actions came to. `now` tells Unix seconds."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    async def of(self, campaign: Campaign, action_id: int) -> ActionResults:
        """Raises NoResults, NotNow while the campaign is counted for the first time."""
        beside = await self._beside(campaign, action_id)
        found = await self._counts(campaign, action_id, ("action", "script"))
        lines = [each for each in found.rows if each.per == "action"]
        scripts = [each for each in found.rows if each.per == "script"]
        numbers = tallied(lines)
        responders = sum(each.number for each in lines if each.what == "responder")
        return ActionResults(
            action_id=action_id,
            title=beside.title,
            published_at=beside.published_at,
            version=f"{found.version.epoch}.{found.version.version}",
            behind_s=round(found.behind_s, 3),
            figures=_figures(numbers, beside, responders),
            reported=rate(min(beside.people_reported, responders), responders),
            rates=rates_of(lines),
            scripts=[_script(name, each) for name, each in by_name(scripts).items()],
            errors=errors_of(lines),
        )

    async def volunteers(
        self, campaign: Campaign, action_id: int, cursor: str | None, limit: int
    ) -> VolunteerPage:
        """Raises NoResults; BadInput for a cursor of another list."""
        await self._beside(campaign, action_id)
        after_id = GATEWAY - 1 if cursor is None else place_of(cursor, _UserPlace).user_id
        found = await self._counts(campaign, action_id, ("user",))
        of_users = {int(name): lines for name, lines in by_name(found.rows).items()}
        ids = sorted(each for each in of_users if each > after_id)[: limit + 1]
        shown = ids[:limit]
        names = await results.names(self._database, campaign.key, shown)
        names[GATEWAY] = "the gateway"  # of a broadcast
        page = [_volunteer(each, names.get(each, ""), of_users[each]) for each in shown]
        return VolunteerPage(page, cursor_of(_UserPlace(shown[-1])) if len(ids) > limit else None)

    async def labels(self, campaign: Campaign, action_id: int) -> list[LabelTotal]:
        """How often reports gave each tag, and each field each value (F169). Raises NoResults."""
        await self._beside(campaign, action_id)
        return await results.labels(self._database, campaign.key, action_id)

    async def rows(
        self,
        campaign: Campaign,
        action_id: int,
        result: FigureName,
        narrowed: Narrowed,
        cursor: str | None,
        limit: int,
    ) -> RowPage:
        """What stands behind a figure. Raises NoResults; BadInput for a cursor of another list."""
        beside = await self._beside(campaign, action_id)
        after_id = 0 if cursor is None else _place(cursor, result)
        rows: list[ListedRow] = []
        for _ in range(_LOOKS):
            page = await result_rows.page(
                self._database,
                campaign.key,
                campaign.opt_out_scope,
                action_id,
                result,
                narrowed,
                after_id=after_id,
                limit=limit - len(rows),
                look_at=LOOK_AT,
            )
            rows += page.rows
            if page.next is None:
                return RowPage(rows, None)
            after_id = _skipped(result, page.next, beside.published_at)
            if len(rows) >= limit:
                break
        return RowPage(rows, cursor_of(_RowPlace(result, after_id)))

    async def _beside(self, campaign: Campaign, action_id: int) -> Beside:
        found = await results.beside(self._database, campaign.key, action_id)
        if found is None:
            raise NoResults(action_id)
        return found

    async def _counts(self, campaign: Campaign, action_id: int, per: Sequence[counts.Per]) -> Counts:
        """What is counted, and a little of what the journal tells beyond; who counts besides does no harm."""
        for _ in range(_CATCH_UP):
            folded = await counts.fold(self._database, campaign.key, self._now())
            if folded.is_new:
                try:
                    await counts.count_anew(self._database, campaign.key, self._now())
                except DatabaseBusy:  # somebody else does the same
                    await asyncio.sleep(_COUNTED_WITHIN_S / _CATCH_UP)
            elif not folded.events:
                break
        found = await counts.read(self._database, campaign.key, action_id, self._now(), per)
        if found is None:
            raise NotNow("the campaign is just being counted: ask again")
        return found


class _UserPlace(msgspec.Struct, frozen=True, array_like=True):
    user_id: _Id


def _place(cursor: str, result: FigureName) -> int:
    place = place_of(cursor, _RowPlace)
    if place.result is not result:
        raise bad_cursor()
    return place.id


def _skipped(result: FigureName, last_id: int, published_at: float | None) -> int:
    """After which id to go on: months before the action was published hold nothing of it."""
    if published_at is None or result not in _BY_MONTH or last_id < FIRST_WITH_A_MONTH:
        return last_id
    return max(last_id, ids_since(published_at) - 1)


def _figures(numbers: dict[FigureName, int], beside: Beside, responders: int) -> list[Figure]:
    """Every figure, in the order of the definitions."""
    counted = numbers | {
        FigureName.SENT_TO: beside.sent_to,
        FigureName.SEEN: beside.seen,
        FigureName.STARTED: beside.started,
        FigureName.COMPLETED: beside.completed,
        FigureName.PERFORMS: beside.performs,
        FigureName.REPORTS_FILLED: beside.people_reported,
        FigureName.REMAINING: beside.remaining,
        FigureName.NEEDS_ATTENTION: beside.needs_attention,
        FigureName.CLICKS: beside.clicks,
    }
    of = {FigureName.REPORTS_FILLED: responders}
    people = {FigureName.RESPONSES: responders, FigureName.CLICKS: beside.people_clicked}
    return [
        Figure(
            result=each,
            title=definition.title,
            number=counted[each],
            of=of.get(each),
            people=people.get(each),
            means=definition.means,
            lists=definition.lists,
        )
        for each, definition in DEFINITIONS.items()
    ]


def _script(name: str, lines: Sequence[Count]) -> ScriptResult:
    return ScriptResult(
        script=name,
        used=used(lines),
        segments=sum(each.segments for each in lines),
        rates=rates_of(lines),
    )


def _volunteer(user_id: int, name: str, lines: Sequence[Count]) -> VolunteerResult:
    numbers = tallied(lines)
    return VolunteerResult(
        user_id=user_id,
        name=name,
        initials=numbers[FigureName.INITIALS],
        follow_ups=numbers[FigureName.FOLLOW_UPS],
        reports=numbers[FigureName.REPORTS],
        responses=numbers[FigureName.RESPONSES],
        opt_outs=numbers[FigureName.OPT_OUTS],
        failed=sum(
            numbers[each]
            for each in (FigureName.TWILIO_ERRORS, FigureName.CARRIER_FILTERING, FigureName.SAFEGUARDS)
        ),
    )
