"""The provider's outages in the log: one line when one begins, one when it is over, none for a call that fails alone."""

import pytest
import structlog
from structlog.testing import capture_logs

from gateway.pipeline import provider_outage
from gateway.pipeline.provider_outage import ProviderOutage
from gateway.providers.base import NotSent
from tests.pipeline.world import World


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The loop's time, to be set."""
    held = [0.0]

    class Loop:
        def time(self) -> float:
            return held[0]

    monkeypatch.setattr(provider_outage.asyncio, "get_running_loop", Loop)
    monkeypatch.setattr(provider_outage, "_log", structlog.get_logger())
    return held


@pytest.mark.parametrize(
    ("gap_s", "failures", "told_at"),
    [
        (0.0, 9, []),
        (0.0, 10, [10]),
        (0.0, 250, [10, 110, 210]),
        (3.0, 2, []),
        (3.0, 3, [3]),  # for six seconds
        (2.0, 3, []),
        (2.0, 4, [4]),
    ],
)
def test_it_is_told_when_it_is_one(now: list[float], gap_s: float, failures: int, told_at: list[int]) -> None:
    outage = ProviderOutage("twilio")
    with capture_logs() as lines:
        for nth in range(failures):
            now[0] = nth * gap_s
            outage.failed("timeout")
    assert [line["failures"] for line in lines] == told_at
    assert {line["event"] for line in lines} <= {"the provider is away"}
    assert outage.is_on is bool(told_at)


def test_its_end_is_told_with_its_length_and_only_once(now: list[float]) -> None:
    outage = ProviderOutage("twilio")
    with capture_logs() as lines:
        for _ in range(12):
            now[0] += 1.0
            outage.failed("error")
        now[0] = 61.5
        for _ in range(3):
            outage.answered()
    away, back = lines
    assert away == {
        "event": "the provider is away",
        "log_level": "warning",
        "provider": "twilio",
        "outcome": "error",
        "failures": 6,
        "for_s": 5.0,
    }
    assert back == {
        "event": "the provider is back",
        "log_level": "warning",
        "provider": "twilio",
        "away_s": 60.5,
        "failures": 12,
    }


def test_failures_between_answers_are_no_outage(now: list[float]) -> None:
    outage = ProviderOutage("twilio")
    with capture_logs() as lines:
        for nth in range(100):
            now[0] += 10.0
            outage.failed("error") if nth % 3 else outage.answered()
    assert lines == []


def test_the_road_tells_of_one(play, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(provider_outage, "_log", structlog.get_logger())

    async def story(world: World) -> None:
        world.provider.answers += [NotSent()] * 12
        with capture_logs() as lines:
            await world.send_all(range(1, 13))
            await world.wait(600)
        events = [line["event"] for line in lines if line["event"].startswith("the provider")]
        assert events == ["the provider is away", "the provider is back"]

    play(story)
