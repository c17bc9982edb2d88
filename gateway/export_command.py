"""`textbank export`: a campaign's data as a file, without a worker."""

import asyncio
import sys
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from gateway.commands import HELP, config_option, set_option, settings_of, with_database
from gateway.core.bank.exports import Form, Subject
from gateway.core.rules.errors import BadInput

if TYPE_CHECKING:
    from gateway.pipeline.campaigns import Campaign
    from gateway.store.database import Database

_DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]


@click.command(context_settings=HELP)
@click.argument("campaign", type=click.IntRange(1, 2**63 - 1))
@click.argument("subject", metavar="SUBJECT", type=click.Choice([each.value for each in Subject]))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write.  [default: standard output]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice([each.value for each in Form]),
    default=Form.CSV.value,
    show_default=True,
    help="CSV for spreadsheets, Parquet for analysts (with pyarrow installed).",
)
@click.option("--action", type=click.IntRange(1, 2**63 - 1), metavar="ID", help="Only rows of this action.")
@click.option(
    "--since", type=click.DateTime(_DATES), metavar="DATE", help="Only rows from this instant on, UTC."
)
@click.option(
    "--until", type=click.DateTime(_DATES), metavar="DATE", help="Only rows of before this instant, UTC."
)
@click.option(
    "--after",
    metavar="KEY",
    help="Go on with a file that broke off: the first cell of its last whole row. A CSV then has no header.",
)
@config_option
@set_option
def export(
    *,
    campaign: int,
    subject: str,
    out: Path | None,
    form: str,
    action: int | None,
    since: datetime | None,
    until: datetime | None,
    after: str | None,
    config: tuple[Path, ...],
    given: tuple[str, ...],
) -> None:
    """Write a campaign's messages, replies, contacts, reports, opt-outs or clicks to a file.

    Memory stays the same at any size. Workers may run meanwhile.
    """
    from gateway.p2p.exports import Wanted

    settings, sources = settings_of(config, given)
    wanted = Wanted(
        subject=Subject(subject),
        form=Form(form),
        action_id=action,
        since=_instant(since),
        until=_instant(until),
        after=after,
    )

    async def work(database: "Database", now: float) -> None:
        from gateway.p2p.exports import Exports
        from gateway.turns import Floor

        found = await _campaign(database, campaign)
        exports = Exports(database, lambda: now, settings.http.public_url or "")
        async with exports.file("command", found, wanted, Floor()) as pieces:
            with _opened(out, goes_on=after is not None) as file:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)

    with_database(settings, sources, work)


async def _campaign(database: "Database", campaign_id: int) -> "Campaign":
    from gateway.pipeline.campaigns import Campaigns

    campaigns = Campaigns(database)
    await campaigns.load()
    if campaign_id not in campaigns:
        raise BadInput(f"there is no campaign {campaign_id}", "CAMPAIGN", "give the id of one")
    return campaigns[campaign_id]


def _opened(out: Path | None, *, goes_on: bool) -> AbstractContextManager[BinaryIO]:
    """The file to write to; one that goes on is added to."""
    if out is None:
        return nullcontext(sys.stdout.buffer)
    try:
        return out.open("ab") if goes_on else out.open("wb")
    except OSError as error:
        raise BadInput(
            f"the file can't be written ({error.strerror})", str(out), "give another --out"
        ) from error


def _instant(at: datetime | None) -> float | None:
    return None if at is None else at.replace(tzinfo=UTC).timestamp()
