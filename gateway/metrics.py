"""Every Prometheus name of the gateway: declared once in FAMILIES, with closed label sets.

A label never carries a person, a message, a number, a campaign or a raw provider code: SQL and logs answer those.
All label sets exist from the start, so a rate is right from its first event. A Metrics object owns its registry:
tests and rehearsals make their own.
"""

from itertools import product

from prometheus_client import CollectorRegistry, generate_latest

from gateway.core.rules.errors import CATALOGUE, Box, Reason
from gateway.core.rules.lifecycle import MOVES, State
from gateway.core.text.segments import NO_FEES, PRICES
from gateway.routes import ROUTES
from gateway.series import Combinations, Family, Label, Series

SERIES_BUDGET = 5000
"""Most series a process may expose: beyond, a scrape costs seconds of CPU."""


def _safeguard_codes() -> tuple[str, ...]:
    return tuple(str(code) for code in sorted(CATALOGUE) if CATALOGUE[code].box is Box.SAFEGUARD)


CARRIERS = ("att", "tmobile", "verizon", "uscellular", "regional", "voip", "unknown")
SUCCESS = "none"
_REASONS = tuple(Reason)
_FAILURES = (State.UNDELIVERED, State.FAILED)

CARRIER = Label("carrier", CARRIERS, "unknown")
CHANNEL = Label("channel", ("sms", "mms"))
CODE = Label("code", (*_safeguard_codes(), "other"), "other")
ENCODING = Label("encoding", ("GSM-7", "UCS-2"))
KIND = Label("kind", ("initial", "reply", "follow_up", "broadcast", "canvass", "invitation", "confirmation"))
LANE = Label("lane", ("reply", "retry", "initial"))
PROVIDER = Label("provider", ("twilio", "simulated", "other"), "other")
OUTCOME = Label("outcome", ("ok", "throttled", "rejected", "error", "timeout"))
LIMIT_SCOPE = Label("scope", ("number", "campaign", "carrier", "account"))
NUMBER_STATE = Label("state", ("provisioning", "active", "quarantined", "retired"))
BUY_REASON = Label(
    "reason", ("first_number", "area_code", "capacity", "rotation", "replacement", "ahead", "found_again")
)
NUMBER_REFUSAL = Label("code", ("30034", "30035"))
NO_PURCHASE = Label("reason", ("pool_is_full", "unregistered", "budget"))
SELECTION = Label("outcome", ("sticky", "local", "fallback", "none"))
WEBHOOK = Label("type", ("status", "inbound"))
WEBHOOK_RESULT = Label("result", ("ok", "duplicate", "bad_signature", "unknown", "error"))
RECOVERED = Label("what", ("inbound", "receipt"))
DIFFERENCE = Label("difference", ("unknown", "missing", "disagrees"))
CHORE = Label(
    "chore",
    ("inbound_poll", "inbound_catch_up", "reconciliation", "months", "retention", "idle_conversations"),
)
CHORE_RESULT = Label("result", ("ok", "error"))
WHOSE = Label("whose", ("database", "provider"))
METHOD = Label("method", ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"), "other")
ROUTE = Label("route", (*ROUTES, "other"), "other")
STATUS = Label("status", ("2xx", "3xx", "4xx", "5xx"))
ROW = Label("result", ("accepted", "blocked", "rejected"))
INTENT = Label("intent", ("stop", "start", "help", "reply"))
OPT_OUT_SOURCE = Label("source", ("keyword", "manual", "provider", "import"))
UNSETTLED_STATE = Label("state", (State.QUEUED, State.SENDING, State.UNKNOWN))
COMPONENT = Label("component", ("base", "surcharge", "mms"))
POOL = Label("pool", ("main", "session"))
ADOPTION = Label("result", ("ok", "error"))
CAPPED = Label("carrier", ("tmobile",))
_MOVES = tuple(
    (here, there) for here in State for there in State if there in MOVES[here] and here is not State.DRAFT
)

SHORT_WAITS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
CALLS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
ANSWERS_S = (15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0)
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
    _counter(
        "p2p_segments_total", "Segments the provider took, as its answer said", CARRIER, ENCODING, CHANNEL
    ),
    _counter("p2p_provider_requests_total", "Calls to the provider", PROVIDER, OUTCOME),
    _histogram("p2p_provider_request_duration_seconds", "Time of a call to the provider", CALLS_S, PROVIDER),
    _counter(
        "p2p_messages_final_total",
        "Messages that reached a final state after hand-over, and the class of reason",
        CARRIER,
        Label("status", (State.DELIVERED, *_FAILURES)),
        Label("reason", (SUCCESS, *_REASONS), Reason.UNKNOWN),
        only=(
            *((carrier, State.DELIVERED, SUCCESS) for carrier in CARRIERS),
            *product(CARRIERS, _FAILURES, _REASONS),
        ),
    ),
    _histogram(
        "p2p_delivery_duration_seconds", "From hand-over to the carrier's receipt", DELIVERIES_S, CARRIER
    ),
    _gauge("p2p_queue_messages", "Messages of this worker's campaigns that wait for a slot", LANE, CARRIER),
    _gauge("p2p_queue_segments", "Segments of this worker's campaigns that wait for a slot", LANE, CARRIER),
    _gauge("p2p_queue_oldest_age_seconds", "For how long the longest waiting message is due", LANE, CARRIER),
    _histogram("p2p_queue_wait_seconds", "From a message being due to its hand-over", QUEUE_WAITS_S, LANE),
    _gauge(
        "p2p_queue_drain_eta_seconds",
        "The backlog, with the lanes that go first, over the rate allowed now; of the slowest campaign",
        LANE,
        CARRIER,
    ),
    _gauge(
        "p2p_rate_limit_utilization_ratio",
        "Use of the tightest limit of a scope, 0 to 1; account: calls to the provider under way",
        LIMIT_SCOPE,
    ),
    _gauge("p2p_daily_cap_used_segments", "Segments counted against the daily caps of campaigns", CAPPED),
    _gauge("p2p_daily_cap_limit_segments", "The daily caps of campaigns; 0: none has one", CAPPED),
    _gauge("p2p_numbers", "Sending numbers of this worker's campaigns", NUMBER_STATE),
    _counter("p2p_numbers_bought_total", "Numbers bought, and found again after a crash, by why", BUY_REASON),
    _counter(
        "p2p_numbers_refused_total",
        "Times that carriers did not know a number (30034, 30035)",
        NUMBER_REFUSAL,
    ),
    _gauge(
        "p2p_campaigns_without_purchases", "This worker's campaigns that buy no numbers, by why", NO_PURCHASE
    ),
    _counter("p2p_number_selection_total", "How a message's number was chosen", SELECTION),
    _counter(
        "p2p_webhooks_total",
        "The provider's callbacks, by what became of them; a duplicate one, and one about nothing of ours, "
        "may count as ok as well",
        WEBHOOK,
        WEBHOOK_RESULT,
    ),
    _counter("p2p_recovered_total", "What a lost callback told nobody, fetched later", RECOVERED),
    _counter(
        "p2p_reconciliation_differences_total",
        "Texts that only the provider knows (unknown), only the books (missing), or that end differently",
        DIFFERENCE,
    ),
    _counter(
        "p2p_chores_total", "Polls and reconciliations that came through, or did not", CHORE, CHORE_RESULT
    ),
    _gauge(
        "p2p_inbound_gap_seconds",
        "For how long this worker's sending has waited for people's texts that may have been lost; 0: it does not",
    ),
    _gauge(
        "p2p_database_away_seconds",
        "For how long this worker's statements have failed; 0: the database is there",
    ),
    _counter("p2p_inbound_total", "Texts from people", INTENT),
    _gauge("p2p_conversations_waiting", "Conversations of this worker's campaigns that wait for an answer"),
    _histogram("p2p_first_reply_seconds", "From a person's text to our answer", ANSWERS_S),
    _gauge("p2p_volunteers_active", "Senders of the last 15 minutes, through this worker"),
    _gauge("p2p_contacts_remaining", "Contacts of this worker's campaigns that nobody has been given yet"),
    _counter("p2p_optouts_total", "Opt-outs that took effect", OPT_OUT_SOURCE),
    _histogram("p2p_optout_apply_seconds", "From receiving an opt-out to its being in force", SHORT_WAITS_S),
    _counter(
        "p2p_state_transitions_total",
        "Moves of admitted messages along the table of states",
        Label("from", tuple(dict.fromkeys(here for here, _ in _MOVES))),
        Label("to", tuple(dict.fromkeys(there for _, there in _MOVES))),
        only=_MOVES,
    ),
    _gauge(
        "p2p_stuck_messages",
        "Messages that should have left their state: queued 3 min after their window's end, sending 5 min after "
        "their slot, unknown 5 min after it",
        UNSETTLED_STATE,
    ),
    _gauge("p2p_outbox_lag_seconds", "Age of the oldest row that waits to be written"),
    _gauge("p2p_db_pool_in_use", "Database connections in use", POOL),
    _histogram("p2p_db_pool_wait_seconds", "Wait for a database connection", SHORT_WAITS_S, POOL),
    _gauge(
        "p2p_clock_skew_seconds", "How far somebody's clock is ahead of this worker's; below 0: behind", WHOSE
    ),
    _gauge("p2p_campaigns_owned", "Campaigns that this worker dispatches"),
    _gauge("p2p_campaigns_waiting", "Campaigns that this worker could not take up, and tries again"),
    _counter("p2p_adoptions_total", "Campaigns taken up, or tried in vain", ADOPTION),
    _histogram("p2p_event_loop_lag_seconds", "How late the event loop wakes", SHORT_WAITS_S),
    _counter(
        "p2p_cost_dollars_total",
        "Price of p2p_segments_total by the price table, US dollars; a text that ends failed costs less after all",
        CARRIER,
        COMPONENT,
    ),
    _gauge("p2p_build_info", "1; what runs", Label("version", ()), Label("commit", ())),
    _gauge("p2p_config_info", "1; the settings it runs with", Label("hash", ())),
)


_PRICE_USD = {"sms": PRICES.sms_usd, "mms": PRICES.mms_usd}  # the provider's own
_CLASSES = ("5xx", "2xx", "2xx", "3xx", "4xx", "5xx")  # by the status' first digit


class Metrics:
    """The gateway's metrics and the registry they live in. Batches count with one call: `n` at a time.

    A carrier may be None (not known yet). Other values outside a closed set raise KeyError, unless their
    label has a place for them.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        series = Series(FAMILIES, self.registry)
        self._inc, self._put, self._observe = series.inc, series.put, series.observe

    # ------------------------------------------------------------ the road out

    def accepted(self, kind: str, n: int = 1, channel: str = "sms") -> None:
        self._inc("p2p_messages_accepted_total", (kind, channel), n)

    def blocked(self, code: int, n: int = 1) -> None:
        self._inc("p2p_safeguard_blocks_total", (str(code),), n)

    def segments(
        self,
        carrier: str | None,
        encoding: str,
        n: int,
        channel: str = "sms",
        *,
        pays_no_fee: bool = False,
    ) -> None:
        self._inc("p2p_segments_total", (carrier, encoding, channel), n)
        mms = channel == "mms"
        fees = NO_FEES if pays_no_fee else PRICES.fees(carrier)
        self._inc("p2p_cost_dollars_total", (carrier, "mms" if mms else "base"), n * _PRICE_USD[channel])
        self._inc(
            "p2p_cost_dollars_total", (carrier, "surcharge"), n * (fees.mms_usd if mms else fees.sms_usd)
        )

    def provider_request(self, provider: str, outcome: str, duration_s: float) -> None:
        self._inc("p2p_provider_requests_total", (provider, outcome))
        self._observe("p2p_provider_request_duration_seconds", (provider,), duration_s)

    def transition(self, source: str, target: str, n: int = 1) -> None:
        """A move of the table of states; another one is a KeyError, and a defect."""
        self._inc("p2p_state_transitions_total", (source, target), n)

    def final(self, carrier: str | None, status: State, reason: str | None = None, n: int = 1) -> None:
        """`reason` is the catalogue's class, None when delivered."""
        self._inc("p2p_messages_final_total", (carrier, status, reason or SUCCESS), n)

    def delivery_duration(self, carrier: str | None, duration_s: float) -> None:
        self._observe("p2p_delivery_duration_seconds", (carrier,), duration_s)

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
        self._put("p2p_queue_messages", (lane, carrier), messages)
        self._put("p2p_queue_segments", (lane, carrier), segments)
        self._put("p2p_queue_oldest_age_seconds", (lane, carrier), oldest_age_s)
        self._put("p2p_queue_drain_eta_seconds", (lane, carrier), drain_eta_s)

    def queue_wait(self, lane: str, wait_s: float) -> None:
        self._observe("p2p_queue_wait_seconds", (lane,), wait_s)

    def rate_limit(self, scope: str, utilization: float) -> None:
        self._put("p2p_rate_limit_utilization_ratio", (scope,), utilization)

    def daily_cap(self, carrier: str, used_segments: int, limit_segments: int) -> None:
        self._put("p2p_daily_cap_used_segments", (carrier,), used_segments)
        self._put("p2p_daily_cap_limit_segments", (carrier,), limit_segments)

    def numbers(self, state: str, count: int) -> None:
        self._put("p2p_numbers", (state,), count)

    def number_bought(self, reason: str) -> None:
        self._inc("p2p_numbers_bought_total", (reason,), 1)

    def number_refused(self, code: int) -> None:
        self._inc("p2p_numbers_refused_total", (str(code),), 1)

    def campaigns_without_purchases(self, reason: str, count: int) -> None:
        self._put("p2p_campaigns_without_purchases", (reason,), count)

    def number_selected(self, how: str, n: int = 1) -> None:
        self._inc("p2p_number_selection_total", (how,), n)

    # ------------------------------------------------------------ the way in

    def webhooks(self, type_: str, result: str, n: int = 1) -> None:
        self._inc("p2p_webhooks_total", (type_, result), n)

    def recovered(self, what: str, n: int = 1) -> None:
        self._inc("p2p_recovered_total", (what,), n)

    def difference(self, difference: str, n: int = 1) -> None:
        self._inc("p2p_reconciliation_differences_total", (difference,), n)

    def chore(self, chore: str, result: str) -> None:
        self._inc("p2p_chores_total", (chore, result))

    def database_away(self, away_s: float) -> None:
        self._put("p2p_database_away_seconds", (), away_s)

    def inbound_gap(self, open_s: float) -> None:
        self._put("p2p_inbound_gap_seconds", (), open_s)

    def inbound(self, intent: str, n: int = 1) -> None:
        self._inc("p2p_inbound_total", (intent,), n)

    def opt_outs(self, source: str, n: int = 1) -> None:
        self._inc("p2p_optouts_total", (source,), n)

    def opt_out_applied(self, duration_s: float) -> None:
        self._observe("p2p_optout_apply_seconds", (), duration_s)

    # ------------------------------------------------------------ the door

    def http_request(self, route: str, method: str, status: int, duration_s: float) -> None:
        """`route` is the template, never the path that was asked for."""
        self._inc("p2p_http_requests_total", (route, method, _CLASSES[status // 100]))
        self._observe("p2p_http_request_duration_seconds", (route,), duration_s)

    def batch_rows(self, *, accepted: int, blocked: int, rejected: int) -> None:
        for result, n in (("accepted", accepted), ("blocked", blocked), ("rejected", rejected)):
            self._inc("p2p_http_batch_rows_total", (result,), n)

    # ------------------------------------------------------------ people

    def first_reply(self, waited_s: float) -> None:
        self._observe("p2p_first_reply_seconds", (), waited_s)

    def people(self, *, waiting: int, volunteers: int, remaining: int) -> None:
        self._put("p2p_conversations_waiting", (), waiting)
        self._put("p2p_volunteers_active", (), volunteers)
        self._put("p2p_contacts_remaining", (), remaining)

    # ------------------------------------------------------------ health

    def stuck(self, state: str, count: int) -> None:
        self._put("p2p_stuck_messages", (state,), count)

    def outbox_lag(self, lag_s: float) -> None:
        self._put("p2p_outbox_lag_seconds", (), lag_s)

    def pool_in_use(self, connections: int, pool: str = "main") -> None:
        self._put("p2p_db_pool_in_use", (pool,), connections)

    def pool_wait(self, wait_s: float, pool: str = "main") -> None:
        self._observe("p2p_db_pool_wait_seconds", (pool,), wait_s)

    def clock_skew(self, whose: str, ahead_s: float) -> None:
        self._put("p2p_clock_skew_seconds", (whose,), ahead_s)

    def owned(self, campaigns: int, waiting: int) -> None:
        self._put("p2p_campaigns_owned", (), campaigns)
        self._put("p2p_campaigns_waiting", (), waiting)

    def adoption(self, result: str) -> None:
        self._inc("p2p_adoptions_total", (result,))

    def event_loop_lag(self, lag_s: float) -> None:
        self._observe("p2p_event_loop_lag_seconds", (), lag_s)

    def running(self, version: str, commit: str, settings_hash: str) -> None:
        """What runs, told once at the start."""
        self._put("p2p_build_info", (version, commit), 1)
        self._put("p2p_config_info", (settings_hash,), 1)

    def exposition(self) -> bytes:
        """The text format, for a scrape. Takes milliseconds: call it off the event loop."""
        return generate_latest(self.registry)
