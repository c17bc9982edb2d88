"""`textbank contacts`: a campaign's people brought in from a file, and those whom nobody is to text, without a worker."""

import asyncio
import csv
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands import HELP, config_option, set_option, settings_of, with_database
from gateway.core.rules.errors import BadInput

if TYPE_CHECKING:
    from gateway.p2p.contacts import ContactLists, Contacts, HowToImport
    from gateway.p2p.suppression import Suppressed
    from gateway.pipeline.campaigns import Campaign
    from gateway.providers.base import Line
    from gateway.store.database import Database

_campaign_argument = click.argument("campaign", type=click.IntRange(1, 2**63 - 1))
_file_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_dry_run = click.option("--dry-run", is_flag=True, help="Tell all counts, and save nothing.")
_map = click.option(
    "--map",
    "mapped",
    multiple=True,
    metavar="HEADER=FIELD",
    help="A column that holds something else than its header says: phone, first_name, custom_field_…, ignore and so"
    " on; may be repeated.",
)
_consent = click.option(
    "--consent",
    "consents",
    multiple=True,
    metavar="COLUMN=SAYS",
    help="How a column that looks like consent is to be read: opt-out, opt-in or nothing; may be repeated.",
)


@click.group(context_settings=HELP)
def contacts() -> None:
    """Bring a campaign's people in, and those whom nobody is to text."""


@contacts.command("import", context_settings=HELP)
@_campaign_argument
@_file_argument
@click.option("--list", "list_name", metavar="NAME", help="The list that is made or extended.")
@_dry_run
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the rows that are not used go, with reasons, to be corrected and imported again.",
)
@_map
@_consent
@click.option("--again", is_flag=True, help="Import a file once more that was imported already.")
@config_option
@set_option
def import_contacts(
    *,
    campaign: int,
    file: Path,
    list_name: str | None,
    dry_run: bool,
    rejects: Path | None,
    mapped: tuple[str, ...],
    consents: tuple[str, ...],
    again: bool,
    config: tuple[Path, ...],
    given: tuple[str, ...],
) -> None:
    """Import a list of contacts: a CSV with a header row.

    A phone that the campaign has keeps its row: empty cells are filled, custom fields are the file's. Broken off, the
    same command goes on where it stopped.
    """
    from gateway.core.rules.idempotency import Key
    from gateway.p2p.contacts import ContactLists, HowToImport
    from gateway.p2p.keys import COMMAND
    from gateway.p2p.list_answers import read_answers
    from gateway.p2p.list_mapping import read_mapping

    if rejects is not None and rejects.exists() and rejects.samefile(file):
        raise BadInput("the rejects would overwrite the contact list", str(rejects), "choose another file")
    how = HowToImport(
        owner=COMMAND,
        dry_run=dry_run,
        list_name=list_name,
        consents=read_answers(consents),
        taken_for=read_mapping(mapped),
        key=None if again else Key(COMMAND, HowToImport.SAME_FILE),
        rejects=rejects,
    )

    async def work(database: "Database", now: float) -> list[str]:
        lists = ContactLists(database, lambda: now, _no_look_up, lambda _count: None)
        return await _imported(lists, await _campaign(database, campaign), file, how, now)

    for line in with_database(*settings_of(config, given), work):
        click.echo(line)


@contacts.command("suppress", context_settings=HELP)
@_campaign_argument
@_file_argument
@_dry_run
@_map
@_consent
@config_option
@set_option
def suppress(
    *,
    campaign: int,
    file: Path,
    dry_run: bool,
    mapped: tuple[str, ...],
    consents: tuple[str, ...],
    config: tuple[Path, ...],
    given: tuple[str, ...],
) -> None:
    """Opt out every phone of a suppression list: a CSV with a header row.

    Nothing but a person's own START undoes it.
    """
    from gateway.p2p.keys import COMMAND
    from gateway.p2p.list_answers import read_answers
    from gateway.p2p.list_mapping import read_mapping
    from gateway.turns import Floor

    answers, taken_for = read_answers(consents), read_mapping(mapped)

    async def work(database: "Database", _now: float) -> list[str]:
        from gateway.clock import Clock
        from gateway.p2p.suppression import SuppressionLists

        clock = Clock.of_the_system(asyncio.get_running_loop())
        told = await SuppressionLists(database, clock, lambda _count: None).from_csv(
            await _campaign(database, campaign),
            _linked(file),
            Floor(),
            COMMAND,
            dry_run=dry_run,
            consents=answers,
            taken_for=taken_for,
        )
        return _words_of_suppression(told)

    for line in with_database(*settings_of(config, given), work):
        click.echo(line)


async def _campaign(database: "Database", campaign_id: int) -> "Campaign":
    from gateway.pipeline.campaigns import Campaigns

    campaigns = Campaigns(database)
    await campaigns.load()
    return campaigns[campaign_id]


async def _no_look_up(_phones: object) -> "list[Line]":
    raise NotImplementedError("the command asks no provider")


def _linked(file: Path) -> Callable[[Path], Awaitable[None]]:
    whole = file.resolve()

    async def receive(path: Path) -> None:
        await asyncio.to_thread(path.symlink_to, whole)

    return receive


async def _imported(
    lists: "ContactLists", campaign: "Campaign", file: Path, how: "HowToImport", now: float
) -> list[str]:
    from gateway.turns import Floor

    told = await lists.from_csv(campaign, _linked(file), Floor(), how)
    if how.rejects is not None and told.import_id is not None:
        pieces = await lists.rejects(campaign, told.import_id)
        assert pieces is not None
        with how.rejects.open("w", encoding="utf-8-sig", errors="replace", newline="") as out:
            async for piece in pieces:
                csv.writer(out).writerows(piece)
    lines = _words(told, how)
    if told.done_at is not None and told.done_at < round(now, 6):  # as the store keeps it
        lines.append("this file was imported before and nothing was done now; --again imports it once more")
    return lines


def _words(told: "Contacts", how: "HowToImport") -> list[str]:
    known = f"{told.known} known, of which {told.merged} learnt something"
    lines = [
        f"{told.rows} rows: {told.new} new, {known}; {_rejected(told.rejected)}",
        *_columns(told.columns, told.ignored),
    ]
    if how.list_name is not None:
        lines.append(f"new on the list '{how.list_name}': {told.joined}")
    if told.opted_out:
        lines.append(f"opted out before, and not texted: {told.opted_out}")
    if told.assigned or told.unknown_assignees:
        unknown = ", ".join(f"{name} ({rows})" for name, rows in told.unknown_assignees.items())
        lines.append(f"assigned: {told.assigned}" + (f"; nobody is called {unknown}" if unknown else ""))
    lines += told.warnings
    return [*lines, "nothing was saved: a dry run"] if told.dry_run else lines


def _words_of_suppression(told: "Suppressed") -> list[str]:
    lines = [
        f"{told.rows} rows: {told.new} opted out now, {told.known} before; {_rejected(told.rejected)}",
        *_columns(told.columns, told.ignored),
    ]
    return [*lines, "nothing was saved: a dry run"] if told.dry_run else lines


def _rejected(counts: Mapping[str, int]) -> str:
    reasons = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    return f"not used: {sum(counts.values())}" + (f" ({reasons})" if reasons else "")


def _columns(columns: Mapping[str, str], ignored: list[str]) -> list[str]:
    read = [f"{header} is {field}" for header, field in columns.items()]
    return [f"columns: {', '.join(read)}", *([f"ignored: {', '.join(ignored)}"] if ignored else [])]
