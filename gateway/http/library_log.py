"""What the HTTP library would log, without what was sent: a malformed request stands whole in its exceptions."""

import logging
from types import TracebackType
from typing import Any, Final

import structlog
from aiohttp.http_exceptions import HttpProcessingError

_log = structlog.get_logger("textbank.http")
_NAME: Final = "textbank.http.library"

Raised = tuple[type[BaseException], BaseException, TracebackType | None]


class _Retold(logging.Handler):
    """Each record as an event of ours: who called and what class of trouble, no words of a request."""

    def emit(self, record: logging.LogRecord) -> None:
        error = _error_of(record.exc_info)
        if isinstance(error, HttpProcessingError):
            _log.info("a malformed request", error=type(error).__name__, remote=_remote_of(record))
        elif error is not None:
            _log.error("the HTTP library met a defect", error=type(error).__name__, where=_where(error))
        elif record.levelno >= logging.WARNING:
            _log.warning("the HTTP library warns", where=f"{record.module}:{record.lineno}")


def library_log() -> logging.Logger:
    """The logger that the HTTP library is given."""
    logger = logging.getLogger(_NAME)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.handlers = [_Retold()]
    return logger


def _error_of(raised: Any) -> BaseException | None:
    return raised[1] if isinstance(raised, tuple) else None


def _remote_of(record: logging.LogRecord) -> str | None:
    """The address is the one argument of aiohttp's message."""
    return record.args[0] if isinstance(record.args, tuple) and len(record.args) == 1 else None  # type: ignore[return-value]


def _where(error: BaseException) -> str | None:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return None if trace is None else f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}"
