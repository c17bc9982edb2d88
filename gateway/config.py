"""Settings: defaults < TOML file < environment < flags; read and validated once, then handed in.

A section is a table of the file (`[windows]`), a setting a key of it (`admission_s`), the environment's name for
it `TEXTBANK_WINDOWS_ADMISSION_S`, and a flag's name `windows.admission_s`. Nothing outside `app` reads this.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct, field

from gateway.core.bank.webhooks import networks
from gateway.core.rules.errors import BadInput
from gateway.settings_shown import Shown, shown
from gateway.toml_file import line_of, parsed, read

PREFIX = "TEXTBANK_"
CONFIG_VARIABLE = "TEXTBANK_CONFIG"
"""The environment's way to name the file, when no flag does; of several, with ":" between, the later wins."""

SECRET = {"secret": True}


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of settings. Its repr shows no secret, so that a log or a traceback can't either."""

    def __repr__(self) -> str:
        parts = (f"{name}={shown(self, name)}" for name in self.__struct_fields__)
        return f"{type(self).__name__}({', '.join(parts)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, Shown(shown(self, name))) for name in self.__struct_fields__]


class Database(Section, frozen=True):
    dsn: Annotated[
        str | None,
        Meta(
            description="PostgreSQL to use, postgresql://…; without it the gateway starts its own",
            extra=SECRET,
        ),
    ] = None
    dsn_required: Annotated[
        bool,
        Meta(description="never start a PostgreSQL of our own: for production, where the DSN must be given"),
    ] = False
    connections: Annotated[int, Meta(ge=1, le=500, description="connections a worker holds")] = 10
    answer_s: Annotated[
        float,
        Meta(
            ge=0.5,
            le=60,
            description="how long one statement may take before its connection is given up, seconds",
        ),
    ] = 10.0
    data_dir: Annotated[
        str | None,
        Meta(description="where a PostgreSQL of our own keeps its data; default: the user's data folder"),
    ] = None


class Windows(Section, frozen=True):
    admission_s: Annotated[float, Meta(ge=0, le=5, description="commit window of admission, seconds")] = 0.01
    delivery_s: Annotated[float, Meta(ge=0, le=60, description="commit window of delivery, seconds")] = 0.01
    inbound_s: Annotated[float, Meta(ge=0, le=5, description="commit window of inbound texts, seconds")] = (
        0.01
    )
    max_rows: Annotated[int, Meta(ge=1, le=50_000, description="rows that close a window early")] = 1000
    longest_wait_s: Annotated[
        float,
        Meta(
            gt=0,
            description="requests that would wait for longer to be written are refused with 503, seconds",
        ),
    ] = 0.75


class Dispatch(Section, frozen=True):
    horizon_s: Annotated[
        float, Meta(gt=0, le=600, description="how far ahead slots are reserved, seconds")
    ] = 2.0
    look_ahead: Annotated[int, Meta(ge=1, description="messages kept in memory per campaign")] = 5000
    poll_s: Annotated[
        float, Meta(gt=0, description="longest wait before the queue is read again, seconds")
    ] = 1.0
    idle_poll_s: Annotated[
        float,
        Meta(
            gt=0,
            description="how late messages of other workers may be seen when their word was lost, seconds",
        ),
    ] = 10.0
    concurrency: Annotated[int, Meta(ge=1, description="calls to the provider at once, per campaign")] = 100
    submit_timeout_s: Annotated[
        float, Meta(gt=0, description="when a call without an answer becomes unknown, seconds")
    ] = 15.0
    look_valid_s: Annotated[
        float,
        Meta(
            gt=0,
            le=10,
            description="for how long a look at opt-outs and pause is good; a STOP's answer waits as long; seconds",
        ),
    ] = 0.25
    closing_margin_s: Annotated[
        float, Meta(ge=0, description="no hand-over this close to the end of a lawful window, seconds")
    ] = 60.0


class Workers(Section, frozen=True):
    beat_s: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="how often a worker says that it lives, seconds; 0: it is its database's only one",
        ),
    ] = 2.0


class Provider(Section, frozen=True):
    url: Annotated[
        str | None,
        Meta(description="who carries the texts: twilio://account:token@… or another scheme", extra=SECRET),
    ] = None
    look_up_max_age_s: Annotated[
        float,
        Meta(ge=0, description="how long a phone's look-up is good before it is paid for again, seconds"),
    ] = 90 * 86_400.0


class CatchUp(Section, frozen=True):
    inbound_poll_s: Annotated[
        float,
        Meta(
            ge=0,
            description="how often the provider is asked for texts that a webhook lost, seconds; 0: never",
        ),
    ] = 60.0
    before_sending: Annotated[
        bool,
        Meta(
            description="after a start or an outage, fetch the texts that webhooks lost before anything is sent"
        ),
    ] = True
    reconcile_s: Annotated[
        float,
        Meta(ge=0, description="how often the provider's list is compared with the books, seconds; 0: never"),
    ] = 86_400.0


class Time(Section, frozen=True):
    tolerance_s: Annotated[
        float,
        Meta(
            ge=0,
            description="a worker whose clock differs more from others' is not ready, seconds; 0: never mind",
        ),
    ] = 30.0


class Retention(Section, frozen=True):
    messages_days: Annotated[
        Annotated[int, Meta(ge=31, le=36_500)] | None,
        Meta(
            description="for how many days settled messages and attempts are kept, till their month goes; default: for ever"
        ),
    ] = None
    inbound_days: Annotated[
        Annotated[int, Meta(ge=31, le=36_500)] | None,
        Meta(
            description="for how many days people's texts are kept once answered, till their month goes; default: for ever"
        ),
    ] = None
    events_days: Annotated[
        Annotated[int, Meta(ge=31, le=36_500)] | None,
        Meta(
            description="for how many days the journal is kept once it is counted, till its month goes; default: for ever"
        ),
    ] = None
    every_s: Annotated[
        float, Meta(gt=0, description="how often what is older is looked for and deleted, seconds")
    ] = 21_600.0


class OptOuts(Section, frozen=True):
    provider_replies: Annotated[
        bool,
        Meta(
            description="the provider confirms a STOP itself, as Twilio does unless told not to; false: we do"
        ),
    ] = True
    confirmation: Annotated[
        str,
        Meta(min_length=1, max_length=320, description="our confirmation; {campaign} is the campaign's name"),
    ] = "You are unsubscribed from {campaign} and will get no more texts from us. Reply START to resubscribe."


class Mail(Section, frozen=True):
    url: Annotated[
        str | None,
        Meta(
            description="who carries our e-mail, smtp(s)://user:password@host; without it codes are printed",
            extra=SECRET,
        ),
    ] = None
    sender: Annotated[
        str,
        Meta(min_length=3, max_length=254, description="whom our e-mail is from; answers to it are not read"),
    ] = "textbank@localhost"


class Webhooks(Section, frozen=True):
    allowed_networks: Annotated[
        str,
        Meta(description="private networks that webhooks may go to: 10.1.0.0/16, fd00::/8; default: none"),
    ] = ""
    timeout_s: Annotated[
        float, Meta(gt=0, le=60, description="how long an endpoint's answer may take, in seconds")
    ] = 10.0
    at_once: Annotated[int, Meta(ge=1, le=500, description="calls to endpoints at once, per worker")] = 32


class Http(Section, frozen=True):
    host: Annotated[str, Meta(min_length=1, description="address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="port to listen on; 0 takes a free one")] = 8800
    public_url: Annotated[
        str | None, Meta(description="how the provider reaches us for callbacks: https://texts.example.org")
    ] = None
    internal_host: Annotated[
        str,
        Meta(min_length=1, description="address of the house's own door: metrics, and health in detail"),
    ] = "127.0.0.1"
    internal_port: Annotated[
        Annotated[int, Meta(ge=0, le=65_535)] | None,
        Meta(
            description="its port; default: 10000 above http.port, or below where there is none, or 0 where that is 0"
        ),
    ] = None


INTERNAL_PORT_OFFSET = 10_000
LARGEST_PORT = 65_535


def internal_port(http: Http) -> int:
    """Where the house's own door is: several workers of a machine have different ones without more settings."""
    if http.internal_port is not None or not http.port:
        return http.internal_port or 0
    above = http.port + INTERNAL_PORT_OFFSET
    return above if above <= LARGEST_PORT else http.port - INTERNAL_PORT_OFFSET


class Log(Section, frozen=True):
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="least severe line that is written")
    ] = "info"
    format: Annotated[
        Literal["console", "json"], Meta(description="lines for people, or one JSON object a line")
    ] = "console"
    access: Annotated[bool, Meta(description="one line a request at the public door")] = True


class Tracing(Section, frozen=True):
    url: Annotated[
        str | None, Meta(description="the OTLP/HTTP collector of spans, http://host:4318; default: no traces")
    ] = None
    sampled_share: Annotated[
        float, Meta(ge=0, le=1, description="which share of messages and of requests is traced")
    ] = 0.01
    service: Annotated[
        str, Meta(min_length=1, description="as what traces know this system; the same on all its workers")
    ] = "textbank"


class Settings(Section, frozen=True):
    """Every setting of the gateway, validated."""

    database: Database = field(default_factory=Database)
    windows: Windows = field(default_factory=Windows)
    dispatch: Dispatch = field(default_factory=Dispatch)
    workers: Workers = field(default_factory=Workers)
    provider: Provider = field(default_factory=Provider)
    opt_outs: OptOuts = field(default_factory=OptOuts)
    catch_up: CatchUp = field(default_factory=CatchUp)
    time: Time = field(default_factory=Time)
    retention: Retention = field(default_factory=Retention)
    http: Http = field(default_factory=Http)
    mail: Mail = field(default_factory=Mail)
    webhooks: Webhooks = field(default_factory=Webhooks)
    log: Log = field(default_factory=Log)
    tracing: Tracing = field(default_factory=Tracing)


SECTIONS: dict[str, type[Section]] = {item.name: item.type for item in msgspec.structs.fields(Settings)}


def load(
    path: Path | Sequence[Path] | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """The settings from all four sources; BadInput says which file, name or value is wrong.

    `flags` has dotted names; None there means "not given".
    """
    return load_with_sources(path, environment, flags)[0]


def load_with_sources(
    path: Path | Sequence[Path] | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> tuple[Settings, dict[str, str]]:
    """As `load`, and where each setting's value comes from."""
    environment = environment or {}
    values: dict[str, dict[str, object]] = {name: {} for name in SECTIONS}
    sources = dict.fromkeys(_names(), "default")
    files = (_from_file(each) for each in _files(path, environment))
    for source in (*files, _from_environment(environment), _from_flags(flags or {})):
        for section, name, value, where in source:
            values[section][name] = _converted(section, name, value, where)
            sources[f"{section}.{name}"] = where
    sections: dict[str, Any] = {name: SECTIONS[name](**given) for name, given in values.items()}
    settings = Settings(**sections)
    _check_together(settings)
    return settings, sources


def _files(path: Path | Sequence[Path] | None, environment: Mapping[str, str]) -> Sequence[Path]:
    if isinstance(path, Path):
        return [path]
    return path or [Path(each) for each in environment.get(CONFIG_VARIABLE, "").split(":") if each]


# ---------------------------------------------------------------- the three sources

Given = Iterator[tuple[str, str, object, str]]


def _from_file(path: Path) -> Given:
    text = read(path)
    for section, table in parsed(path, text).items():
        where = line_of(path, text, section, None)
        if section not in SECTIONS:
            raise BadInput(f"unknown section [{section}]", where, _suggestion(section, SECTIONS))
        if not isinstance(table, dict):
            raise BadInput(
                f"'{section}' is not a table", where, f"write [{section}] and its settings below it"
            )
        for name, value in table.items():
            yield _known(section, name, line_of(path, text, section, name), value)


def _from_environment(environment: Mapping[str, str]) -> Given:
    variables = {variable_of(name): name for name in _names()}
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable == CONFIG_VARIABLE:
            continue
        if variable not in variables:
            raise BadInput(f"unknown variable {variable}", "environment", _suggestion(variable, variables))
        section, _, name = variables[variable].partition(".")
        yield section, name, _Text(environment[variable]), f"environment variable {variable}"


def _from_flags(flags: Mapping[str, object]) -> Given:
    for dotted, value in flags.items():
        if value is None:
            continue
        section, _, name = dotted.partition(".")
        if section not in SECTIONS or name not in SECTIONS[section].__struct_fields__:
            raise BadInput(f"unknown setting '{dotted}'", "flags", _suggestion(dotted, _names()))
        yield section, name, _Text(value) if isinstance(value, str) else value, f"flag {dotted}"


def _names() -> list[str]:
    return [f"{section}.{name}" for section, kind in SECTIONS.items() for name in kind.__struct_fields__]


def variable_of(name: str) -> str:
    """The environment's name for a setting: `http.port` is TEXTBANK_HTTP_PORT."""
    return f"{PREFIX}{name.replace('.', '_')}".upper()


def _known(section: str, name: str, where: str, value: object) -> tuple[str, str, object, str]:
    names = SECTIONS[section].__struct_fields__
    if name not in names:
        raise BadInput(f"unknown setting '{name}' in [{section}]", where, _suggestion(name, names))
    return section, name, value, where


# ---------------------------------------------------------------- values


class _Text(str):
    """A value that had no type where it came from, so `"5"` may become 5."""

    __slots__ = ()


def _converted(section: str, name: str, value: object, where: str) -> object:
    item = next(item for item in msgspec.structs.fields(SECTIONS[section]) if item.name == name)
    lax = isinstance(value, _Text)
    try:
        return msgspec.convert(str(value) if lax else value, item.type, strict=not lax)
    except msgspec.ValidationError as error:
        what = f"bad value for {section}.{name}"
        raise BadInput(what, where, str(error).replace("`", "")) from error


def _check_together(settings: Settings) -> None:
    """What no single value can say."""
    check_address("provider.url", settings.provider.url, None)
    check_address("database.dsn", settings.database.dsn, ("postgresql", "postgres"))
    check_address("mail.url", settings.mail.url, ("smtp", "smtps"))
    check_address("http.public_url", settings.http.public_url, ("https", "http"))
    check_address("tracing.url", settings.tracing.url, ("http", "https"))
    networks(settings.webhooks.allowed_networks)


def check_address(name: str, url: str | None, schemes: Sequence[str] | None, where: str = "settings") -> None:
    """Raises BadInput for what has none of the schemes; without `schemes` any will do."""
    if url is None:
        return
    scheme = urlsplit(url).scheme
    if not scheme or "://" not in url or (schemes and scheme not in schemes):
        expected = " or ".join(f"{each}://…" for each in schemes or ("twilio",))
        raise BadInput(f"{name} is not an address", where, f"write it as {expected}")


def _suggestion(name: str, known: Any) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"


# ---------------------------------------------------------------- what is shown


def fingerprint(settings: Settings) -> str:
    """12 digits, equal for equal settings on every worker; a secret counts no more than what `shown` tells of it."""
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:12]
