"""What judged days say: of faults, whether and how soon they are told; of alerts, how often they come when all is well."""

from collections.abc import Iterator, Sequence
from math import sqrt
from statistics import median
from typing import Final

import msgspec

from benchmarks.alert_days import Day
from benchmarks.alert_worlds import FAULTS, HEALTHY
from dashboards.alerts import ALERTS
from dashboards.judging import NOT_JUDGED
from dashboards.rules import slo_alerts

JUDGED: Final = {
    alert.name: alert for alert in (*slo_alerts(), *ALERTS) if not NOT_JUDGED.fullmatch(alert.name)
}
_Z: Final = 1.96


class Told(msgspec.Struct, frozen=True):
    """Of a fault: on how many days it was told, after how many seconds, and what else came on how many."""

    fault: str
    days: int
    delays_s: tuple[float, ...]
    paged: int  # days on which a page was among what told it
    others: dict[str, int]

    @property
    def median_s(self) -> float | None:
        return median(self.delays_s) if self.delays_s else None

    @property
    def slowest_s(self) -> float | None:
        return max(self.delays_s) if self.delays_s else None


class Quiet(msgspec.Struct, frozen=True):
    """Of an alert on healthy days: on how many it came, and the highest of each day that it compares with its limit."""

    alert: str
    days: int
    came: int
    highest: tuple[float, ...]
    told: tuple[float, ...]  # the highest on days of its faults

    @property
    def per_thousand(self) -> tuple[float, float, float]:
        """Days of a thousand on which it comes, and between what (95 %)."""
        return 1000 * self.came / max(1, self.days), *(1000 * each for each in interval(self.came, self.days))


def interval(some: int, of: int) -> tuple[float, float]:
    """Wilson's interval of a share, 95 %."""
    if not of:
        return 0.0, 1.0
    share, z2 = some / of, _Z * _Z
    middle, spread = share + z2 / (2 * of), _Z * sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, (middle - spread) / (1 + z2 / of)), min(1.0, (middle + spread) / (1 + z2 / of))


def by_fault(days: Sequence[Day]) -> Iterator[Told]:
    for name, fault in FAULTS.items():
        own = [day for day in days if day.fault == name]
        delays, paged = [], 0
        others: dict[str, int] = {}
        for day in own:
            late = [day.alerts[each] - day.began_s for each in fault.alerts if each in day.alerts]
            delays += [max(0.0, min(late))] if late else []
            paged += any(JUDGED[each].severity == "page" for each in fault.alerts if each in day.alerts)
            for alert in set(day.alerts) - set(fault.alerts):
                others[alert] = others.get(alert, 0) + 1
        yield Told(name, len(own), tuple(delays), paged, others)


def of_healthy(days: Sequence[Day]) -> Iterator[Quiet]:
    """Every judged alert, pages first."""
    healthy = [day for day in days if day.fault == HEALTHY]
    for name, alert in sorted(JUDGED.items(), key=lambda each: (each[1].severity, each[0])):
        faults = {fault for fault, known in FAULTS.items() if name in known.alerts}
        told = [day.highest[name] for day in days if day.fault in faults and name in day.highest]
        highest = [day.highest.get(name, 0.0) for day in healthy]
        yield Quiet(
            alert.name, len(healthy), sum(name in day.alerts for day in healthy), tuple(highest), tuple(told)
        )


def false_pages(days: Sequence[Day]) -> tuple[int, int]:
    """Healthy days on which any page came, and how many healthy days there are."""
    healthy = [day for day in days if day.fault == HEALTHY]
    paged = [day for day in healthy if any(JUDGED[each].severity == "page" for each in day.alerts)]
    return len(paged), len(healthy)
