"""For each alert: series in which it fires, and series like them in which it must not. promtool judges."""

from dataclasses import dataclass, field

E = 'environment="production"'
JOB = f'{E},job="textbank",instance="gateway-1"'


@dataclass(frozen=True)
class Alarm:
    """Series as promtool writes them, a value a minute; `labels` are the alert's own beside environment and severity."""

    name: str
    fires: dict[str, str]
    quiet: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)
    minutes: int = 60
    has_environment: bool = True

    @property
    def metrics(self) -> set[str]:
        """The names of its series."""
        return {series.partition("{")[0] for series in (*self.fires, *self.quiet)}

    @property
    def instance(self) -> dict[str, str]:
        """The labels that it fires with, beside its rule's own."""
        return {**({"environment": "production"} if self.has_environment else {}), **self.labels}


def _gauge(series: str, high: float, low: float) -> tuple[dict[str, str], dict[str, str]]:
    return {series: f"{high}x90"}, {series: f"{low}x90"}


def _buckets(name: str, slow: bool, edges: tuple[str, ...]) -> dict[str, str]:
    """Ten a minute: all below the first edge, or all above the last but one."""
    return {
        f'{name}_bucket{{{E},le="{edge}"}}': "0x90" if slow and edge != "+Inf" else "0+10x90"
        for edge in edges
    }


_STOPS = ("0.5", "1.0", "2.0", "+Inf")
_WAITS = ("0.05", "0.1", "0.25", "+Inf")


def _finals(share: int, every: int = 100, reason: str = "filtered") -> dict[str, str]:
    """`share` of `every` texts a minute end undelivered."""
    base = f'p2p_messages_final_total{{{E},carrier="att"'
    return {
        f'{base},status="undelivered",reason="{reason}"}}': f"0+{share}x90",
        f'{base},status="delivered",reason="none"}}': f"0+{every - share}x90",
    }


def _leaving(a_minute: int) -> dict[str, str]:
    return {
        f'p2p_optouts_total{{{E},source="keyword"}}': f"0+{a_minute}x90",
        f'p2p_messages_final_total{{{E},carrier="att",status="delivered",reason="none"}}': "0+100x90",
    }


def _late(share: int) -> dict[str, str]:
    """`share` of a hundred receipts a minute take more than 30 s."""
    base = "p2p_delivery_duration_seconds"
    return {
        f'{base}_bucket{{{E},carrier="att",le="30.0"}}': f"0+{100 - share}x90",
        f'{base}_count{{{E},carrier="att"}}': "0+100x90",
    }


def _provider(bad: int, good: int) -> dict[str, str]:
    base = f'p2p_provider_requests_total{{{E},provider="twilio"'
    return {f'{base},outcome="error"}}': f"0+{bad}x90", f'{base},outcome="ok"}}': f"0+{good}x90"}


def _webhooks(result: str, some: int, good: int = 200) -> dict[str, str]:
    base = f'p2p_webhooks_total{{{E},type="status"'
    return {f'{base},result="{result}"}}': f"0+{some}x90", f'{base},result="ok"}}': f"0+{good}x90"}


def _receipts(ended: int) -> dict[str, str]:
    return {
        f'p2p_state_transitions_total{{{E},from="sending",to="sent"}}': "0+100x120",
        f'p2p_state_transitions_total{{{E},from="sent",to="delivered"}}': f"0+{ended}x120",
    }


def _saturation(resource: str, values: str) -> dict[str, str]:
    return {f'p2p_saturation_ratio{{{JOB},resource="{resource}"}}': values}


ALARMS = (
    Alarm(
        "BooksDisagree",
        {f'p2p_reconciliation_differences_total{{{E},difference="unknown"}}': "0x55 1x30"},
        {f'p2p_reconciliation_differences_total{{{E},difference="unknown"}}': "1x90"},
        {"difference": "unknown"},
    ),
    Alarm(
        "PromiseBroken",
        {f'p2p_invariant_violations_total{{{E},invariant="quiet_hours"}}': "0x55 1x30"},
        {
            f'p2p_invariant_violations_total{{{E},invariant="quiet_hours"}}': "1x90",
            f'p2p_invariant_violations_total{{{E},invariant="ledger"}}': "0x55 1x30",
        },
        {"invariant": "quiet_hours"},
    ),
    Alarm(
        "StopIsSlow",
        _buckets("p2p_optout_apply_seconds", True, _STOPS),
        _buckets("p2p_optout_apply_seconds", False, _STOPS),
    ),
    Alarm("RepliesMayBeLost", *_gauge(f"p2p_inbound_gap_seconds{{{JOB}}}", 61, 59)),
    Alarm("MessagesStuck", *_gauge(f'p2p_stuck_messages{{{E},state="unknown"}}', 1, 0), {"state": "unknown"}),
    Alarm(
        "ReplyLaneStarved", *_gauge(f'p2p_queue_oldest_age_seconds{{{E},lane="reply",carrier="att"}}', 31, 29)
    ),
    Alarm(
        "QueueWillExpire",
        *_gauge(f'p2p_queue_drain_eta_seconds{{{E},lane="initial",carrier="att"}}', 14_401, 14_399),
    ),
    Alarm(
        "DailyCapForecast",
        _saturation("tmobile_day", "0.3+0.005x90"),
        _saturation("tmobile_day", "0.5+0.001x90"),
        {"resource": "tmobile_day"},
    ),
    Alarm("NoNumber", *({f'p2p_number_selection_total{{{E},outcome="none"}}': f"0+{n}x90"} for n in (1, 0))),
    Alarm("NumberQuarantined", *_gauge(f'p2p_numbers{{{E},state="quarantined"}}', 1, 0)),
    Alarm(
        "CarriersDoNotKnowUs",
        {f'p2p_numbers_refused_total{{{E},code="30034"}}': "0+1x90"},
        {f'p2p_numbers_refused_total{{{E},code="30034"}}': "0+0.5x90"},
        {"code": "30034"},
    ),
    Alarm(
        "SpendRunaway",
        {f'p2p_cost_dollars_total{{{E},carrier="att",component="base"}}': "0+3.1x90"},
        {f'p2p_cost_dollars_total{{{E},carrier="att",component="base"}}': "0+2.9x90"},
    ),
    Alarm("CarrierFilters", _finals(4), _finals(1), {"carrier": "att"}),
    Alarm("CarrierFiltersMuch", _finals(8), _finals(5), {"carrier": "att"}),
    Alarm("CarrierSlow", _late(40), _late(20), {"carrier": "att"}),
    Alarm(
        "CarrierFails",
        _finals(25, reason="unreachable"),
        _finals(10, reason="unreachable"),
        {"carrier": "att"},
    ),
    Alarm("ManyLeave", _leaving(5), _leaving(3)),
    Alarm("VeryManyLeave", _leaving(8), _leaving(5)),
    Alarm("ReceiptsMissing", _receipts(60), _receipts(75)),
    Alarm("ProviderDegraded", _provider(10, 90), _provider(4, 96)),
    Alarm("WebhooksForged", _webhooks("bad_signature", 7), _webhooks("bad_signature", 5)),
    Alarm("WebhooksUnknown", _webhooks("unknown", 5), _webhooks("unknown", 1)),
    Alarm("GatewayDown", *_gauge(f"up{{{JOB}}}", 0, 1), {"instance": "gateway-1"}),
    Alarm(
        "WorkerRestarted",
        {f"process_start_time_seconds{{{JOB}}}": "1000x55 5000x40"},
        {f"process_start_time_seconds{{{JOB}}}": "1000x40 5000x90"},
        {"instance": "gateway-1"},
    ),
    Alarm("NoGateway", {'up{job="prometheus"}': "1x90"}, {f"up{{{JOB}}}": "0x90"}, has_environment=False),
    Alarm("CampaignWithoutWorker", *_gauge(f"p2p_campaigns_waiting{{{JOB}}}", 1, 0)),
    Alarm("DatabaseAway", *_gauge(f"p2p_database_away_seconds{{{JOB}}}", 16, 14)),
    Alarm(
        "DatabaseSlow",
        _buckets("p2p_db_pool_wait_seconds", True, _WAITS),
        _buckets("p2p_db_pool_wait_seconds", False, _WAITS),
    ),
    Alarm("WritesLag", *_gauge(f"p2p_outbox_lag_seconds{{{JOB}}}", 6, 4)),
    Alarm(
        "EventLoopLag",
        _buckets("p2p_event_loop_lag_seconds", True, _WAITS),
        _buckets("p2p_event_loop_lag_seconds", False, _WAITS),
    ),
    Alarm(
        "ResourceFull",
        _saturation("door", "0.95x90"),
        _saturation("campaign_rate", "1x90"),
        {"resource": "door"},
    ),
    Alarm(
        "ResourceWillBeFull",
        _saturation("rows_to_write", "0.2+0.01x90"),
        _saturation("rows_to_write", "0+0.004x90"),
        {"resource": "rows_to_write"},
    ),
    Alarm(
        "ClockIsWrong",
        {f'p2p_clock_skew_seconds{{{JOB},whose="database"}}': "-2.5x90"},
        {f'p2p_clock_skew_seconds{{{JOB},whose="database"}}': "1.5x90"},
        {"whose": "database"},
    ),
    Alarm(
        "ChoreFails",
        {f'p2p_chores_total{{{E},chore="retention",result="error"}}': "0+0.2x90"},
        {f'p2p_chores_total{{{E},chore="retention",result="error"}}': "0+0.02x90"},
        {"chore": "retention"},
    ),
    Alarm(
        "WorkersDiffer",
        {f'p2p_config_info{{{E},hash="{each}"}}': "1x90" for each in ("one", "other")},
        {f'p2p_config_info{{{E},hash="one",instance="{each}"}}': "1x90" for each in ("a", "b")},
    ),
    Alarm(
        "RulesFail",
        {'prometheus_rule_evaluation_failures_total{rule_group="x"}': "0+1x90"},
        {'prometheus_rule_evaluation_failures_total{rule_group="x"}': "5x90"},
        has_environment=False,
    ),
)
ALWAYS_ON = "Watchdog"


def _events(name: str, labels: str, edge: str, good: str) -> dict[str, str]:
    comma = "," if labels else ""
    return {
        f'{name}_bucket{{{E}{comma}{labels},le="{edge}"}}'.replace(",,", ","): good,
        f"{name}_count{{{E}{comma}{labels}}}": "0+30x{n}",
    }


def events(*, are_good: bool) -> dict[str, str]:
    """Of every objective thirty events a step, all good or all bad; {n} is how many steps there are."""
    good = "0+30x{n}" if are_good else "0x{n}"
    bad = "0x{n}" if are_good else "0+30x{n}"
    requests = f'p2p_http_requests_total{{{E},route="/v1/messages",method="POST"'
    door, route = "p2p_http_request_duration_seconds", "/webhooks/twilio/inbound"
    return {
        f'{requests},status="2xx"}}': good,
        f'{requests},status="5xx"}}': bad,
        **_events(door, 'route="/v1/messages"', "0.25", good),
        **_events(door, f'route="{route}"', "2.0", good),
        f'{door}_bucket{{{E},route="{route}",le="1.0"}}': good,
        **_events("p2p_queue_wait_seconds", 'lane="reply"', "2.0", good),
        **_events("p2p_hand_over_lateness_seconds", 'lane="initial"', "60.0", good),
        **_events("p2p_optout_apply_seconds", "", "1.0", good),
        f'p2p_messages_accepted_total{{{E},kind="initial",channel="sms"}}': "0+30x{n}",
    }
