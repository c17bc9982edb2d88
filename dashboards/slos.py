"""What is promised to campaigns and their volunteers, as error budgets: one row makes rules, alerts, panels and docs.

An event is good or not. Refusals by a safeguard and answers 4xx are good: the gateway did its work. The objectives are
those of the season; a bank of twelve hours has a budget of its own, since 30 days hide an election day.
"""

from dataclasses import dataclass
from typing import Final

SENDS: Final = "/v1/messages|/v1/messages:batch|/v1/campaigns/.*/(answers|responses|initials?|sends?)"
"""The routes by which texts come in; Prometheus matches the whole of it."""


@dataclass(frozen=True, kw_only=True)
class Slo:
    """`good` and `total` are counters with matchers; `bank_objective` holds on a bank's day."""

    name: str
    alert: str  # what its alerts begin with
    title: str
    question: str  # the panel's
    objective: float
    good: str
    total: str
    runbook: str
    note: str
    bank_objective: float | None = None
    least_events: int = 100  # in an hour: below, a share says little


def _within(histogram: str, seconds: float, matchers: str = "") -> tuple[str, str]:
    """Good and total of a histogram whose buckets end at the objective."""
    comma = "," if matchers else ""
    good = f'{histogram}_bucket{{{matchers}{comma}le="{seconds}"}}'
    return good, f"{histogram}_count{{{matchers}}}" if matchers else f"{histogram}_count"


_ACCEPT = _within("p2p_http_request_duration_seconds", 0.25, f'route=~"{SENDS}"')
_REPLY = _within("p2p_queue_wait_seconds", 2.0, 'lane="reply"')
_INITIAL = _within("p2p_hand_over_lateness_seconds", 60.0, 'lane="initial"')
_INBOUND = _within("p2p_http_request_duration_seconds", 2.0, 'route=~"/webhooks/.*/inbound"')
_STOP = _within("p2p_optout_apply_seconds", 1.0)
_WEBHOOK = _within("p2p_http_request_duration_seconds", 1.0, 'route=~"/webhooks/.*"')

SLOS: Final = (
    Slo(
        name="accept_availability",
        alert="Accept",
        title="The API answers",
        question="Does the API answer?",
        objective=0.999,
        bank_objective=0.9995,
        good='p2p_http_requests_total{route=~"/v1/.*",status!="5xx"}',
        total='p2p_http_requests_total{route=~"/v1/.*"}',
        runbook="accept-availability",
        note="every answer but 5xx; being turned away when there is too much (503) counts against it",
    ),
    Slo(
        name="accept_latency",
        alert="AcceptLatency",
        title="A text is accepted within 250 ms",
        question="Is a text accepted within 250 ms?",
        objective=0.99,
        good=_ACCEPT[0],
        total=_ACCEPT[1],
        runbook="accept-latency",
        note="durable: the answer goes out after the commit",
    ),
    Slo(
        name="reply_hand_over",
        alert="ReplyHandOver",
        title="A reply is handed over within 2 s",
        question="Is a reply handed over within 2 s?",
        objective=0.99,
        good=_REPLY[0],
        total=_REPLY[1],
        runbook="reply-hand-over",
        note="from being due; the lane of replies never waits behind first texts",
        least_events=20,
    ),
    Slo(
        name="initial_hand_over",
        alert="InitialHandOver",
        title="A first text is handed over within 60 s of its slot",
        question="Is a first text handed over within 60 s of its slot?",
        objective=0.95,
        good=_INITIAL[0],
        total=_INITIAL[1],
        runbook="initial-hand-over",
        note="pacing is meant, so it is judged against the slot and not against the request",
    ),
    Slo(
        name="inbound_visible",
        alert="InboundVisible",
        title="A person's text is visible within 2 s",
        question="Is a person's text visible within 2 s?",
        objective=0.99,
        good=_INBOUND[0],
        total=_INBOUND[1],
        runbook="inbound-visible",
        note="its webhook is answered when the conversation shows it",
        least_events=20,
    ),
    Slo(
        name="stop_effective",
        alert="StopEffective",
        title="A STOP is in force within 1 s",
        question="Is a STOP in force within 1 s?",
        objective=0.9999,
        good=_STOP[0],
        total=_STOP[1],
        runbook="stop-is-slow",
        note="that none is sent after it is no objective but a promise: see the alert BooksDisagree and the auditor",
        least_events=5,
    ),
    Slo(
        name="webhook_answered",
        alert="WebhookAnswered",
        title="A webhook is answered within 1 s",
        question="Is a webhook answered within 1 s?",
        objective=0.999,
        good=_WEBHOOK[0],
        total=_WEBHOOK[1],
        runbook="webhook-answered",
        note="slow answers make the provider call again, which is more load",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Burn:
    """An alert on how fast a budget goes: `factor` times what would use it up in the window, over both windows."""

    suffix: str
    factor: float
    long: str
    short: str
    for_: str
    severity: str
    means: str


BURNS: Final = (
    Burn(
        suffix="BurnFast",
        factor=14.4,
        long="1h",
        short="5m",
        for_="2m",
        severity="page",
        means="2 % of the 30-day budget went in an hour",
    ),
    Burn(
        suffix="BurnQuick",
        factor=6,
        long="6h",
        short="30m",
        for_="15m",
        severity="page",
        means="5 % of the 30-day budget went in six hours",
    ),
    Burn(
        suffix="BurnSlow",
        factor=3,
        long="1d",
        short="2h",
        for_="1h",
        severity="ticket",
        means="10 % of the 30-day budget went in a day",
    ),
    Burn(
        suffix="BurnCreeping",
        factor=1,
        long="3d",
        short="6h",
        for_="3h",
        severity="ticket",
        means="the 30-day budget will not last",
    ),
)
"""Of a budget of 30 days."""

BANK_BURNS: Final = (
    Burn(
        suffix="BankBurnFast",
        factor=4.8,
        long="15m",
        short="5m",
        for_="1m",
        severity="page",
        means="10 % of a 12-hour bank's budget went in 15 minutes",
    ),
    Burn(
        suffix="BankBurn",
        factor=2.4,
        long="1h",
        short="15m",
        for_="5m",
        severity="page",
        means="20 % of a 12-hour bank's budget went in an hour",
    ),
)
"""Of the budget of one bank of twelve hours; only while a bank runs."""

WINDOWS: Final = ("5m", "15m", "30m", "1h", "2h", "6h", "12h", "1d", "3d", "30d")
LONG_WINDOWS: Final = frozenset({"6h", "12h", "1d", "3d", "30d"})
