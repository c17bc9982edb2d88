"""The twin rehearses a load test's bank before it: the same people, volunteers and pace, in virtual time.

A rehearsal's clock counts seconds in which a database may answer late; volunteers of a load test click faster than that. So
it runs in slow motion: everybody is `slowness` times as slow, and what comes of it is divided by it again.
"""

import csv
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec

from loadtests.house import TOWN
from loadtests.people import CENTRAL, EASTERN
from loadtests.plan import BUCKET

_DAY_S: Final = 9.0 * 3600
"""Of the eleven hours in which everybody may be texted, those that a bank in slow motion may fill."""
_MOST_SLOWNESS: Final = 100.0
_MOST_SHIFTS: Final = 100
_WITHIN_S: Final = 900.0
_CLICKS_A_SEND: Final = 1.25
"""Each fifth click is a look into the inbox."""
_LATE_TAPS: Final = (2**-0.5, 6.94 * 2**-0.5)
"""Median and p99, in means, of a lognormal time whose deviation is its mean, as that of an exponential one is."""
_ZONES: Final = {"Eastern": EASTERN, "Central": CENTRAL}


class Unforetold(Exception):
    """The rehearsal came to nothing; the message says why."""


class Bank(msgspec.Struct, frozen=True, kw_only=True):
    """What volunteers are to do: `comes_s`: when each begins; `answers_s`: how long they wait for the gateway with each Send."""

    people: Sequence[dict[str, str]]
    comes_s: Sequence[float]
    think_s: float
    answers_s: float
    seed: int

    @property
    def click_s(self) -> float:
        """From one Send to the next."""
        return _CLICKS_A_SEND * self.think_s + self.answers_s

    @property
    def roughly_s(self) -> float:
        """How long it will take, if everybody has as much to do."""
        return max(self.comes_s) + self.click_s * (len(self.people) / len(self.comes_s) + 100)

    @property
    def slowness(self) -> float:
        return max(1.0, min(_MOST_SLOWNESS, _DAY_S / self.roughly_s))


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """`finished_s` by zone, from the first text to the last first text there; `accepted`: texts that were asked for.

    `slowness`: how many times as slow as the load test it was. `verdict`: the twin's own.
    """

    finished_s: dict[str, float]
    accepted: int
    verdict: str
    slowness: float
    wall_s: float


def scenario(bank: Bank) -> str:
    """The bank as a scenario's file, over the town that the load test has."""
    slow = bank.slowness
    median, p99 = (bank.click_s * slow * share for share in _LATE_TAPS)
    tables: dict[str, dict[str, Any]] = {
        "campaign": {"settle_s": 0, "rotate_after": 10_000, "preferred_area_codes": ["602"]},
        "population": {"landline_share": 0.0, "dead_share": 0.0, "reassigned_share": 0.0},
        "people": {
            "reply_median_s": 2.0 * slow,
            "reply_longest_s": 6.0 * slow,
            "reply_shortest_s": 0.5 * slow,
        },
        "volunteers": {
            "count": len(bank.comes_s),
            "bucket": BUCKET,
            "desk_share": 0.0,
            "late_at_most_s": 0.0,
            "double_tap_share": 0.0,
            "break_every_s": 1e6,
            "break_s": 0.0,
            "tap_median_s": median,
            "tap_p99_s": p99,
            "inbox_every_s": 5 * bank.think_s * slow,
            "answer_median_s": 0.1,
            "answer_p99_s": 0.5,
            "retry_claim_s": 60.0,
            "shifts": _shifts(bank),
        },
    }
    head = {
        "base": str(TOWN),
        "start": "2026-11-03T10:00:00",  # nine o'clock in the latest of its zones
        "duration_s": 39_600,
        "title": "The bank of a load test",
    }
    lines = [f"{name} = {value if name == 'start' else _toml(value)}" for name, value in head.items()]
    for table, values in tables.items():
        lines += ["", f"[{table}]", *(f"{name} = {_toml(value)}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


def _shifts(bank: Bank) -> list[dict[str, float]]:
    """Volunteers who come together; as many groups as a file may have."""
    comes = sorted(bank.comes_s)
    groups = min(len(comes), _MOST_SHIFTS)
    edges = [round(nth * len(comes) / groups) for nth in range(groups + 1)]
    return [
        {
            "from_h": comes[(first + end) // 2] * bank.slowness / 3600,
            "to_h": 11.0,
            "share": (end - first) / len(comes),
        }
        for first, end in pairwise(edges)
    ]


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {_toml(each)}' for name, each in value.items())} }}"
    return msgspec.json.encode(value).decode()


def rehearsed(bank: Bank, folder: Path) -> Rehearsal:
    """What the twin makes of it, as a process of its own; raises Unforetold."""
    file, people = folder / "bank.toml", folder / "people.csv"
    file.write_text(scenario(bank), encoding="utf-8")
    with people.open("w", encoding="utf-8", newline="") as rows:
        writer = csv.DictWriter(rows, ("phone", "first_name"))
        writer.writeheader()
        writer.writerows(bank.people)
    words = [sys.executable, "-m", "gateway", "rehearse", str(file), "--list", str(people), "--json"]
    words += ["--seed", str(bank.seed), "--report", str(folder / "rehearsal")]
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=False,
            timeout=_WITHIN_S,
            cwd=Path(__file__).parents[1],
        )
    except subprocess.TimeoutExpired as error:
        raise Unforetold(f"the rehearsal took longer than {_WITHIN_S:,.0f} s") from error
    if done.returncode:
        raise Unforetold(f"the rehearsal ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return _read(done.stdout, bank)


def _read(said: str, bank: Bank) -> Rehearsal:
    told = msgspec.json.decode(said)
    finished = {
        _ZONES[zone]: last_s / bank.slowness for zone, last_s in told["texted_s"].items() if zone in _ZONES
    }
    if told["list"]["used"] != len(bank.people) or len(finished) != len(told["texted_s"]):
        raise Unforetold("the rehearsal did not take everybody for who they are")
    return Rehearsal(
        finished_s=finished,
        accepted=told["messages"]["requested"] - sum(told["messages"]["blocked"].values()),
        verdict=told["verdict"],
        slowness=bank.slowness,
        wall_s=told["wall_seconds"],
    )
