"""Structured logs: one line an event, for people or as JSON, on standard error.

Ids of campaigns and messages go in, phones and keys only masked, texts and secrets never. So a traceback has no locals,
no DETAIL of the database's, which shows a row's values, and nothing that a library quotes in its message. What the event
loop and the HTTP library would log by themselves is told as events of ours (`unhandled`, gateway/http/library_log.py).
"""

import asyncio
import contextlib
import logging
import re
import sys
import traceback
from types import TracebackType
from typing import Any, Final, TextIO, cast

import structlog

from gateway.config import Log

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_PHONE: Final = re.compile(r"(\+|%2B)1(\d{3})\d{3}(\d{4})(?!\d)")
_SECRETS: Final = re.compile(
    r"(?P<key>tb_[0-9a-f]{12}|tb[si]_[0-9]+)_[0-9a-f]{64}|(?P<scheme>://)[^\s/@:\"']*:[^\s/@\"']+@"
    r"|(?P<header>\b(?:Bearer|Basic) )[^\s\"',]+"
)
_QUOTED: Final = re.compile(  # a database's quotes of names are kept, its quotes of values are not
    r"(?P<name>\b(?:relation|column|constraint|table|function|type|role|index) \"[\w.$]+\")|'.*'|\".*?\"",
    re.DOTALL,
)
_ROW_VALUES: Final = re.compile(  # up to the hint, the next exception of a chain, or the end
    r"\n[ |]*DETAIL:  .*?(?=\n[ |]*HINT:  |\n\n[ |]*(?:The above exception|During handling)|\Z)", re.DOTALL
)


class _StandardError:
    """Standard error as it is when a line is written, whatever it was when logging was set up.

    A line that nobody can take any more (the collector has died, the disk is full) is lost, and nothing else.
    """

    def write(self, text: str) -> int:
        try:
            return sys.stderr.write(text)
        except (OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def configure(settings: Log) -> None:
    """Our own events and those of the libraries, in one form."""
    configure_ours(settings)
    handler = logging.StreamHandler(cast(TextIO, _StandardError()))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendered(settings)],
            foreign_pre_chain=_shared(),
        )
    )
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # a collector's outage is told by us, once
    logging.basicConfig(handlers=[handler], level=max(_LEVELS[settings.level], logging.WARNING), force=True)


def configure_ours(settings: Log) -> None:
    """Our own events alone: what a caller's other libraries log is the caller's."""
    structlog.configure(
        processors=[*_shared(), *_rendered(settings)],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _StandardError())),
        cache_logger_on_first_use=True,
    )


def _shared() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _rendered(settings: Log) -> list[Any]:
    """From an event to a line: the traceback, the form, and last the phones that anything in it may hold."""
    as_json = settings.format == "json"
    form: Any = structlog.processors.JSONRenderer() if as_json else _for_people()
    return [structlog.processors.ExceptionRenderer(_traceback), form, _masked]


def _for_people() -> structlog.dev.ConsoleRenderer:
    plain = structlog.dev.plain_traceback  # it is rendered already
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)


def _traceback(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """The chain of exceptions, each with its lines of code, none with the values in them."""
    raised = traceback.TracebackException(*exc_info, capture_locals=False)
    _unquote(raised)
    return _ROW_VALUES.sub("", "".join(raised.format()).rstrip("\n"))


def _unquote(raised: traceback.TracebackException) -> None:
    """Takes out what the messages of a chain quote: `invalid literal for int(): 'what a person wrote'`.

    Ours are written to be read.
    """
    waiting: list[traceback.TracebackException | None] = [raised]
    while waiting:
        each = waiting.pop()
        if each is None:
            continue
        said: Any = each
        if not _class_name(each).startswith("gateway."):
            said._str = _QUOTED.sub(lambda found: found["name"] or "•••", str(said._str))
        waiting += [each.__cause__, each.__context__, *(each.exceptions or ())]


def _class_name(told: traceback.TracebackException) -> str:
    """With its module, but for Python's own."""
    if sys.version_info >= (3, 13):
        return told.exc_type_str
    return f"{told.exc_type.__module__}.{told.exc_type.__qualname__}"


def unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What the event loop could tell nobody else; its own way shows the failed task's values."""
    error = context.get("exception")
    told = (type(error), error, error.__traceback__) if isinstance(error, BaseException) else None
    structlog.get_logger("textbank.loop").error(
        "a defect beside the work", what=context["message"], exc_info=told
    )


def _masked(_logger: object, _method: str, line: str) -> str:
    """Phones and secrets, wherever in a line they stand."""
    return _SECRETS.sub(_without_secret, _PHONE.sub(r"\g<1>1\2•••\3", line))


def _without_secret(found: re.Match[str]) -> str:
    if found["key"]:
        return f"{found['key']}_•••"
    return f"{found['scheme']}•••@" if found["scheme"] else f"{found['header']}•••"
