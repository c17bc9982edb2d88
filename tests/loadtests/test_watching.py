"""What is read of a gateway's metrics at the start and at the end of a run."""

import os

import pytest

from loadtests.objectives import OBJECTIVES
from loadtests.watching import Watch, events, rows

EXPOSITION = """\
# TYPE p2p_segments_total counter
p2p_segments_total{carrier="att",encoding="GSM-7",channel="sms"} %d
p2p_segments_total{carrier="verizon",encoding="GSM-7",channel="sms"} 3
p2p_segments_total{carrier="att",encoding="UCS-2",channel="sms"} 4
p2p_http_requests_total{route="/v1/messages",method="POST",status="2xx"} 98
p2p_http_requests_total{route="/v1/messages",method="POST",status="5xx"} 2
p2p_http_requests_total{route="/webhooks/twilio/status",method="POST",status="5xx"} 7
p2p_http_request_duration_seconds_bucket{route="/v1/messages",le="0.1"} 50
p2p_http_request_duration_seconds_bucket{route="/v1/messages",le="0.25"} %d
p2p_http_request_duration_seconds_bucket{route="/v1/messages",le="+Inf"} 100
p2p_http_request_duration_seconds_count{route="/v1/messages"} 100
p2p_http_request_duration_seconds_count{route="/v1/keys"} 100
process_cpu_seconds_total %d
p2p_build_info{version="0.1.0",commit="abc"} 1
p2p_config_info{hash="def"} 1
p2p_numbers{state="active"} 5
"""


@pytest.mark.parametrize(
    ("name", "good", "total"), [("accept_availability", 98, 100), ("accept_latency", 90, 100)]
)
def test_an_objective_counts_its_own_routes(name: str, good: int, total: int) -> None:
    objective = next(each for each in OBJECTIVES if each.name == name)
    found = rows(EXPOSITION % (5, 90, 1))
    assert events(found, objective) == (good, total)
    assert "p2p_numbers" not in {row.name for row in found}


def test_a_watch_has_what_happened_between_its_entry_and_its_exit() -> None:
    answers = iter(
        [EXPOSITION % (5, 10, 1), EXPOSITION % (50, 10, 2), EXPOSITION % (7, 40, 3), EXPOSITION % (51, 40, 9)]
    )
    with Watch(
        ["http://127.0.0.1:1", "http://127.0.0.1:2"], {"us": os.getpid()}, fetch=lambda _: next(answers)
    ) as watch:
        sum(range(1_000_000))
    watched = watch.watched()
    assert watched is not None
    assert (watched.segments, watched.encodings) == ({"att": 3}, {"GSM-7": 3})
    assert (watched.build["commit"], watched.config) == ("abc", "def")
    assert watched.used["gateway"] == 9.0
    assert 0 <= watched.used["us"] < 5
    kept = {each.objective: each.good for each in watched.kept}
    assert (kept["accept_latency"], kept["accept_availability"]) == (60, 0)


def test_nothing_is_known_of_what_never_answers() -> None:
    def away(_: str) -> str:
        raise OSError("away")

    with Watch(["http://127.0.0.1:1"], fetch=away) as watch:
        pass
    assert watch.watched() is None
