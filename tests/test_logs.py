"""What a log may show: no phone whole, no secret, no text, whatever was at hand when something broke."""

import asyncio
import contextlib
import json
import logging
import os
import sys
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


KEY = f"tb_{'0' * 12}_{'ab' * 32}"
SECRETS = [
    KEY,
    f"Authorization: Bearer {KEY}",
    "Bearer some-other-token",
    "Basic dXNlcjpwYXNz",
    "twilio://AC0123:auth-token@api.example.org",
    "postgresql://textbank:pass-word@127.0.0.1/textbank",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_shown_wherever_it_stands(
    form: str, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    structlog.get_logger("textbank.test").warning("seen", what=secret)
    logging.getLogger("somebody").warning("seen %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        by_structlog()
    told = capsys.readouterr().err
    for hidden in ("ab" * 32, "some-other-token", "dXNlcjpwYXNz", "auth-token", "pass-word"):
        assert hidden not in told
    assert told.count("•••") >= 3


def of_int() -> None:
    int(TEXT)


def of_a_key() -> None:
    {}[TEXT]


def of_a_statement() -> None:
    raise asyncpg.DataError(f"invalid input for query argument $3: {TEXT!r} (a quote's trouble)")


def of_a_value() -> None:
    raise asyncpg.InvalidTextRepresentationError(f'invalid input syntax for type bigint: "{TEXT}"')


def of_a_cause() -> None:
    try:
        of_int()
    except ValueError as error:
        raise RuntimeError("beside it") from error


def of_a_group() -> None:
    raise ExceptionGroup("some", [KeyError(TEXT), ValueError(f"no {TEXT!r}")])


@pytest.mark.parametrize("trouble", [of_int, of_a_key, of_a_statement, of_a_value, of_a_cause, of_a_group])
def test_no_persons_words_are_shown_by_what_they_broke(
    form: str, trouble: Callable[[], object], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        trouble()
    except Exception:  # noqa: BLE001 - whatever it is
        by_structlog()
        by_the_standard_library()
    told = capsys.readouterr().err
    assert trouble.__name__ in told
    assert TEXT not in told
    assert "it is Sam" not in told


async def test_what_the_loop_could_tell_nobody_is_an_event(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(logs.unhandled)
    try:
        loop.call_soon(of_int)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    finally:
        loop.set_exception_handler(None)
    told = capsys.readouterr().err
    assert "a defect beside the work" in told
    assert "of_int" in told
    assert TEXT not in told


def test_a_line_that_nobody_can_take_any_more_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)  # as when the collector of the logs has died
    with os.fdopen(write, "w", buffering=1) as broken:
        monkeypatch.setattr(sys, "stderr", broken)
        logs.configure(Log())
        structlog.get_logger("gateway.test").error("nobody reads this")
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            broken.close()
