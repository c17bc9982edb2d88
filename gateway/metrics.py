"""Every Prometheus name of the gateway: declared once in FAMILIES, with closed label sets.

A label never carries a person, a message, a number, a campaign or a raw provider code: SQL and logs answer those.
All label sets exist from the start, so a rate is right from its first event. A Metrics object owns its registry:
tests and rehearsals make their own.
"""

from collections.abc import Iterable
from itertools import product
from typing import Generic, Literal, TypeVar

import prometheus_client
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from gateway.core.errors import CATALOGUE, Box, Reason
from gateway.core.lifecycle import MOVES, TERMINAL, State

# `_created` would double every counter and say nothing we ask.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

SERIES_BUDGET = 5000
"""Most series a process may expose: beyond, a scrape costs seconds of CPU."""


Combinations = tuple[tuple[str, ...], ...]
Child = TypeVar("Child", bound=MetricWrapperBase)


class Label(Struct, frozen=True):
    """A label and every value it may have; a value outside becomes `otherwise`, or is refused without one."""

    name: str
    values: tuple[str, ...]
    otherwise: str | None = None


class Family(Struct, frozen=True, kw_only=True):
    """A metric: what Prometheus calls it, what it means, and the series it has."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    only: Combinations | None = None  # the combinations that can occur, when not all can

    def combinations(self) -> list[tuple[str, ...]]:
        return list(self.only if self.only is not None else product(*(label.values for label in self.labels)))


def _safeguard_codes() -> tuple[str, ...]:
    return tuple(str(code) for code in sorted(CATALOGUE) if CATALOGUE[code].box is Box.SAFEGUARD)


ROUTES = (
    "/v1/messages",
    "/v1/messages:batch",
    "/v1/messages/{campaign_id}/{message_id}",
    "/v1/messages/{campaign_id}/{message_id}/story",
    "/v1/campaigns",
    "/v1/campaigns/{campaign_id}",
    "/v1/campaigns/{campaign_id}/contacts",
    "/v1/campaigns/{campaign_id}/numbers",
    "/v1/campaigns/{campaign_id}/registration",
    "/webhooks/twilio/status",
    "/webhooks/twilio/inbound",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
)
"""The door's route templates; what else is asked for counts as other."""

CARRIERS = ("att", "tmobile", "verizon", "uscellular", "regional", "voip", "unknown")
SUCCESS = "none"
_REASONS = tuple(Reason)
_FAILURES = tuple(state for state in State if state in TERMINAL and state is not State.DELIVERED)

CARRIER = Label("carrier", CARRIERS, "unknown")
CHANNEL = Label("channel", ("sms", "mms"))
CODE = Label("code", (*_safeguard_codes(), "other"), "other")
ENCODING = Label("encoding", ("GSM-7", "UCS-2"))
KIND = Label("kind", ("initial", "reply", "follow_up", "broadcast", "canvass", "invitation", "confirmation"))
LANE = Label("lane", ("reply", "retry", "initial"))
PROVIDER = Label("provider", ("twilio", "simulated", "other"), "other")
OUTCOME = Label("outcome", ("ok", "throttled", "rejected", "error", "timeout"))
LIMIT_SCOPE = Label("scope", ("number", "campaign", "carrier", "account"))
NUMBER_STATE = Label("state", ("active", "cooling", "quarantined", "provisioning", "retired"))
SELECTION = Label("outcome", ("sticky", "local", "fallback", "none"), "fallback")
WEBHOOK = Label("type", ("status", "inbound"))
WEBHOOK_RESULT = Label("result", ("ok", "duplicate", "stale", "bad_signature", "unknown", "error"))
RECOVERED = Label("what", ("inbound", "receipt"))
DIFFERENCE = Label("difference", ("unknown", "missing", "disagrees"))
CHORE = Label("chore", ("inbound_poll", "reconciliation"))
CHORE_RESULT = Label("result", ("ok", "error"))
METHOD = Label("method", ("GET", "POST", "PATCH", "other"), "other")
ROUTE = Label("route", (*ROUTES, "other"), "other")
STATUS = Label("status", ("2xx", "3xx", "4xx", "5xx"))
ROW = Label("result", ("accepted", "blocked", "rejected"))
INTENT = Label("intent", ("stop", "start", "help", "reply"))
OPT_OUT_SOURCE = Label("source", ("keyword", "manual", "provider", "import"))
INVARIANT = Label(
    "invariant", ("send_after_optout", "quiet_hours", "duplicate_send", "illegal_transition", "ledger")
)
WAITING_STATE = Label("state", tuple(state for state in State if state not in TERMINAL))
COMPONENT = Label("component", ("base", "surcharge", "mms", "failed_fee"))
POOL = Label("pool", ("main",))
BREAKER_SCOPE = Label("scope", ("campaign", "carrier", "provider"))
BREAKER_STATE = Label("state", ("closed", "open", "half_open"))

SHORT_WAITS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
CALLS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
ANSWERS_S = (15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0)
LAGS_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3600.0)
QUEUE_WAITS_S = (0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 36_000.0)
DELIVERIES_S = (
    1.0,
    2.0,
    5.0,
    10.0,
    30.0,
    60.0,
    120.0,
    300.0,
    900.0,
    1800.0,
    3600.0,
    7200.0,
    14_400.0,
    36_000.0,
)


def _counter(name: str, meaning: str, *labels: Label, only: Combinations | None = None) -> Family:
    return Family(name=name, type="counter", help=meaning, labels=labels, only=only)


def _gauge(name: str, meaning: str, *labels: Label) -> Family:
    return Family(name=name, type="gauge", help=meaning, labels=labels)


def _histogram(name: str, meaning: str, buckets: tuple[float, ...], *labels: Label) -> Family:
    return Family(name=name, type="histogram", help=meaning, labels=labels, buckets=buckets)


FAMILIES: tuple[Family, ...] = (
    _counter("p2p_http_requests_total", "Requests at our door", ROUTE, METHOD, STATUS),
    _histogram("p2p_http_request_duration_seconds", "From a request to its answer", SHORT_WAITS_S, ROUTE),
    _counter("p2p_http_batch_rows_total", "Rows of batches, by what became of them", ROW),
    _counter("p2p_messages_accepted_total", "Messages durably accepted", KIND, CHANNEL),
    _counter("p2p_safeguard_blocks_total", "Messages stopped by a safeguard, by our code", CODE),
    _counter("p2p_segments_total", "Segments handed over, as billed", CARRIER, ENCODING, CHANNEL),
    _counter("p2p_provider_requests_total", "Calls to the provider", PROVIDER, OUTCOME),
    _histogram("p2p_provider_request_duration_seconds", "Time of a call to the provider", CALLS_S, PROVIDER),
    _counter(
        "p2p_messages_final_total",
        "Messages that reached a final state, and the class of reason",
        CARRIER,
        Label("status", tuple(state for state in State if state in TERMINAL)),
        Label("reason", (SUCCESS, *_REASONS), Reason.UNKNOWN),
        only=(
            *((carrier, State.DELIVERED, SUCCESS) for carrier in CARRIERS),
            *product(CARRIERS, _FAILURES, _REASONS),
        ),
    ),
    _histogram(
        "p2p_delivery_duration_seconds", "From hand-over to the carrier's receipt", DELIVERIES_S, CARRIER
    ),
    _gauge("p2p_queue_messages", "Messages waiting for hand-over", LANE, CARRIER),
    _gauge("p2p_queue_segments", "Segments waiting for hand-over", LANE, CARRIER),
    _gauge("p2p_queue_oldest_age_seconds", "Age of the message that waits longest", LANE, CARRIER),
    _histogram("p2p_queue_wait_seconds", "Wait before hand-over", QUEUE_WAITS_S, LANE),
    _gauge("p2p_queue_drain_eta_seconds", "Backlog over the allowed rate", LANE, CARRIER),
    _gauge("p2p_rate_limit_utilization_ratio", "Use of the tightest limit of a scope, 0 to 1", LIMIT_SCOPE),
    _counter("p2p_rate_limit_waits_total", "Messages a limit made wait", LIMIT_SCOPE),
    _gauge("p2p_daily_cap_used_segments", "Segments counted against a carrier's daily cap", CARRIER),
    _gauge("p2p_daily_cap_limit_segments", "A carrier's daily cap; 0 means none", CARRIER),
    _gauge("p2p_numbers", "Sending numbers", NUMBER_STATE),
    _counter("p2p_number_selection_total", "How a message's number was chosen", SELECTION),
    _counter(
        "p2p_webhooks_total", "The provider's callbacks, by what became of them", WEBHOOK, WEBHOOK_RESULT
    ),
    _histogram("p2p_webhook_lag_seconds", "From the event to its being processed", LAGS_S, WEBHOOK),
    _counter("p2p_recovered_total", "What a lost callback told nobody, fetched later", RECOVERED),
    _counter(
        "p2p_reconciliation_differences_total",
        "Texts that only the provider knows (unknown), only the books (missing), or that end differently",
        DIFFERENCE,
    ),
    _counter(
        "p2p_chores_total", "Polls and reconciliations that came through, or did not", CHORE, CHORE_RESULT
    ),
    _counter("p2p_inbound_total", "Texts from people", INTENT),
    _gauge("p2p_conversations_waiting", "Conversations of this worker's campaigns that wait for an answer"),
    _histogram("p2p_first_reply_seconds", "From a person's text to our answer", ANSWERS_S),
    _gauge("p2p_volunteers_active", "Senders of the last 15 minutes, through this worker"),
    _gauge("p2p_contacts_remaining", "Contacts of this worker's campaigns that nobody has been given yet"),
    _counter("p2p_optouts_total", "Opt-outs that took effect", OPT_OUT_SOURCE),
    _histogram("p2p_optout_apply_seconds", "From receiving an opt-out to its being in force", SHORT_WAITS_S),
    _counter("p2p_invariant_violations_total", "Broken promises: must stay 0", INVARIANT),
    _counter(
        "p2p_state_transitions_total",
        "Moves of messages along the table of states",
        Label("from", tuple(State)),
        Label("to", tuple(State)),
        only=tuple((here, there) for here in State for there in State if there in MOVES[here]),
    ),
    _gauge("p2p_stuck_messages", "Messages older than their state's budget", WAITING_STATE),
    _gauge("p2p_outbox_lag_seconds", "Age of the oldest row that waits to be written"),
    _gauge("p2p_db_pool_in_use", "Database connections in use", POOL),
    _histogram("p2p_db_pool_wait_seconds", "Wait for a database connection", SHORT_WAITS_S, POOL),
    _histogram("p2p_event_loop_lag_seconds", "How late the event loop wakes", SHORT_WAITS_S),
    _counter("p2p_cost_dollars_total", "Money owed to the provider, US dollars", CARRIER, COMPONENT),
    _gauge("p2p_breaker_state", "1 for the state a breaker is in", BREAKER_SCOPE, BREAKER_STATE),
    _gauge("p2p_build_info", "1; what runs", Label("version", ()), Label("commit", ())),
    _gauge("p2p_config_info", "1; the settings it runs with", Label("hash", ())),
)


_CLASSES = ("5xx", "2xx", "2xx", "3xx", "4xx", "5xx")  # by the status' first digit


class Children(dict[tuple[str | None, ...], Child], Generic[Child]):
    """A family's series by their label values, bound ahead: a look-up instead of a call of labels()."""

    def __init__(self, family: Family, metric: Child) -> None:
        self.family = family
        self.metric = metric
        super().__init__(
            (values, metric.labels(*values) if values else metric) for values in family.combinations()
        )

    def __missing__(self, values: tuple[str | None, ...]) -> Child:
        """The series for values outside the closed sets; KeyError when the family has no place for them."""
        folded = tuple(_folded(label, value) for label, value in zip(self.family.labels, values, strict=True))
        if folded == values or folded not in self:
            raise KeyError(f"{self.family.name} has no series for {values}")
        return self[folded]


def _folded(label: Label, value: str | None) -> str | None:
    return value if value in label.values or label.otherwise is None else label.otherwise


def _of_type(kind: str) -> Iterable[tuple[Family, list[str]]]:
    return ((family, [label.name for label in family.labels]) for family in FAMILIES if family.type == kind)


class Metrics:
    """The gateway's metrics and the registry they live in. Batches count with one call: `n` at a time.

    A carrier may be None (not known yet). Other values outside a closed set raise KeyError, unless their
    label has a place for them.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        to = self.registry = registry or CollectorRegistry()
        self._counters = {
            each.name: Children(each, Counter(each.name, each.help, names, registry=to))
            for each, names in _of_type("counter")
        }
        self._gauges = {
            each.name: Children(each, Gauge(each.name, each.help, names, registry=to))
            for each, names in _of_type("gauge")
        }
        self._histograms = {
            each.name: Children(
                each, Histogram(each.name, each.help, names, registry=to, buckets=each.buckets)
            )
            for each, names in _of_type("histogram")
        }

    # ------------------------------------------------------------ the road out

    def accepted(self, kind: str, n: int = 1, channel: str = "sms") -> None:
        self._counters["p2p_messages_accepted_total"][kind, channel].inc(n)

    def blocked(self, code: int, n: int = 1) -> None:
        self._counters["p2p_safeguard_blocks_total"][str(code),].inc(n)

    def segments(self, carrier: str | None, encoding: str, n: int, channel: str = "sms") -> None:
        self._counters["p2p_segments_total"][carrier, encoding, channel].inc(n)

    def provider_request(self, provider: str, outcome: str, duration_s: float) -> None:
        self._counters["p2p_provider_requests_total"][provider, outcome].inc()
        self._histograms["p2p_provider_request_duration_seconds"][provider,].observe(duration_s)

    def transition(self, source: State, target: State, n: int = 1) -> None:
        """A move of the table of states; another one is a KeyError, and a defect."""
        self._counters["p2p_state_transitions_total"][source, target].inc(n)

    def final(self, carrier: str | None, status: State, reason: str | None = None, n: int = 1) -> None:
        """`reason` is the catalogue's class, None when delivered."""
        self._counters["p2p_messages_final_total"][carrier, status, reason or SUCCESS].inc(n)

    def delivery_duration(self, carrier: str | None, duration_s: float) -> None:
        self._histograms["p2p_delivery_duration_seconds"][carrier,].observe(duration_s)

    def cost(self, carrier: str | None, component: str, cost_usd: float) -> None:
        self._counters["p2p_cost_dollars_total"][carrier, component].inc(cost_usd)

    # ------------------------------------------------------------ queues, limits, numbers

    def queue(
        self,
        lane: str,
        carrier: str | None,
        *,
        messages: int,
        segments: int,
        oldest_age_s: float,
        drain_eta_s: float,
    ) -> None:
        self._gauges["p2p_queue_messages"][lane, carrier].set(messages)
        self._gauges["p2p_queue_segments"][lane, carrier].set(segments)
        self._gauges["p2p_queue_oldest_age_seconds"][lane, carrier].set(oldest_age_s)
        self._gauges["p2p_queue_drain_eta_seconds"][lane, carrier].set(drain_eta_s)

    def queue_wait(self, lane: str, wait_s: float) -> None:
        self._histograms["p2p_queue_wait_seconds"][lane,].observe(wait_s)

    def rate_limit(self, scope: str, utilization: float, waits: int = 0) -> None:
        self._gauges["p2p_rate_limit_utilization_ratio"][scope,].set(utilization)
        self._counters["p2p_rate_limit_waits_total"][scope,].inc(waits)

    def daily_cap(self, carrier: str, used_segments: int, limit_segments: int | None) -> None:
        self._gauges["p2p_daily_cap_used_segments"][carrier,].set(used_segments)
        self._gauges["p2p_daily_cap_limit_segments"][carrier,].set(limit_segments or 0)

    def numbers(self, state: str, count: int) -> None:
        self._gauges["p2p_numbers"][state,].set(count)

    def number_selected(self, how: str, n: int = 1) -> None:
        self._counters["p2p_number_selection_total"][how,].inc(n)

    def breaker(self, scope: str, state: str) -> None:
        for each in BREAKER_STATE.values:
            self._gauges["p2p_breaker_state"][scope, each].set(each == state)

    # ------------------------------------------------------------ the way in

    def webhooks(self, type_: str, result: str, n: int = 1) -> None:
        self._counters["p2p_webhooks_total"][type_, result].inc(n)

    def webhook_lag(self, type_: str, lag_s: float) -> None:
        self._histograms["p2p_webhook_lag_seconds"][type_,].observe(lag_s)

    def recovered(self, what: str, n: int = 1) -> None:
        self._counters["p2p_recovered_total"][what,].inc(n)

    def difference(self, difference: str, n: int = 1) -> None:
        self._counters["p2p_reconciliation_differences_total"][difference,].inc(n)

    def chore(self, chore: str, result: str) -> None:
        self._counters["p2p_chores_total"][chore, result].inc()

    def inbound(self, intent: str, n: int = 1) -> None:
        self._counters["p2p_inbound_total"][intent,].inc(n)

    def opt_outs(self, source: str, n: int = 1) -> None:
        self._counters["p2p_optouts_total"][source,].inc(n)

    def opt_out_applied(self, duration_s: float) -> None:
        self._histograms["p2p_optout_apply_seconds"][()].observe(duration_s)

    # ------------------------------------------------------------ the door

    def http_request(self, route: str, method: str, status: int, duration_s: float) -> None:
        """`route` is the template, never the path that was asked for."""
        self._counters["p2p_http_requests_total"][route, method, _CLASSES[status // 100]].inc()
        self._histograms["p2p_http_request_duration_seconds"][route,].observe(duration_s)

    def batch_rows(self, *, accepted: int, blocked: int, rejected: int) -> None:
        for result, n in (("accepted", accepted), ("blocked", blocked), ("rejected", rejected)):
            self._counters["p2p_http_batch_rows_total"][result,].inc(n)

    # ------------------------------------------------------------ people

    def first_reply(self, waited_s: float) -> None:
        self._histograms["p2p_first_reply_seconds"][()].observe(waited_s)

    def people(self, *, waiting: int, volunteers: int, remaining: int) -> None:
        self._gauges["p2p_conversations_waiting"][()].set(waiting)
        self._gauges["p2p_volunteers_active"][()].set(volunteers)
        self._gauges["p2p_contacts_remaining"][()].set(remaining)

    # ------------------------------------------------------------ health

    def invariant_violated(self, invariant: str, n: int = 1) -> None:
        self._counters["p2p_invariant_violations_total"][invariant,].inc(n)

    def stuck(self, state: State, count: int) -> None:
        self._gauges["p2p_stuck_messages"][state,].set(count)

    def outbox_lag(self, lag_s: float) -> None:
        self._gauges["p2p_outbox_lag_seconds"][()].set(lag_s)

    def pool_in_use(self, connections: int, pool: str = "main") -> None:
        self._gauges["p2p_db_pool_in_use"][pool,].set(connections)

    def pool_wait(self, wait_s: float, pool: str = "main") -> None:
        self._histograms["p2p_db_pool_wait_seconds"][pool,].observe(wait_s)

    def event_loop_lag(self, lag_s: float) -> None:
        self._histograms["p2p_event_loop_lag_seconds"][()].observe(lag_s)

    def running(self, version: str, commit: str, settings_hash: str) -> None:
        """What runs, told once at the start."""
        self._gauges["p2p_build_info"].metric.labels(version, commit).set(1)
        self._gauges["p2p_config_info"].metric.labels(settings_hash).set(1)

    def exposition(self) -> bytes:
        """The text format, for a scrape. Takes milliseconds: call it off the event loop."""
        return generate_latest(self.registry)
