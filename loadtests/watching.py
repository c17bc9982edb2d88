"""What the gateway's metrics say of a whole run, and what each process used: two readings, at its start and at its end.

It is HTTP like everything else here, and nothing depends on it: without an address the report says that the gateway was not
asked. How full things were in between is read by Locust's master.
"""

import http.client
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec
import psutil
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample as Row

from loadtests.objectives import OBJECTIVES, Objective

_ANSWERS_WITHIN_S: Final = 5.0
_SEGMENTS, _CPU, _BUILD, _CONFIG = (
    "p2p_segments_total",
    "process_cpu_seconds_total",
    "p2p_build_info",
    "p2p_config_info",
)
_NEEDED: Final = tuple(
    {_SEGMENTS, _CPU, _BUILD, _CONFIG} | {name for each in OBJECTIVES for name in (each.good, each.total)}
)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An objective's events during the run: those that were good, of all."""

    objective: str
    good: int
    total: int


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What happened between the two readings. `used`: CPU seconds by process, of those of this machine that are known.

    `segments`: how many by carrier, `encodings` by encoding.
    """

    kept: list[Kept]
    segments: dict[str, int]
    encodings: dict[str, int]
    build: dict[str, str]
    config: str
    used: dict[str, float]
    cores: int


class Watch:
    """Reads workers' metrics at its entry and its exit; `processes` are others of this machine, by name."""

    def __init__(
        self,
        addresses: Sequence[str] = (),
        processes: Mapping[str, int] | None = None,
        *,
        fetch: Callable[[str], str] | None = None,
    ) -> None:
        self._addresses = addresses
        self._processes = dict(processes or {})
        self._fetch = fetch or _fetched
        self._before: list[Row] = []
        self._after: list[Row] = []
        self._used: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._used = {name: -cpu_s for name, cpu_s in _cpu_s(self._processes).items()}
        self._before = self._read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._after = self._read()
        for name, cpu_s in _cpu_s(self._processes).items():
            self._used[name] = round(self._used.get(name, 0.0) + cpu_s, 3)

    def watched(self) -> Watched | None:
        """None where there was nothing to be read, or it did not answer."""
        if not self._before or not self._after:
            return None
        gateway_s = _sums(self._after, _CPU).get("", 0.0) - _sums(self._before, _CPU).get("", 0.0)
        return Watched(
            kept=[self._kept(objective) for objective in OBJECTIVES],
            segments=self._spent(_SEGMENTS, "carrier"),
            encodings=self._spent(_SEGMENTS, "encoding"),
            build=_labels(self._after, _BUILD),
            config=_labels(self._after, _CONFIG).get("hash", ""),
            used={"gateway": round(gateway_s, 3), **self._used},
            cores=psutil.cpu_count() or 1,
        )

    def _kept(self, objective: Objective) -> Kept:
        good, total = (
            int(after - before)
            for after, before in zip(
                events(self._after, objective), events(self._before, objective), strict=True
            )
        )
        return Kept(objective=objective.name, good=good, total=total)

    def _spent(self, metric: str, by: str) -> dict[str, int]:
        before = _sums(self._before, metric, by)
        spent = {
            name: int(now - before.get(name, 0.0)) for name, now in _sums(self._after, metric, by).items()
        }
        return {name: count for name, count in sorted(spent.items(), key=lambda each: -each[1]) if count}

    def _read(self) -> list[Row]:
        try:
            return [row for address in self._addresses for row in rows(self._fetch(address))]
        except (OSError, http.client.HTTPException, ValueError):
            return []


def rows(text: str) -> list[Row]:
    """The rows that a report needs, of an exposition."""
    lines = [line for line in text.splitlines() if line.startswith(_NEEDED)]
    return [
        row for family in text_string_to_metric_families("\n".join(lines) + "\n") for row in family.samples
    ]


def events(found: Sequence[Row], objective: Objective) -> tuple[float, float]:
    """(good, total) of an objective so far."""
    ours = [row for row in found if objective.is_of(row.labels)]
    total = sum(row.value for row in ours if row.name == objective.total)
    good = sum(row.value for row in ours if row.name == objective.good and objective.is_good(row.labels))
    return good, total


def _sums(found: Iterable[Row], metric: str, by: str = "") -> dict[str, float]:
    sums: dict[str, float] = {}
    for row in found:
        if row.name == metric:
            name = row.labels.get(by, "")
            sums[name] = sums.get(name, 0.0) + row.value
    return sums


def _labels(found: Iterable[Row], metric: str) -> dict[str, str]:
    return next((dict(row.labels) for row in found if row.name == metric), {})


def _fetched(address: str) -> str:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_ANSWERS_WITHIN_S)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _cpu_s(processes: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds of each process and its children so far, those that have ended included."""
    used = {}
    for name, pid in processes.items():
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            times = process.cpu_times()
            used[name] = times.children_user + times.children_system
            for each in (process, *process.children(recursive=True)):
                with suppress(psutil.Error):
                    own = each.cpu_times()
                    used[name] += own.user + own.system
    return used
