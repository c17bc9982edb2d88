"""What is promised, as a load test reads it from the gateway's metrics: the objectives of docs/reference/objectives.md.

They are written down once more here, since load tests know the gateway only by what it tells over HTTP; a test compares
them with those that make the alerts.
"""

import re
from collections.abc import Mapping
from math import sqrt
from typing import Final

import msgspec

_SENDS: Final = "/v1/messages|/v1/messages:batch|/v1/campaigns/.*/(answers|responses|initials?|sends?)"


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """At least `share` of events are good. `good` and `total` are counters; good ones end in a bucket or have a status.

    `where`: labels of its rows, each a regular expression over the whole value.
    """

    name: str
    title: str
    share: float
    good: str
    total: str
    within_s: float | None = None
    where: Mapping[str, str] = {}

    def is_of(self, labels: Mapping[str, str]) -> bool:
        return all(re.fullmatch(pattern, labels.get(name, "")) for name, pattern in self.where.items())

    def is_good(self, labels: Mapping[str, str]) -> bool:
        if self.within_s is None:
            return labels.get("status") != "5xx"
        return "le" in labels and float(labels["le"]) == self.within_s


def _within(name: str, title: str, share: float, histogram: str, seconds: float, **where: str) -> Objective:
    good, total = f"{histogram}_bucket", f"{histogram}_count"
    return Objective(
        name=name, title=title, share=share, good=good, total=total, within_s=seconds, where=where
    )


_HTTP: Final = "p2p_http_request_duration_seconds"
OBJECTIVES: Final = (
    Objective(
        name="accept_availability",
        title="The API answers",
        share=0.9995,
        good="p2p_http_requests_total",
        total="p2p_http_requests_total",
        where={"route": "/v1/.*"},
    ),
    _within("accept_latency", "A text is accepted within 250 ms", 0.99, _HTTP, 0.25, route=_SENDS),
    _within(
        "reply_hand_over",
        "A reply is handed over within 2 s",
        0.99,
        "p2p_queue_wait_seconds",
        2.0,
        lane="reply",
    ),
    _within(
        "initial_hand_over",
        "A first text is handed over within 60 s of its slot",
        0.95,
        "p2p_hand_over_lateness_seconds",
        60.0,
        lane="initial",
    ),
    _within(
        "inbound_visible",
        "A person's text is visible within 2 s",
        0.99,
        _HTTP,
        2.0,
        route="/webhooks/.*/inbound",
    ),
    _within("stop_effective", "A STOP is in force within 1 s", 0.9999, "p2p_optout_apply_seconds", 1.0),
    _within("webhook_answered", "A webhook is answered within 1 s", 0.999, _HTTP, 1.0, route="/webhooks/.*"),
)


def share_between(good: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share, 95 % by default; (0, 1) of nothing."""
    if not total:
        return 0.0, 1.0
    share, z2 = good / total, z * z / total
    middle, half = share + z2 / 2, z * sqrt(share * (1 - share) / total + z2 / (4 * total))
    return max(0.0, (middle - half) / (1 + z2)), min(1.0, (middle + half) / (1 + z2))
