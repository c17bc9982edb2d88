"""`textbank campaigns` and `textbank actions`: what an administrator makes from a shell, without a worker."""

import asyncio
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import click
import msgspec
from msgspec import Meta

from gateway.commands import HELP, config_option, set_option, settings_of, with_database
from gateway.core.bank.actions import LONGEST_TITLE, ActionSettings, State
from gateway.core.bank.scripts import ScriptText
from gateway.core.rules.campaign import DEFAULT_ORGANISATION, CampaignSettings
from gateway.core.rules.errors import BadInput

if TYPE_CHECKING:
    from gateway.pipeline.campaigns import Campaigns
    from gateway.store.database import Database

_ID = click.IntRange(1, 2**63 - 1)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class ActionFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An action in a file. `publish`: before whom it comes; `at`: when, in UTC where no offset is given."""

    title: Annotated[str, Meta(min_length=1, max_length=LONGEST_TITLE)]
    settings: ActionSettings = ActionSettings()
    scripts: tuple[ScriptText, ...] = ()
    publish: Literal["public", "private", "draft"] = "draft"
    at: datetime | None = None


@click.group(context_settings=HELP)
def campaigns() -> None:
    """Make campaigns."""


@campaigns.command("create", context_settings=HELP)
@click.argument("name")
@click.option("--organisation", type=_ID, default=DEFAULT_ORGANISATION, show_default=True, metavar="ID")
@click.option("--settings", "file", type=_FILE, metavar="FILE", help="Its settings, as TOML or JSON.")
@click.option("--paused", is_flag=True, help="Nothing is sent until it is resumed.")
@config_option
@set_option
def create_campaign(
    name: str,
    organisation: int,
    file: Path | None,
    paused: bool,
    config: tuple[Path, ...],
    given: tuple[str, ...],
) -> None:
    """Make a campaign and print its id. A worker that runs takes it up within seconds.

    The settings are those of the API: a file with a table [registration] gives the registration, and so on.
    """
    settings = CampaignSettings() if file is None else _read(file, CampaignSettings)

    async def work(database: "Database", now: float) -> int:
        from gateway.entropy import secret
        from gateway.p2p.campaigns import CampaignAdmin

        async def adopt(_campaign_id: int) -> None:
            """A worker does."""

        admin = CampaignAdmin(database, await _known(database), lambda: now, adopt, secret)
        made = await admin.create(
            name,
            organisation_id=organisation,
            campaign_id=None,
            opt_out_scope=None,
            settings=settings,
            paused=paused,
            who="command",
        )
        return made.campaign_id

    click.echo(with_database(*settings_of(config, given), work))


@click.group(context_settings=HELP)
def actions() -> None:
    """Make and publish actions."""


@actions.command("publish", context_settings=HELP)
@click.argument("campaign", type=_ID)
@click.argument("file", type=_FILE)
@config_option
@set_option
def publish_action(campaign: int, file: Path, config: tuple[Path, ...], given: tuple[str, ...]) -> int:
    """Make an action of a TOML or JSON file, publish it as the file says, and print its id.

    When it can't be published yet, every reason is told, it stays a draft, and the exit status is 1.
    """
    wanted = _read(file, ActionFile)

    async def work(database: "Database", _now: float) -> int:
        from gateway.clock import Clock
        from gateway.core.bank.permissions import Actor, Role
        from gateway.entropy import secret
        from gateway.p2p.actions import Actions
        from gateway.p2p.publishing import NotReady, Publishing

        shared = database, await _known(database, campaign), Clock.of_the_system(asyncio.get_running_loop())
        made = Actions(*shared, secret)
        command = Actor(Role.KEY_ADMIN, key_id="command")
        action = await made.create(
            command, campaign, wanted.title, wanted.settings, wanted.scripts, who="command"
        )
        action_id = action.record.action_id
        click.echo(action_id)
        if wanted.publish == "draft":
            return 0
        try:
            await Publishing(*shared, made).publish(
                command, campaign, action_id, State(wanted.publish), _instant(wanted.at)
            )
        except NotReady as error:
            for each in error.reasons:
                where = "" if each.script is None else f"{each.script}, line {each.line}: "
                click.echo(f"not published: {where}{each.detail}", err=True)
            return 1
        return 0

    return with_database(*settings_of(config, given), work)


def _read(file: Path, kind: Any) -> Any:
    """The record in a TOML or JSON file. Raises BadInput, which says where."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        value = msgspec.json.decode(text) if file.suffix == ".json" else tomllib.loads(text)
        return msgspec.convert(value, kind)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.MsgspecError, OSError) as error:
        raise BadInput(str(error).replace("`", ""), str(file), "correct the file") from error


def _instant(at: datetime | None) -> float | None:
    if at is None:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


async def _known(database: "Database", campaign_id: int | None = None) -> "Campaigns":
    from gateway.pipeline.campaigns import Campaigns

    known = Campaigns(database)
    await known.load()
    if campaign_id is not None and campaign_id not in known:
        raise BadInput(f"there is no campaign {campaign_id}", "CAMPAIGN", "give the id of one")
    return known
