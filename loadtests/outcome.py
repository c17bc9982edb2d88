"""What Locust's master writes at the end of a run, for whoever judges it."""

import msgspec

from loadtests.recording import Handed, invalid_because


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What people asked of one route, seconds by percentile: closed, from the request to the answer."""

    name: str
    requests: int
    failures: int
    seconds: dict[str, float]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """`acknowledged`: the ids of all texts that the API took. `stopped_because`: "" when everybody was texted."""

    parts: list[Handed]
    acknowledged: list[int]
    stopped_because: str
    lasted_s: float
    routes: list[Route]
    errors: dict[str, int]

    def invalid(self, workers: int) -> list[str]:
        """Why the run's figures mean nothing; empty when they hold."""
        ended_early = [self.stopped_because] if self.stopped_because else []
        return ended_early + invalid_because(self.parts, workers)
