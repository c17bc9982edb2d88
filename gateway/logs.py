"""Structured logs: one line an event, for people or as JSON, on standard error.

Ids of campaigns and messages go in, phones only masked, texts never. So a traceback has no locals, and no DETAIL of
the database's, which shows a row's values.
"""

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
_ROW_VALUES: Final = re.compile(  # up to the hint, the next exception of a chain, or the end
    r"\n[ |]*DETAIL:  .*?(?=\n[ |]*HINT:  |\n\n[ |]*(?:The above exception|During handling)|\Z)", re.DOTALL
)


class _StandardError:
    """Standard error as it is when a line is written, whatever it was when logging was set up."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure(settings: Log) -> None:
    """Our own events and those of the libraries, in one form."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    level = _LEVELS[settings.level]
    structlog.configure(
        processors=[*shared, *_rendered(settings)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _StandardError())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(cast(TextIO, _StandardError()))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendered(settings)],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def _rendered(settings: Log) -> list[Any]:
    """From an event to a line: the traceback, the form, and last the phones that anything in it may hold."""
    as_json = settings.format == "json"
    form: Any = structlog.processors.JSONRenderer() if as_json else _for_people()
    return [structlog.processors.ExceptionRenderer(_traceback), form, _phones_masked]


def _for_people() -> structlog.dev.ConsoleRenderer:
    plain = structlog.dev.plain_traceback  # it is rendered already
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)


def _traceback(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """The chain of exceptions, each with its lines of code, none with the values in them."""
    lines = traceback.TracebackException(*exc_info, capture_locals=False).format()
    return _ROW_VALUES.sub("", "".join(lines).rstrip("\n"))


def _phones_masked(_logger: object, _method: str, line: str) -> str:
    return _PHONE.sub(r"\g<1>1\2•••\3", line)
