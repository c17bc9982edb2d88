"""Exports: a campaign's messages, replies, contacts, reports, opt-outs and clicks as files (F175, F176).

A file is written while it is read, page after page over a connection of its own: memory stays the same at any size, and
nobody waits for it. It has what there was when it was asked for. One that broke off goes on after its last whole line.
"""

import asyncio
import contextlib
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Final

import msgspec

from gateway.core.bank.exports import COLUMNS, Form, MessageRow, Subject, message_cells
from gateway.core.rules.errors import BadInput, NotNow
from gateway.core.rules.months import FIRST_WITH_A_MONTH, ids_of, ids_since, month_of
from gateway.p2p.export_files import ExportFile, Row, file_of
from gateway.pipeline.campaigns import Campaign
from gateway.store import audit_log, exports
from gateway.store.database import Database
from gateway.store.exports import Page, Which
from gateway.turns import Floor, Turns

MOST_AT_ONCE: Final = 2
"""Files that one worker writes at a time: each takes a share of its processor, and a connection."""
LOOK_AT: Final = 1_000
"""Rows that a page looks at."""
_STATEMENT_S: Final = 30.0  # a page takes milliseconds; a busy server may take its time
_ROWS_OF_A_STEP: Final = 25  # between two looks at the clock: less than a millisecond
_BY_MONTH: Final = (Subject.MESSAGES, Subject.REPLIES)
_LARGEST_ID: Final = 2**63 - 1
_ID: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_PHONE: Final = re.compile(r"\+?[0-9]{1,15}", re.ASCII)
Cells = Callable[[Row], Row]


class TooManyExports(NotNow):
    """As many files as a worker writes at a time are being written."""

    def __init__(self) -> None:
        super().__init__(f"{MOST_AT_ONCE} exports are being written here: ask again when one of them is done")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A file: of which subject, in which form, of which rows. `after`: the key of the last row that is there already.

    Rows from `since` on and before `until` (Unix seconds; None: now). Times bound no contacts, an action no opt-outs.
    """

    subject: Subject
    form: Form = Form.CSV
    action_id: int | None = None
    since: float | None = None
    until: float | None = None
    after: str | None = None

    def until_or(self, now: float) -> "Wanted":
        """The same with an end: what comes later is not in the file."""
        return self if self.until is not None else msgspec.structs.replace(self, until=now)


class Exports:
    """What is taken out of a campaign. `public_url`: where stories are read, "" for their path alone."""

    def __init__(self, database: Database, now: Callable[[], float], public_url: str = "") -> None:
        self._database = database
        self._now = now
        self._public_url = public_url.rstrip("/")
        self.under_way = 0

    @contextlib.asynccontextmanager
    async def file(
        self, who: str, campaign: Campaign, wanted: Wanted, floor: Floor
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The file's bytes, piece by piece, for the block; whoever leaves it early ends the export.

        Who took out what stands in the audit log. Raises BadInput for an `after` that is no key or a form that can't be
        written here, TooManyExports (NotNow).
        """
        wanted = wanted.until_or(self._now())
        after = _key(wanted.subject, wanted.after)
        file = file_of(wanted.form, COLUMNS[wanted.subject], goes_on=wanted.after is not None)
        if self.under_way >= MOST_AT_ONCE:
            raise TooManyExports
        self.under_way += 1
        try:
            await self._note(who, campaign, wanted)
            async with self._database.patient(_STATEMENT_S) as patient:
                rows = self._rows(patient, campaign, wanted, after)
                cells = _cells(wanted.subject, campaign, self._public_url)
                async with contextlib.aclosing(_written(rows, cells, file, floor)) as pieces:
                    yield pieces
        finally:
            self.under_way -= 1

    async def _note(self, who: str, campaign: Campaign, wanted: Wanted) -> None:
        act, what = f"export {wanted.subject.value}", msgspec.json.encode(wanted).decode()
        await audit_log.write(self._database, campaign.key, self._now(), who, act, after=what)

    async def _rows(
        self, database: Database, campaign: Campaign, wanted: Wanted, after: int | str
    ) -> AsyncGenerator[Sequence[Row], None]:
        """What the store has of every row that is wanted, page by page."""
        which = Which(
            action_id=wanted.action_id,
            since=-math.inf if wanted.since is None else wanted.since,
            until=math.inf if wanted.until is None else wanted.until,
        )

        def fetched(after: int | str) -> asyncio.Task[Page]:
            return asyncio.create_task(
                exports.page(
                    database, campaign.key, campaign.opt_out_scope, wanted.subject, which, after, LOOK_AT
                )
            )

        fetching = fetched(after)
        try:
            while True:
                page = await fetching
                is_last = page.looked_at < LOOK_AT or _is_beyond(wanted, page.last)
                if not is_last:
                    fetching = fetched(_skipped(wanted, page.last))  # while this one is written
                yield page.rows
                if is_last:
                    return
        finally:
            fetching.cancel()
            await asyncio.wait([fetching])


async def _written(
    pages: AsyncGenerator[Sequence[Row], None], cells: Cells, file: ExportFile, floor: Floor
) -> AsyncGenerator[bytes, None]:
    """The file's bytes as they are ready, in turns of a few milliseconds."""
    async with contextlib.aclosing(pages):
        async for rows in pages:
            async with Turns(floor) as turns:
                for first in range(0, len(rows), _ROWS_OF_A_STEP):
                    if turns.over:
                        await turns.rest()
                    file.add([cells(row) for row in rows[first : first + _ROWS_OF_A_STEP]])
            if piece := await file.ready():
                yield piece
    if end := await file.end():
        yield end


def _cells(subject: Subject, campaign: Campaign, public_url: str) -> Cells:
    """What makes a row's cells of what the store has of it: of most subjects they are the same."""
    if subject is not Subject.MESSAGES:
        return lambda row: row
    limits, stories = campaign.limits, f"{public_url}/v1/messages/{campaign.campaign_id}"
    return lambda row: message_cells(MessageRow(*row), limits, stories)


def _key(subject: Subject, after: str | None) -> int | str:
    """After which key a file begins. Raises BadInput for one that can't be one."""
    if subject is Subject.OPT_OUTS:
        if after is not None and _PHONE.fullmatch(after) is None:
            raise BadInput("after", "this is no phone", "give the first cell of your last row")
        return "" if after is None else f"+{after.removeprefix('+')}"
    if after is None:
        return 0
    if _ID.fullmatch(after) is None or int(after) > _LARGEST_ID:
        raise BadInput("after", "this is no id", "give the first cell of your last row")
    return int(after)


def _skipped(wanted: Wanted, last: int | str) -> int | str:
    """The key after which the next page begins: months before `since` are passed over.

    Ids without a month come first, and say nothing of when.
    """
    if wanted.since is None or not _has_month(wanted, last):
        return last
    return max(int(last), ids_since(wanted.since) - 1)


def _is_beyond(wanted: Wanted, last: int | str) -> bool:
    """Whether every later row is of a month after the end."""
    if wanted.until is None or not _has_month(wanted, last):
        return False
    return int(last) >= ids_of(month_of(wanted.until)).stop


def _has_month(wanted: Wanted, last: int | str) -> bool:
    return wanted.subject in _BY_MONTH and int(last) >= FIRST_WITH_A_MONTH
