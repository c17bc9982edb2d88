"""`textbank load`: a small bank over HTTP, Locust's master and two workers, judged; and what is refused before it."""

import os
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
import msgspec
import pytest

from loadtests.cli import load
from loadtests.door import Unanswered
from loadtests.ledger import Verdict
from loadtests.metrics import PORT
from loadtests.outcome import Outcome
from loadtests.plan import Size, TooFew
from loadtests.reading.page import page
from loadtests.recording import Recording
from loadtests.report import Report, reported
from loadtests.targets import Refused
from tests.end_to_end.processes import free_port
from tests.loadtests.sample_run import OF_TEN

CONTACTS, VOLUNTEERS, BATCHES = 500, 10, 10


def command(*words: object) -> int:
    with load.make_context("load", [str(word) for word in words]) as context:
        status: int = load.invoke(context)
        return status


@contextmanager
def scraped(port: int) -> Iterator[tuple[int, dict[str, float]]]:
    """What the metrics at a port said last while the block ran."""
    told: dict[str, float] = {}
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.wait(0.5):
            with (
                suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer,
            ):
                lines = answer.read().decode().splitlines()
                told.update(
                    (line.rsplit(" ", 1)[0], float(line.rsplit(" ", 1)[1]))
                    for line in lines
                    if line[0] != "#"
                )

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield port, told
    finally:
        is_over.set()
        asking.join()


def test_a_small_bank_is_loaded_and_judged(tmp_path: Path) -> None:
    """Some 570 texts: everybody once, answers to those who wrote, and every one of them accounted for."""
    size = ("--contacts", CONTACTS, "--volunteers", VOLUNTEERS, "--think", 0.1, "--seconds", 12)
    with scraped(free_port()) as (port, told):
        status = command("election-day", *size, "--no-predict", "--report", tmp_path, "--metrics-port", port)
    assert PORT not in os.environ
    for name in ("intended_total", "started_total"):
        assert told[f'p2pload_{name}{{scenario="integrators"}}'] == BATCHES
    for basis in ("actual", "intended"):
        assert told[f'p2pload_duration_seconds_count{{basis="{basis}",scenario="integrators"}}'] == BATCHES
    report = msgspec.json.decode((tmp_path / "load.json").read_bytes(), type=Report)
    ledger, routes = report.ledger, {route.name: route for route in report.routes}
    assert status == report.exit_status
    # A machine that is busy otherwise may make the generator late: the run says so, and its texts are right all the same.
    assert [each for each in report.invalid if "late" not in each and "core" not in each] == []
    assert ledger.held
    assert ledger.acknowledged - ledger.unsent == ledger.handed_over == ledger.delivered > CONTACTS
    assert (report.open["intended"], report.open["failed"]) == (BATCHES, 0)
    assert (routes["POST sends"].requests, routes["POST /v1/join"].requests) == (400, VOLUNTEERS)
    answered = routes["POST conversations/{}/answers"].requests
    assert routes["POST conversations/{}/reports"].requests == ledger.acknowledged - CONTACTS <= answered
    assert (sum(route.failures for route in report.routes), report.errors) == (0, {})
    assert (tmp_path / "load.html").stat().st_size < 1_500_000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("smoke", "--host", "https://api.twilio.com", "--carrier", "http://127.0.0.1:1"), "is a provider's"),
        (("smoke", "--host", "http://127.0.0.1:1", "--carrier", "http://api.twilio.com"), "is a provider's"),
        (("smoke", "--host", "http://192.0.2.1", "--carrier", "http://127.0.0.1:1"), "--allow 192.0.2.1"),
        (("smoke", "--host", "http://127.0.0.1:1", "--carrier", "http://127.0.0.1:1"), "does not answer"),
        (("smoke", "--host", "http://127.0.0.1:1"), "go together"),
        (("election-day", "--contacts", 20_000, "--volunteers", 1), "take 10 volunteers"),
    ],
)
def test_what_may_not_or_cannot_be_loaded_is_told(
    words: tuple[object, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADTEST_KEY", "tb_none")
    with pytest.raises((Refused, TooFew, Unanswered, click.UsageError), match=said):
        command(*words)


def test_a_gateway_elsewhere_wants_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOADTEST_KEY", raising=False)
    with pytest.raises(click.UsageError, match="LOADTEST_KEY"):
        command("smoke", "--host", "http://127.0.0.1:1", "--carrier", "http://127.0.0.1:1")


# ---------------------------------------------------------------- the exit status

RIGHT = OF_TEN


def outcome(*, workers: int = 2, stopped_because: str = "") -> Outcome:
    recording = Recording()
    recording.started(0.0)
    recording.ended(since_intended_s=0.1, since_actual_s=0.1, blocked_s=0.0, ok=True)
    parts = [recording.handed(cpu=0.5, whole=True) for _ in range(workers)]
    return Outcome(
        parts=parts, acknowledged=[], stopped_because=stopped_because, lasted_s=20.0, routes=[], errors={}
    )


@pytest.mark.parametrize(
    ("run", "verdict", "status"),
    [
        (outcome(), RIGHT, 0),
        (outcome(workers=1), RIGHT, 3),
        (outcome(), msgspec.structs.replace(RIGHT, waiting=1), 3),
        (outcome(stopped_because="a worker was lost"), RIGHT, 3),
        *(
            (outcome(), msgspec.structs.replace(RIGHT, **{wrong: 1}), 1)
            for wrong in ("lost", "twice", "after_stop", "outside_hours")
        ),
        (outcome(workers=0), msgspec.structs.replace(RIGHT, lost=1), 1),
    ],
)
def test_an_invalid_run_is_never_0_and_a_wrong_text_is_1(run: Outcome, verdict: Verdict, status: int) -> None:
    report = reported(run, verdict, Size(), "textbank load")
    assert report.exit_status == status
    assert report.why in page(report).replace("&#39;", "'")
