"""What a log may show: no phone whole, no secret, no text, whatever was at hand when something broke."""

import json
import logging
from collections.abc import Callable, Iterator

import asyncpg
import pytest
import structlog

from gateway import logs
from gateway.config import Log

PHONE, SECRET, TEXT = "+12155550123", "a-token-of-ours", "Hi Ann, it is Sam"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture(params=["console", "json"])
def form(request: pytest.FixtureRequest) -> str:
    logs.configure(Log(format=request.param))
    return str(request.param)


def by_structlog() -> None:
    structlog.get_logger("textbank.test").exception("a request met a defect", path=f"/v1?to=%2B{PHONE[1:]}")


def by_the_standard_library() -> None:
    logging.getLogger("gateway.test").exception("the road of %s broke", PHONE)  # noqa: LOG004 - its caller handles one


def break_with(phone: str, secret: str, text: str) -> None:
    refused = asyncpg.NotNullViolationError('null value in column "hours_group" of relation "contacts"')
    refused.detail = f"Failing row contains (1, {phone}, {text}\n\nwith a second paragraph)."
    assert secret
    try:
        raise refused
    except asyncpg.PostgresError as error:
        raise RuntimeError(f"no way to {phone}") from error


@pytest.mark.parametrize("log", [by_structlog, by_the_standard_library])
def test_a_traceback_shows_where_and_why_but_no_values(
    form: str, log: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        break_with(PHONE, SECRET, TEXT)
    except RuntimeError:
        log()
    line = capsys.readouterr().err
    for told in (
        "Traceback",
        "break_with",
        "NotNullViolationError",
        "hours_group",
        "RuntimeError",
        "no way to +1215",
    ):
        assert told in line, told
    for hidden in (PHONE, PHONE[1:], SECRET, TEXT, "second paragraph"):
        assert hidden not in line, hidden
    assert "0123" in line  # enough to recognise it


def test_json_is_one_object_a_line(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        try:
            break_with(PHONE, SECRET, TEXT)
        except RuntimeError:
            by_structlog()
    if form == "json":
        assert {json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()} == {
            "a request met a defect"
        }


@pytest.mark.parametrize("digits", ["12155550123", "+121555501234", "1795320935.62074", "SM0123456789"])
def test_what_is_no_phone_of_ours_is_left_alone(
    form: str, digits: str, capsys: pytest.CaptureFixture[str]
) -> None:
    structlog.get_logger("textbank.test").warning("seen", what=digits)
    assert digits in capsys.readouterr().err
