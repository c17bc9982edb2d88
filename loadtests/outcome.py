"""What Locust's master writes at the end of a run, for whoever judges it."""

from typing import Any

import msgspec

from loadtests.gauges import Sample
from loadtests.recording import Handed, invalid_because
from loadtests.timeline import Step


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What people asked of one route, seconds by percentile: closed, from the request to the answer.

    `milliseconds`: how many answers took so long, as Locust rounds it (two digits above 100 ms).
    """

    name: str
    requests: int
    failures: int
    seconds: dict[str, float]
    milliseconds: dict[str, int] = {}


class PhaseFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The batches that were meant from `from_s` to before `to_s`: `Recording.figures()`."""

    name: str
    from_s: float
    to_s: float
    open: dict[str, Any]


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """What the carrier was told to do, and when; `refused`: why it did not, "" when it did."""

    kind: str
    at_s: float
    lasts_s: float
    refused: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """`acknowledged`: the ids of all texts that the API took. `stopped_because`: "" when everybody was texted.

    Instants count from the first at which anybody was to arrive, which is second `market_s` of the carrier's ledger.
    `parts` and `steps` are the integrators' batches, `joins` the volunteers' coming; `turned_away` of them could not join.
    `samples`: the gateway's own metrics; `gateway`: its version, commit and hash of settings. `streamed`: events that an
    admin's stream told. `answer`: to the question of the shape. `unmet`: what else makes the run invalid.
    """

    parts: list[Handed]
    acknowledged: list[int]
    stopped_because: str
    lasted_s: float
    routes: list[Route]
    errors: dict[str, int]
    joins: list[Handed] = []
    turned_away: int = 0
    phases: list[PhaseFigures] = []
    steps: list[Step] = []
    events: list[Happened] = []
    samples: list[Sample] = []
    gateway: dict[str, str] = {}
    streamed: int = 0
    market_s: float = 0.0
    answer: str = ""
    unmet: list[str] = []

    def invalid(self, workers: int) -> list[str]:
        """Why the run's figures mean nothing; empty when they hold."""
        ended_early = [self.stopped_because] if self.stopped_because else []
        joins = [] if self.joins == [] else invalid_because(self.joins, len(self.joins))
        away = [f"{self.turned_away:,} volunteers could not join"] if self.turned_away else []
        came = [f"volunteers: {each}" for each in joins]
        return ended_early + away + invalid_because(self.parts, workers) + came + self.unmet
