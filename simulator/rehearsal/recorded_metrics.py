"""The gateway's metrics over a rehearsed day, as a Prometheus that looks every 15 seconds would have them.

Written as OpenMetrics with virtual time stamps: `promtool tsdb create-blocks-from openmetrics` makes blocks of them, and
what judges alerts reads them. A rehearsal has no door, so nothing is told of HTTP; a gateway that crashed tells nothing
while it is away, and `up` is 0. Between two looks few series move: only what moved is kept.
"""

import asyncio
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from gateway.app import Gateway
from gateway.upkeep.headcount import Headcount

EVERY_S: Final = 15.0
"""As the Prometheus of dashboards/scraping.py looks."""
_COUNTED_EVERY: Final = (
    20  # looks: what only the database knows; each of its answers takes seconds in a rehearsal
)
UP: Final = "up"
BEGAN: Final = "process_start_time_seconds"
_LE: Final = re.compile(r'le="[^"]*",?')
_LABELS: Final = 'environment="rehearsal",instance="rehearsal",job="textbank"'


class Steps:
    """A series that stays as it is until it is put anew: at which looks that was, and to what."""

    __slots__ = ("looks", "values")

    def __init__(self) -> None:
        self.looks = array("L")
        self.values = array("d")

    def put(self, nth: int, value: float) -> None:
        if not self.values or self.values[-1] != value:
            self.looks.append(nth)
            self.values.append(value)

    def over(self, looks: int) -> Iterator[float | None]:
        """The value at each look; None before the first."""
        value, at = None, 0
        for nth in range(looks):
            if at < len(self.looks) and self.looks[at] == nth:
                value, at = self.values[at], at + 1
            yield value


class RecordedMetrics:
    """Looks at the living gateway again and again; `write` puts down what moved at all."""

    def __init__(
        self, living: Callable[[], Gateway | None], start_at: float, path: Path | None = None
    ) -> None:
        self._living = living
        self._path = path
        self._start_at = start_at
        self._times: list[float] = []  # Unix seconds
        self._away: set[int] = set()  # looks that met no gateway
        self._series: dict[str, Steps] = {UP: Steps(), BEGAN: Steps()}
        self._types: dict[str, str] = {UP: "gauge", BEGAN: "gauge"}
        self._told: list[str] = []
        self._last: Gateway | None = None
        self._began_at = 0.0

    def start(self, loop: asyncio.AbstractEventLoop) -> list[asyncio.Task[None]]:
        """Begins, if anybody wants to have them."""
        return [] if self._path is None else [loop.create_task(self.run(), name="metrics")]

    async def run(self) -> None:
        """For ever. Reads the database for the gauges that need it, as a worker's upkeep does."""
        while True:
            self._look()
            if len(self._times) % _COUNTED_EVERY == 1:
                await self._count()
            await asyncio.sleep(EVERY_S - asyncio.get_running_loop().time() % EVERY_S)

    def _look(self) -> None:
        nth, gateway = len(self._times), self._living()
        self._times.append(self._start_at + asyncio.get_running_loop().time())
        self._series[UP].put(nth, float(gateway is not None))
        if gateway is None:
            self._away.add(nth)
            return
        if gateway is not self._last:
            self._last, self._began_at = gateway, self._times[-1]
        self._series[BEGAN].put(nth, self._began_at)
        gateway.look()
        self._note(gateway.metrics.exposition().decode().splitlines(), nth)

    async def _count(self) -> None:
        """What only the database knows; a gateway that crashes meanwhile is counted next time."""
        gateway = self._living()
        if gateway is None:
            return
        keys = sorted(road.campaign.key for road in gateway.dispatch.roads.values())
        people = Headcount(gateway.database, gateway.clock, gateway.metrics, gateway.admission)
        await gateway.workload.run_once()
        await people.run_once(keys)

    def _note(self, told: list[str], nth: int) -> None:
        """What was not told just so by the look before."""
        before = self._told if len(self._told) == len(told) else [""] * len(told)
        self._told = told
        for line, was in zip(told, before, strict=True):
            if line == was:
                continue
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self._types.setdefault(name, kind)
            elif not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                self._series.setdefault(series, Steps()).put(nth, float(value))

    def write(self) -> None:
        """OpenMetrics with time stamps, if anybody wants to have them. Raises OSError."""
        if self._path is not None:
            with self._path.open("w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        families: dict[str, dict[str, list[str]]] = {name: {} for name in self._types}
        for series, values in self._series.items():
            if series == UP or any(values.values):
                name, _, labels = series.rstrip("}").partition("{")
                groups = families[self._family(name)]
                groups.setdefault(_LE.sub("", labels).strip(","), []).append(series)
        for family, groups in families.items():
            if groups:
                yield f"# TYPE {family.removesuffix('_total')} {self._types[family]}"
            for group in groups.values():
                yield from self._samples(group)
        yield "# EOF"

    def _family(self, name: str) -> str:
        if name in self._types:
            return name
        return name.rpartition("_")[0]  # a histogram's part

    def _samples(self, group: Sequence[str]) -> Iterator[str]:
        """The series of one set of labels, a histogram's buckets together, one instant after the other."""
        labelled = [_labelled(series) for series in group]
        told = [self._series[series].over(len(self._times)) for series in group]
        for nth, (at, *values) in enumerate(zip(self._times, *told, strict=True)):
            for series, name, value in zip(group, labelled, values, strict=True):
                if value is not None and (nth not in self._away or series == UP):
                    yield f"{name} {value:.15g} {at:.3f}"


def _labelled(series: str) -> str:
    name, _, own = series.rstrip("}").partition("{")
    return f"{name}{{{own},{_LABELS}}}" if own else f"{name}{{{_LABELS}}}"
