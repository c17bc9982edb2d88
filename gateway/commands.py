"""`textbank serve`, `migrate`, `reconcile`, `keys`, `organisations`, `users` and `settings`: flags in, one line out. What is heavy loads when needed."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway.core.bank.permissions import KEY_ROLES
from gateway.core.rules.errors import BadInput

if TYPE_CHECKING:
    from gateway.config import Settings
    from gateway.core.bank.people import Language, PersonRole
    from gateway.store.database import Database
    from gateway.upkeep.reconciliation import Differences

Value = TypeVar("Value")
HELP = {"help_option_names": ["-h", "--help"]}

config_option = click.option(
    "--config",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Settings as TOML; may be repeated, the later wins. TEXTBANK_CONFIG names files too, with ':' between.",
)
set_option = click.option(
    "--set",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="One setting, such as windows.admission_s=0.02; wins over file and environment.",
)


@click.command(context_settings=HELP)
@config_option
@click.option("--host", metavar="ADDRESS", help="Where to listen.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65_535), help="Where to listen.  [default: 8800]")
@click.option("--public-url", metavar="URL", help="How the provider reaches us for callbacks.")
@set_option
@click.option("--check", is_flag=True, help="Say what is wrong, start nothing, and leave: 0 or 2.")
def serve(
    config: tuple[Path, ...],
    host: str | None,
    port: int | None,
    public_url: str | None,
    given: tuple[str, ...],
    check: bool,
) -> int:
    """Run the gateway: the API, the provider's callbacks, and the hand-over of every campaign nobody else has.

    SIGTERM, SIGINT and SIGHUP drain it: what is under way is finished, and no message is left sending.
    """
    flags: dict[str, object] = {"http.host": host, "http.port": port, "http.public_url": public_url}
    settings, sources = settings_of(config, given, flags)
    from gateway import logs, own_database
    from gateway import serve as serving

    logs.configure(settings.log)
    if check:
        from gateway.check import findings

        return _told(*_run(findings(settings)))
    serving.provider_factory(settings.provider.url)  # before a database is started in vain
    own_database.check_dsn(settings)
    serving.tell_database(settings, sources[own_database.deciding_setting(settings)])
    dsn = own_database.database_dsn(settings)
    _run(serving.serve(settings, dsn), fast=True)
    return 0


def _told(faults: list[str], notes: list[str]) -> int:
    for fault in faults:
        click.echo(f"textbank: {fault}", err=True)
    for note in notes:
        click.echo(note)
    if not faults:
        click.echo("nothing is wrong")
    return 2 if faults else 0


@click.command(context_settings=HELP)
@config_option
@set_option
def migrate(config: tuple[Path, ...], given: tuple[str, ...]) -> None:
    """Bring the database's tables up to date; done twice, it changes nothing."""
    applied = with_database(*settings_of(config, given), _up_to_date, migrated=False)
    click.echo("\n".join(applied) if applied else "the database is up to date")


@click.command(context_settings=HELP)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    metavar="DATE",
    help="Compare what was sent since then, UTC.  [default: three days ago]",
)
@config_option
@set_option
def reconcile(since: datetime | None, config: tuple[Path, ...], given: tuple[str, ...]) -> int:
    """Compare the provider's list of our texts with the books, take in late receipts, and name what only one has.

    Ends with 1 when there is such a difference. Workers do this by themselves every day.
    """
    settings, sources = settings_of(config, given)
    from gateway import logs, serve

    logs.configure(settings.log)
    provider = serve.provider_of(settings)

    async def work(database: "Database", now: float) -> "Differences":
        from gateway.upkeep.reconciliation import RECEIPTS_TAKE_S

        since_at = now - RECEIPTS_TAKE_S if since is None else since.replace(tzinfo=UTC).timestamp()
        try:
            return await serve.reconcile(settings, database, provider, since_at)
        finally:
            await provider.close()

    found = with_database(settings, sources, work)
    click.echo(
        f"texts at the provider: {found.listed}; late receipts taken in: {found.told}; {found.unknown} not in the"
        f" books, {found.missing} only in the books, {found.disagrees} ended differently"
    )
    return 1 if found.unknown or found.missing or found.disagrees else 0


@click.group(context_settings=HELP)
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command(context_settings=HELP)
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(list(KEY_ROLES)),
    default="sender",
    show_default=True,
    help="A reader reads, a sender also sends, an admin also makes and pauses campaigns.",
)
@click.option(
    "--campaign", type=click.IntRange(1, 2**63 - 1), metavar="ID", help="The only campaign it is for."
)
@click.option(
    "--expires", metavar="SPAN", help="For how long it is good: 12h, 30d, 8w.  [default: until it is revoked]"
)
@config_option
@set_option
def create(
    name: str,
    role: str,
    campaign: int | None,
    expires: str | None,
    config: tuple[Path, ...],
    given: tuple[str, ...],
) -> None:
    """Make a key and print it: it is shown this once and never again."""
    from gateway.core.bank.spans import span_s
    from gateway.entropy import secret
    from gateway.p2p.keys import RANDOM_BYTES, ApiKeys, require_name

    require_name(name)
    expires_s = None if expires is None else span_s(expires, "--expires")

    async def work(database: "Database", now: float) -> str:
        return await ApiKeys(database, lambda: now).create(
            secret(RANDOM_BYTES), name, role, campaign, expires_s
        )

    click.echo(with_database(*settings_of(config, given), work))


@keys.command("list", context_settings=HELP)
@config_option
@set_option
def list_keys(config: tuple[Path, ...], given: tuple[str, ...]) -> None:
    """The keys, without their secrets."""
    from gateway.p2p.keys import ApiKeys
    from gateway.store.api_keys import KeyRow

    async def work(database: "Database", now: float) -> list[KeyRow]:
        return await ApiKeys(database, lambda: now).every()

    for key in with_database(*settings_of(config, given), work):
        campaign = "every campaign" if key.campaign_id is None else f"campaign {key.campaign_id}"
        ended = "" if key.expires_at is None else f"  until {_day(key.expires_at)}"
        ended += "" if key.revoked_at is None else f"  revoked {_day(key.revoked_at)}"
        click.echo(f"{key.key_id}  {key.role:<6}  {campaign}  {_day(key.created_at)}  {key.name}{ended}")


@keys.command(context_settings=HELP)
@click.argument("key_id")
@config_option
@set_option
def revoke(key_id: str, config: tuple[Path, ...], given: tuple[str, ...]) -> None:
    """End a key, by its id or by the key itself.

    Workers notice within 5 seconds.
    """
    from gateway.p2p.keys import ApiKeys

    bare = key_id.split("_")[1] if key_id.startswith("tb_") and key_id.count("_") > 1 else key_id

    async def work(database: "Database", now: float) -> None:
        await ApiKeys(database, lambda: now).revoke(bare)

    with_database(*settings_of(config, given), work)
    click.echo(f"{bare} is revoked")


@click.group(context_settings=HELP)
def organisations() -> None:
    """Make organisations: nothing crosses from one to another."""


@organisations.command("create", context_settings=HELP)
@click.argument("name")
@config_option
@set_option
def create_organisation(name: str, config: tuple[Path, ...], given: tuple[str, ...]) -> None:
    """Make an organisation and print its id.

    A campaign is made in it by naming the id.
    """
    from gateway.core.bank.people import clean_name
    from gateway.store import organisations as stored

    cleaned = clean_name(name)

    async def work(database: "Database", now: float) -> int:
        return await stored.create(database, cleaned, now)

    click.echo(with_database(*settings_of(config, given), work))


@click.group(context_settings=HELP)
def users() -> None:
    """Let people into a campaign."""


@users.command("create", context_settings=HELP)
@click.argument("email")
@click.option("--name", required=True, help="What others should read.")
@click.option(
    "--campaign",
    required=True,
    type=click.IntRange(1, 2**63 - 1),
    metavar="ID",
    help="The campaign they get a place in.",
)
@click.option(
    "--role",
    type=click.Choice(["volunteer", "supervisor", "admin"]),
    default="volunteer",
    show_default=True,
    help="A volunteer texts, a supervisor also sees everybody's work, an admin also changes campaign and people.",
)
@click.option("--language", type=click.Choice(["en", "es"]), default="en", show_default=True)
@click.option("--ask-password", is_flag=True, help="Ask for their password here instead, without showing it.")
@config_option
@set_option
def create_user(
    email: str,
    name: str,
    campaign: int,
    role: "PersonRole",
    language: "Language",
    ask_password: bool,
    config: tuple[Path, ...],
    given: tuple[str, ...],
) -> None:
    """Give a person a place in a campaign, and print an invitation: it is shown this once and never again.

    With it they choose their password, within three days. Who has a password already keeps it, and gets no
    invitation; who has a place already gets the role.
    """
    from gateway.core.bank.people import check_new_password, clean_email, clean_name
    from gateway.p2p.people import Invitation, People
    from gateway.p2p.sign_in import SignIn

    whom = Invitation(email=clean_email(email), name=clean_name(name), role=role, language=language)
    loaded = settings_of(config, given)
    password = None
    if ask_password:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        check_new_password(password, email=whom.email, name=whom.name)

    async def work(database: "Database", _now: float) -> str:
        from gateway.clock import Clock
        from gateway.entropy import secret
        from gateway.p2p.passwords import Passwords

        clock, passwords = Clock.of_the_system(asyncio.get_running_loop()), Passwords()
        sign_in = SignIn(database, clock, passwords, secret)
        people = People(database, clock, passwords, secret, sign_in)
        token = await people.give_place(campaign, whom)
        if token is None:
            return "they have a password already, and keep it"
        if password is None:
            return token
        await sign_in.choose_password(token, password, confirms=True)
        return "they can sign in"

    click.echo(with_database(*loaded, work))


@click.command("settings", context_settings=HELP)
@config_option
@set_option
def settings_in_force(config: tuple[Path, ...], given: tuple[str, ...]) -> None:
    """Print every setting in force and where its value comes from.

    Of a secret only the scheme is shown. Nothing is started, and no database is asked.
    """
    from gateway.config_reference import in_force

    for line in in_force(*settings_of(config, given)):
        click.echo(line)


# ---------------------------------------------------------------- what they share


def settings_of(
    config: tuple[Path, ...], given: tuple[str, ...], flags: "dict[str, object] | None" = None
) -> "tuple[Settings, dict[str, str]]":
    """The settings, and where each comes from."""
    from gateway.config import load_with_sources

    named = dict(flags or {})
    for each in given:
        name, separator, value = each.partition("=")
        if not separator:
            raise BadInput(f"'{each}' is no setting", "--set", "write it as name=value")
        named[name] = value
    return load_with_sources(config, os.environ, named)


def with_database(
    settings: "Settings",
    sources: "dict[str, str]",
    work: "Callable[[Database, float], Awaitable[Value]]",
    *,
    migrated: bool = True,
) -> Value:
    """Runs `work(database, now)` over the database of the settings, its tables up to date; says first which it is."""
    from gateway.clock import Clock
    from gateway.own_database import check_dsn, database_dsn, deciding_setting, which_database
    from gateway.store.database import Database
    from gateway.store.troubles import DatabaseAway

    check_dsn(settings)
    click.echo(f"database: {which_database(settings)} ({sources[deciding_setting(settings)]})", err=True)
    dsn = database_dsn(settings)

    async def worked() -> Value:
        now = Clock.of_the_system(asyncio.get_running_loop()).now()
        database = Database(dsn, connections=1)
        await database.open()
        try:
            if migrated:
                await _up_to_date(database, now)
            return await work(database, now)
        except DatabaseAway as error:
            raise BadInput(f"the database is away ({error})", "database.dsn", "try again") from error
        finally:
            with contextlib.suppress(OSError):
                await database.close()

    return _run(worked())


async def _up_to_date(database: "Database", now: float) -> list[str]:
    """The migrations applied, and the next months' partitions made; raises BadInput when a migration fails."""
    from gateway.store import months
    from gateway.store.migrate import MigrationFailed, migrate

    try:
        applied = await migrate(database, now)
    except MigrationFailed as error:
        raise BadInput(str(error), "database.dsn", "give a database that is ours alone") from error
    await months.make_ahead(database, now)
    return applied


def _run(work: Coroutine[Any, Any, Value], *, fast: bool = False) -> Value:
    """On uvloop when it is to be fast."""
    if not fast:
        return asyncio.run(work)
    import uvloop

    return uvloop.run(work)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
