"""How full what the gateway has a limited amount of is, and what waits in it, once a second while it is loaded.

Read from its metrics, on the listener for the house: one shape for all, `p2p_saturation_ratio`, and the process's own CPU
and files. See `dashboards/resources.py` for what each is.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import gevent
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from loadtests.asking import Asker
from loadtests.pacer import Failed

PLANNED: Final = frozenset({"number_rate", "campaign_rate", "carrier_rate", "tmobile_day", "numbers"})
"""A bank uses all of these, and that is what they are for."""
FULL: Final = 0.9

_READ_EVERY_S: Final = 1.0
_WANTED: Final = (
    "p2p_saturation_ratio",
    "p2p_queue_messages",
    "p2p_queue_oldest_age_seconds",
    "p2p_build_info",
    "p2p_config_info",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
    "process_resident_memory_bytes",
)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One look. `full`: by resource, 0 to 1; `cpu` is of one core, since the look before."""

    at_s: float
    full: dict[str, float]
    queued: float
    oldest_s: float
    memory_mb: float


class Gauges:
    """Without an asker nothing is read."""

    def __init__(self, asker: Asker | None) -> None:
        self.samples: list[Sample] = []
        self.build: dict[str, str] = {}
        self._asker = asker
        self._cpu_before: tuple[float, float] | None = None

    def read(self, began_at: float) -> None:
        """Again and again, until nobody wants to know any more; a look that fails is left out."""
        while self._asker is not None:
            at = time.perf_counter()
            try:
                status, content, _ = self._asker.ask("GET", "/metrics")
                if status == 200:
                    self.look(content.decode(), at - began_at)
            except (Failed, ValueError):
                pass
            gevent.sleep(max(0.0, at + _READ_EVERY_S - time.perf_counter()))

    def look(self, text: str, at_s: float) -> None:
        """Keeps what one answer of the metrics says."""
        lines = "\n".join(line for line in text.splitlines() if line.startswith(_WANTED)) + "\n"
        found = [sample for family in text_string_to_metric_families(lines) for sample in family.samples]
        for sample in found:
            if sample.name in ("p2p_build_info", "p2p_config_info") and sample.value:
                self.build.update(sample.labels)
        full = {each.labels["resource"]: each.value for each in found if each.name == "p2p_saturation_ratio"}
        full.update(self._of_process(found, at_s))
        self.samples.append(
            Sample(
                at_s=round(at_s, 3),
                full={name: round(share, 4) for name, share in full.items()},
                queued=sum(_values(found, "p2p_queue_messages")),
                oldest_s=max(_values(found, "p2p_queue_oldest_age_seconds"), default=0.0),
                memory_mb=round(sum(_values(found, "process_resident_memory_bytes")) / 1e6, 1),
            )
        )

    def _of_process(self, found: Iterable[Any], at_s: float) -> dict[str, float]:
        full: dict[str, float] = {}
        files, most = (sum(_values(found, f"process_{name}_fds")) for name in ("open", "max"))
        if most:
            full["open_files"] = files / most
        cpu_s = sum(_values(found, "process_cpu_seconds_total"))
        if self._cpu_before is not None and at_s > self._cpu_before[0]:
            full["cpu"] = (cpu_s - self._cpu_before[1]) / (at_s - self._cpu_before[0])
        self._cpu_before = (at_s, cpu_s)
        return full


def _values(found: Iterable[Any], name: str) -> list[float]:
    return [each.value for each in found if each.name == name]


def fullest(
    samples: Sequence[Sample], from_s: float = 0.0, to_s: float = float("inf")
) -> list[tuple[str, float]]:
    """(resource, how full it was in the median) of what must not be full, fullest first."""
    of_each: dict[str, list[float]] = {}
    for sample in samples:
        if from_s <= sample.at_s < to_s:
            for name, share in sample.full.items():
                of_each.setdefault(name, []).append(share)
    middle = {name: sorted(shares)[len(shares) // 2] for name, shares in of_each.items()}
    return sorted(
        ((name, share) for name, share in middle.items() if name not in PLANNED),
        key=lambda each: (-each[1], each[0]),
    )
