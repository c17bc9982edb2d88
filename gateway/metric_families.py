"""Every Prometheus name of the gateway: declared once in FAMILIES, with closed label sets.

A label never carries a person, a message, a number, a campaign or a raw provider code: SQL and logs answer those.
All label sets exist from the start, so a rate is right from its first event.
"""

from itertools import product

from gateway.core.bank.limits import Limit
from gateway.core.bank.webhooks import TOPICS
from gateway.core.rules.errors import CATALOGUE, Box, Reason
from gateway.core.rules.lifecycle import MOVES, State
from gateway.core.sending.breakers import MOVED, REASONS
from gateway.routes import ROUTES
from gateway.series import Combinations, Family, Label

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
RESOURCE = Label(
    "resource",
    (
        "number_rate",
        "campaign_rate",
        "carrier_rate",
        "provider_calls",
        "tmobile_day",
        "numbers",
        "main_connections",
        "session_connections",
        "rows_to_write",
        "door",
    ),
)
NUMBER_STATE = Label("state", ("provisioning", "active", "quarantined", "retired"))
BUY_REASON = Label(
    "reason", ("first_number", "area_code", "capacity", "rotation", "replacement", "ahead", "found_again")
)
NUMBER_REFUSAL = Label("code", ("30034", "30035"))
NO_PURCHASE = Label("reason", ("pool_is_full", "unregistered", "budget"))
SELECTION = Label("outcome", ("sticky", "local", "fallback", "none"))
WEBHOOK = Label("type", ("status", "inbound"))
WEBHOOK_RESULT = Label("result", ("ok", "duplicate", "stale", "bad_signature", "unknown", "error"))
INVARIANT = Label(
    "invariant", ("send_after_optout", "quiet_hours", "duplicate_send", "illegal_transition", "ledger")
)
RECOVERED = Label("what", ("inbound", "receipt"))
DIFFERENCE = Label("difference", ("unknown", "missing", "disagrees"))
CHORE = Label(
    "chore",
    (
        "inbound_poll",
        "inbound_catch_up",
        "reconciliation",
        "months",
        "retention",
        "idle_conversations",
        "idle_buckets",
        "scheduled_actions",
        "webhook_deliveries",
        "statistics",
        "mails",
        "promises",
    ),
)
LIMIT = Label("limit", tuple(Limit))
LIMIT_LEVEL = Label("level", ("warned", "reached"))
BREAKER_SCOPE = Label("scope", REASONS)
BREAKER_STATE = Label("state", MOVED)
TOPIC = Label("topic", (*TOPICS, "test"))
TOLD = Label("result", ("delivered", "failed"))
CHORE_RESULT = Label("result", ("ok", "error"))
SPAN_RESULT = Label("result", ("sent", "failed", "dropped"))
WHOSE = Label("whose", ("database", "provider"))
OTHER = "other"
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

# Each objective of dashboards/slos.py is the end of a bucket.
SHORT_WAITS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
CALLS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
ANSWERS_S = (15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0)
WEBHOOK_LAGS_S = (0.01, 0.05, 0.25, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
LATENESS_S = (0.05, 0.25, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
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


def _histogram(
    name: str, meaning: str, buckets: tuple[float, ...], *labels: Label, exemplars: tuple[str, ...] = ()
) -> Family:
    return Family(
        name=name, type="histogram", help=meaning, labels=labels, buckets=buckets, exemplars=exemplars
    )


_MESSAGE = ("campaign_id", "message_id")
"""What an exemplar names: the message whose story tells why."""


FAMILIES: tuple[Family, ...] = (
    _counter(
        "p2p_http_requests_total",
        "Requests at our door; a route has the methods that it serves",
        ROUTE,
        METHOD,
        STATUS,
        only=tuple(product((OTHER,), METHOD.values, STATUS.values)),  # and what the door says it serves
    ),
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
        "p2p_delivery_duration_seconds",
        "From hand-over to the carrier's receipt",
        DELIVERIES_S,
        CARRIER,
        exemplars=_MESSAGE,
    ),
    _gauge("p2p_queue_messages", "Messages of this worker's campaigns that wait for a slot", LANE, CARRIER),
    _gauge("p2p_queue_segments", "Segments of this worker's campaigns that wait for a slot", LANE, CARRIER),
    _gauge("p2p_queue_oldest_age_seconds", "For how long the longest waiting message is due", LANE, CARRIER),
    _histogram("p2p_queue_wait_seconds", "From a message being due to its hand-over", QUEUE_WAITS_S, LANE),
    _histogram(
        "p2p_hand_over_lateness_seconds",
        "From the slot that a message was given last to its hand-over",
        LATENESS_S,
        LANE,
    ),
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
    _counter(
        "p2p_rate_limit_waits_total",
        "Texts that a limit gave a later slot, by the tightest one; account: all calls were under way",
        LIMIT_SCOPE,
    ),
    _gauge(
        "p2p_saturation_ratio",
        "How full what this worker has a limited amount of is, 0 to 1; of several, the fullest",
        RESOURCE,
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
        "may count as ok as well; a stale one told us nothing new",
        WEBHOOK,
        WEBHOOK_RESULT,
    ),
    _histogram(
        "p2p_webhook_duration_seconds", "From a callback's request to our answer", SHORT_WAITS_S, WEBHOOK
    ),
    _histogram(
        "p2p_webhook_lag_seconds",
        "From a callback's request to its being in the books; beyond 10 s it is only known to be longer",
        WEBHOOK_LAGS_S,
        WEBHOOK,
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
        "p2p_limit_used_ratio",
        "How much of a limit is used by the campaign of this worker that uses it most; above 1, the window is too short",
        LIMIT,
    ),
    _counter(
        "p2p_limit_warnings_total",
        "How often admins were told of a limit: at two thirds (warned), and at the whole (reached)",
        LIMIT,
        LIMIT_LEVEL,
    ),
    _gauge(
        "p2p_breaker_state",
        "Scripts and carriers of this worker's campaigns whose breaker was moved, by what moved it (scope)",
        BREAKER_SCOPE,
        BREAKER_STATE,
    ),
    _counter(
        "p2p_webhooks_sent_total",
        "Attempts at telling campaigns' own systems, by topic: taken (delivered), or not (failed)",
        TOPIC,
        TOLD,
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
    _histogram(
        "p2p_first_reply_seconds", "From a person's text to our answer", ANSWERS_S, exemplars=_MESSAGE
    ),
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
    _counter("p2p_invariant_violations_total", "Broken promises; must stay at 0", INVARIANT),
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
    _counter(
        "p2p_spans_total",
        "Spans of traces: sent, given up since the collector did not take them (failed), too many at once (dropped)",
        SPAN_RESULT,
    ),
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
