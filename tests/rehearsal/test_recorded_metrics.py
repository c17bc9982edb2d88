"""The metrics of a rehearsed day, with virtual time stamps: OpenMetrics that Prometheus' own tools take."""

import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from dashboards.programs import NotHere, find
from simulator.rehearsal.recorded_metrics import EVERY_S
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.small_worlds import ELECTION_DAY, chaotic

WORLD = chaotic(ELECTION_DAY, hours=0.8)
PATIENCE_S = 60


@pytest.fixture(scope="module")
def day(rehearse: Rehearse, tmp_path_factory: pytest.TempPathFactory):
    """A day with crashes, an outage and storms: its result and what was recorded."""
    path = tmp_path_factory.mktemp("day") / "day.om"
    return rehearse(WORLD, contacts=120, seed=5, metrics=path), path


def without_histograms(text: str) -> str:
    """The client's parser takes a histogram at one instant only; promtool takes all of it, below."""
    parts = re.split(r"^(?=# TYPE |# EOF)", text, flags=re.MULTILINE)
    return "".join(part for part in parts if " histogram\n" not in part.partition("\n")[0] + "\n")


def test_the_record_is_open_metrics_of_the_virtual_day(day) -> None:
    done, path = day
    text = path.read_text(encoding="utf-8")
    assert "# TYPE p2p_queue_wait_seconds histogram" in text
    families = list(text_string_to_metric_families(without_histograms(text)))
    assert {"up", "p2p_messages_accepted", "p2p_queue_messages"} <= {each.name for each in families}
    stamps = [float(sample.timestamp) for each in families for sample in each.samples]
    began = WORLD.start_at
    assert began <= min(stamps)
    assert max(stamps) <= began + WORLD.duration_s + EVERY_S
    assert {sample.labels["environment"] for each in families for sample in each.samples} == {"rehearsal"}
    accepted = [
        sample.value
        for each in families
        if each.name == "p2p_messages_accepted"
        for sample in each.samples
        if sample.labels["kind"] == "initial" and sample.labels["channel"] == "sms"
    ]
    assert 0 < max(accepted) <= done.result.messages.requested


def test_a_gateway_that_crashed_is_down_for_a_while(day) -> None:
    _, path = day
    ups = [
        line.split(" ")[-2]
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("up{")
    ]
    assert len(ups) >= WORLD.duration_s / EVERY_S - 2
    assert set(ups) <= {"0", "1"}


def test_recording_changes_nothing_of_the_rules(day) -> None:
    done, _ = day
    assert done.result.held


def test_promtool_makes_blocks_of_it(day, tmp_path: Path) -> None:
    _, path = day
    try:
        promtool = find("promtool")
    except NotHere as why:
        pytest.skip(str(why))
    words = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(path), str(tmp_path / "blocks")]
    made = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert made.returncode == 0, made.stdout + made.stderr
    assert list((tmp_path / "blocks").glob("*/meta.json"))
