"""One seed, one result: in one process, in two, whatever Python's hash seed; luck belongs to persons."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from simulator.report.result import Rehearsed
from tests.rehearsal.conftest import Rehearse
from tests.rehearsal.small_worlds import ELECTION_DAY, campaign, chaotic, small

MEASURED = {"wall_seconds", "cpu_seconds", "setup_seconds", "peak_rss_bytes"}
WORLD = chaotic(ELECTION_DAY, hours=1.5)

SCENARIO = """
base = "election-day"
duration_s = 3600
[people]
reply_share = 0.35
opt_out_share = 0.2
reply_median_s = 60
[volunteers]
count = 5
desk_until_h = 1.0
shifts = [{ from_h = 0.0, to_h = 0.8, share = 1.0 }]
[webhooks]
twice_share = 0.15
overtaken_share = 0.1
[faults]
answers_lost_after_share = 0.05
throttled_share = 0.05
[faults.chaos]
gateway_crashes = 2
outages = 1
number_bans = 2
"""


def said(done: Rehearsed) -> dict[str, Any]:
    """All that a result says but what is measured with a watch."""
    content = msgspec.to_builtins(done.result)
    assert content.keys() >= MEASURED
    return {name: value for name, value in content.items() if name not in MEASURED}


def test_the_same_seed_twice(rehearse: Rehearse) -> None:
    first, second = (rehearse(WORLD, contacts=150, seed=5) for _ in range(2))
    assert first.result.trace_hash == second.result.trace_hash
    assert said(first) == said(second)


def test_another_seed_is_another_world(rehearse: Rehearse) -> None:
    hashes = {rehearse(WORLD, contacts=60, seed=seed).result.trace_hash for seed in (1, 2, 3)}
    assert len(hashes) == 3


def test_two_processes_with_different_hash_seeds(tmp_path: Path) -> None:
    (tmp_path / "world.toml").write_text(SCENARIO, encoding="utf-8")
    command = [sys.executable, "-c", "from gateway.cli import main; main()", "rehearse", "world.toml"]
    runs = [
        subprocess.Popen(
            [*command, "--contacts", "120", "--seed", "9", "--json", "--report", hash_seed],
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for hash_seed in ("1", "2")
    ]
    outputs = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    first, second = (json.loads(out) for out, _ in outputs)
    assert first["trace_hash"] == second["trace_hash"]
    assert first["messages"]["requested"] > 50
    for name in MEASURED:
        del first[name], second[name]
    assert first == second


def first_words(done: Rehearsed) -> dict[int, str]:
    """What each person who wrote back wrote first."""
    people = done.ledger.inbound.columns()["person"].tolist()
    words: dict[int, str] = {}
    for person, text in zip(people, done.ledger.inbound_texts, strict=True):
        words.setdefault(person, text)
    return words


def test_a_voter_behaves_alike_in_another_world(rehearse: Rehearse) -> None:
    """Another pool of numbers, another pace, more contacts: nobody changes his mind."""
    talkative = replace(ELECTION_DAY.people, reply_share=0.3, opt_out_share=0.1, reply_median_s=60.0)
    plain = small(ELECTION_DAY, hours=3.0, people=talkative)
    volunteers = replace(plain.volunteers, tap_median_s=8.0)
    worlds = {
        "plain": (plain, 150),
        "many numbers": (campaign(plain, rotate_after=10), 150),
        "slow volunteers": (replace(plain, volunteers=volunteers), 150),
        "more contacts": (plain, 200),
    }
    done = {name: rehearse(world, contacts=n, seed=4) for name, (world, n) in worlds.items()}
    assert done["many numbers"].result.numbers.bought > done["plain"].result.numbers.bought
    expected = first_words(done["plain"])
    assert len(expected) > 30
    for name, other in done.items():
        words = first_words(other)
        both = expected.keys() & words.keys()
        assert len(both) >= 0.9 * len(expected), name
        assert {person: words[person] for person in both} == {p: expected[p] for p in both}, name
