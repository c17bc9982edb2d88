"""What is counted on the way of a message and beside it, by the names of gateway/metric_families.py.

A Metrics object owns its registry: tests and rehearsals make their own.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector

from gateway.core.rules.lifecycle import State
from gateway.core.text.segments import NO_FEES, PRICES
from gateway.exposition import Exposition
from gateway.metric_families import FAMILIES, OTHER, STATUS, SUCCESS
from gateway.series import Series

_PRICE_USD = {"sms": PRICES.sms_usd, "mms": PRICES.mms_usd}  # the provider's own
_RESOURCES = {
    "number": "number_rate",
    "campaign": "campaign_rate",
    "carrier": "carrier_rate",
    "account": "provider_calls",
}
_CLASSES = ("5xx", "2xx", "2xx", "3xx", "4xx", "5xx")  # by the status' first digit


class Metrics:
    """The gateway's metrics and the registry they live in. Batches count with one call: `n` at a time.

    A carrier may be None (not known yet). Other values outside a closed set raise KeyError, unless their
    label has a place for them.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._process = CollectorRegistry()  # what the client itself knows of this process
        self._series = series = Series(FAMILIES, self.registry)
        self._exposition = Exposition(series, self._process)
        self._inc, self._put, self._observe = series.inc, series.put, series.observe
        self._explain = series.explain
        self._asked: dict[str, Callable[[], float]] = {}

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
        try:
            self._inc("p2p_state_transitions_total", (source, target), n)
        except KeyError:
            self.violated("illegal_transition", n)
            raise

    def violated(self, promise: str, n: int = 1) -> None:
        """A promise was broken: this must stay at 0."""
        self._inc("p2p_invariant_violations_total", (promise,), n)

    def final(self, carrier: str | None, status: State, reason: str | None = None, n: int = 1) -> None:
        """`reason` is the catalogue's class, None when delivered."""
        self._inc("p2p_messages_final_total", (carrier, status, reason or SUCCESS), n)

    def delivery_duration(
        self, carrier: str | None, duration_s: float, campaign_id: int, message_id: int, now: float
    ) -> None:
        message = (campaign_id, message_id)
        self._explain("p2p_delivery_duration_seconds", (carrier,), duration_s, message, now)

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

    def handed_over(self, lane: str, late_s: float) -> None:
        self._observe("p2p_hand_over_lateness_seconds", (lane,), late_s)

    def rate_limit(self, scope: str, utilization: float) -> None:
        self._put("p2p_rate_limit_utilization_ratio", (scope,), utilization)
        self._put("p2p_saturation_ratio", (_RESOURCES[scope],), utilization)

    def saturation(self, resource: str, share: float) -> None:
        """How full a resource is, 0 to 1."""
        self._put("p2p_saturation_ratio", (resource,), share)

    def ask_saturation(self, resource: str, how_full: Callable[[], float]) -> None:
        """`how_full` is asked at each look: for a part that can't be reached from here."""
        self._asked[resource] = how_full

    def look(self) -> None:
        """Asks those who wanted to be asked; on the event loop, before a scrape."""
        for resource, how_full in self._asked.items():
            self.saturation(resource, how_full())

    def rate_limit_waits(self, scope: str, n: int = 1) -> None:
        """Texts that a limit made wait."""
        self._inc("p2p_rate_limit_waits_total", (scope,), n)

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

    def webhook_answered(self, type_: str, duration_s: float) -> None:
        self._observe("p2p_webhook_duration_seconds", (type_,), duration_s)

    def webhook_kept(self, type_: str, lag_s: float) -> None:
        self._observe("p2p_webhook_lag_seconds", (type_,), lag_s)

    def recovered(self, what: str, n: int = 1) -> None:
        self._inc("p2p_recovered_total", (what,), n)

    def difference(self, difference: str, n: int = 1) -> None:
        self._inc("p2p_reconciliation_differences_total", (difference,), n)
        if difference != "unknown":  # that may be another system's text
            self.violated("ledger", n)

    def limit_used(self, limit: str, share: float) -> None:
        self._put("p2p_limit_used_ratio", (limit,), share)

    def limit_warning(self, limit: str, level: str) -> None:
        self._inc("p2p_limit_warnings_total", (limit, level))

    def breakers(self, scope: str, state: str, count: int) -> None:
        self._put("p2p_breaker_state", (scope, state), count)

    def webhook_sent(self, topic: str, result: str) -> None:
        self._inc("p2p_webhooks_sent_total", (topic, result))

    def spans(self, result: str, total: int) -> None:
        """Of traces, since the start; counted by who sends them."""
        self._put("p2p_spans_total", (result,), total)

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

    def serves(self, route: str, method: str) -> None:
        """The door has such an address: its series exist before its first request."""
        for status in STATUS.values:
            self._series.add("p2p_http_requests_total", (route, method, status))

    def http_request(self, route: str, method: str, status: int, duration_s: float) -> None:
        """`route` is the template, never the path that was asked for."""
        answer = _CLASSES[status // 100]
        try:
            self._inc("p2p_http_requests_total", (route, method, answer))
        except KeyError:  # nothing that the door serves
            self._inc("p2p_http_requests_total", (OTHER, method, answer))
        self._observe("p2p_http_request_duration_seconds", (route,), duration_s)

    def batch_rows(self, *, accepted: int, blocked: int, rejected: int) -> None:
        for result, n in (("accepted", accepted), ("blocked", blocked), ("rejected", rejected)):
            self._inc("p2p_http_batch_rows_total", (result,), n)

    # ------------------------------------------------------------ people

    def first_reply(self, waited_s: float, campaign_id: int, message_id: int, now: float) -> None:
        self._explain("p2p_first_reply_seconds", (), waited_s, (campaign_id, message_id), now)

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
        """What runs, told once at the start; from then on the process is told of as well: CPU, memory, files, GC."""
        self._put("p2p_build_info", (version, commit), 1)
        self._put("p2p_config_info", (settings_hash,), 1)
        ProcessCollector(registry=self._process)
        GCCollector(registry=self._process)

    def exposition(self, *, open_metrics: bool = False) -> bytes:
        """Text format 0.0.4, or OpenMetrics 1.0 with exemplars. Takes milliseconds: call it off the event loop."""
        return self._exposition.open_metrics() if open_metrics else self._exposition.text()
