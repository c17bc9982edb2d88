"""The gateway's metrics over a rehearsed day, as a Prometheus that looks every minute would have them.

Written as OpenMetrics with virtual time stamps: `promtool tsdb create-blocks-from openmetrics` makes blocks of them, and
what judges alerts reads them. A rehearsal has no door, so nothing is told of HTTP; a gateway that crashed tells nothing
while it is away, and `up` is 0.
"""

import asyncio
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from math import isnan, nan
from pathlib import Path
from typing import Final

from gateway.app import Gateway
from gateway.upkeep.headcount import Headcount

EVERY_S: Final = 60.0
_COUNTED_EVERY: Final = (
    5  # looks: what only the database knows; each of its answers takes seconds in a rehearsal
)
UP: Final = "up"
_LE: Final = re.compile(r'le="[^"]*",?')
_LABELS: Final = 'environment="rehearsal",instance="rehearsal",job="textbank"'


class RecordedMetrics:
    """Looks at the living gateway again and again; `write` puts down what moved at all."""

    def __init__(
        self, living: Callable[[], Gateway | None], start_at: float, path: Path | None = None
    ) -> None:
        self._living = living
        self._path = path
        self._start_at = start_at
        self._times: list[float] = []  # Unix seconds
        self._series: dict[str, array[float]] = {UP: array("d")}  # nan: it was not told
        self._types: dict[str, str] = {UP: "gauge"}

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
        gateway = self._living()
        told: list[str] = []
        if gateway is not None:
            gateway.look()
            told = gateway.metrics.exposition().decode().splitlines()
        self._note(told, is_up=gateway is not None)

    async def _count(self) -> None:
        """What only the database knows; a gateway that crashes meanwhile is counted next time."""
        gateway = self._living()
        if gateway is None:
            return
        keys = sorted(road.campaign.key for road in gateway.dispatch.roads.values())
        people = Headcount(gateway.database, gateway.clock, gateway.metrics, gateway.admission)
        await gateway.workload.run_once()
        await people.run_once(keys)

    def _note(self, told: list[str], *, is_up: bool) -> None:
        nth = len(self._times)
        self._times.append(self._start_at + asyncio.get_running_loop().time())
        self._put(UP, nth, float(is_up))
        for line in told:
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self._types.setdefault(name, kind)
            elif not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                self._put(series, nth, float(value))

    def _put(self, series: str, nth: int, value: float) -> None:
        values = self._series.setdefault(series, array("d"))
        values.extend([nan] * (nth - len(values)))
        values.append(value)

    def write(self) -> None:
        """OpenMetrics with time stamps, if anybody wants to have them. Raises OSError."""
        if self._path is not None:
            with self._path.open("w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        families: dict[str, dict[str, list[str]]] = {name: {} for name in self._types}
        for series, values in self._series.items():
            if series == UP or any(value and not isnan(value) for value in values):
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
        for nth, at in enumerate(self._times):
            for series, name in zip(group, labelled, strict=True):
                values = self._series[series]
                if nth < len(values) and not isnan(values[nth]):
                    yield f"{name} {values[nth]:.15g} {at:.3f}"


def _labelled(series: str) -> str:
    name, _, own = series.rstrip("}").partition("{")
    return f"{name}{{{own},{_LABELS}}}" if own else f"{name}{{{_LABELS}}}"
