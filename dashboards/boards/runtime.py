"""The workers, their database and what they are made of."""

from dashboards.panels import DEPLOYS, Board, Panel, Query
from dashboards.queries import quantile, rate, total

_OURS = '{job="textbank"}'

BOARD = Board(
    name="runtime",
    title="Runtime",
    asks="Are the workers well?",
    annotations=(DEPLOYS,),
    panels=(
        Panel(
            question="Which workers are there?",
            unit="bool_on_off",
            queries=(Query(f"up{_OURS}", "{{instance}}"),),
            means="1 while Prometheus reaches it.",
        ),
        Panel(
            question="What runs?",
            unit="short",
            kind="table",
            queries=(
                Query("count by (version, commit) (p2p_build_info)", "{{version}} {{commit}}"),
                Query("count by (hash) (p2p_config_info)", "settings {{hash}}"),
            ),
            means="Versions, commits and settings, and how many workers have them. One line each is right.",
        ),
        Panel(
            question="Has every campaign its worker?",
            unit="short",
            queries=(
                Query("sum(p2p_campaigns_owned)", "owned"),
                Query("sum(p2p_campaigns_waiting)", "could not be taken up"),
                Query(total("increase(p2p_adoptions_total[5m])", "result"), "taken up: {{result}}"),
            ),
            means="Each campaign has one worker at a time.",
        ),
        Panel(
            question="How busy is the CPU?",
            unit="percentunit",
            limit=0.9,
            queries=(Query(f"rate(process_cpu_seconds_total{_OURS}[$__rate_interval])", "{{instance}}"),),
            means="Of one core: a worker uses one.",
        ),
        Panel(
            question="How much memory is used?",
            unit="bytes",
            queries=(Query(f"process_resident_memory_bytes{_OURS}", "{{instance}}"),),
            means="It does not grow with the bank.",
        ),
        Panel(
            question="How late does the event loop wake?",
            unit="s",
            limit=0.1,
            queries=tuple(
                Query(quantile(q, "p2p_event_loop_lag_seconds"), f"p{q * 100:g}") for q in (0.5, 0.99)
            ),
            means="Everything that the worker does is late by that.",
        ),
        Panel(
            question="How often is garbage collected?",
            unit="cps",
            queries=(
                Query(
                    rate(f"python_gc_collections_total{_OURS}", by="generation"), "generation {{generation}}"
                ),
            ),
            means="Collections a second.",
        ),
        Panel(
            question="How many files are open?",
            unit="short",
            queries=(
                Query(f"process_open_fds{_OURS}", "{{instance}}"),
                Query(f"min(process_max_fds{_OURS})", "the most"),
            ),
            means="Connections are files too.",
        ),
        Panel(
            question="Is the database there?",
            unit="s",
            limit=15,
            queries=(Query("max(p2p_database_away_seconds)", "away for"),),
            means="For how long statements have failed; 0: it is there.",
        ),
        Panel(
            question="How many connections are in use?",
            unit="short",
            queries=(Query("sum by (pool) (p2p_db_pool_in_use)", "{{pool}}"),),
            means="The session's are what the worker says that it lives over.",
        ),
        Panel(
            question="How long is a connection waited for?",
            unit="s",
            limit=0.1,
            queries=(Query(quantile(0.99, "p2p_db_pool_wait_seconds", by="pool"), "{{pool}}"),),
            means="The 99th percentile.",
        ),
        Panel(
            question="How old is the oldest row that is not written?",
            unit="s",
            limit=5,
            queries=(Query("max(p2p_outbox_lag_seconds)", "age"),),
            means="Somebody waits for each.",
        ),
        Panel(
            question="Does sending wait for texts that may be lost?",
            unit="s",
            limit=60,
            queries=(Query("max(p2p_inbound_gap_seconds)", "waits for"),),
            means="0: it does not. After a start or an outage the provider's list is read first.",
        ),
        Panel(
            question="Whose clock is wrong?",
            unit="s",
            queries=(Query("max by (whose) (p2p_clock_skew_seconds)", "{{whose}}"),),
            means="How far somebody's clock is ahead of the worker's.",
        ),
        Panel(
            question="Do the chores come through?",
            unit="short",
            queries=(
                Query(total("increase(p2p_chores_total[1h])", "chore, result"), "{{chore}} {{result}}"),
                Query(total("increase(p2p_recovered_total[1h])", "what"), "recovered: {{what}}"),
            ),
            means="In an hour. What is recovered, a webhook had lost.",
        ),
        Panel(
            question="Do the rules come through?",
            unit="short",
            queries=(
                Query("sum(increase(prometheus_rule_evaluation_failures_total[15m]))", "failures"),
                Query('count(ALERTS{alertname="Watchdog"})', "watchdog"),
            ),
            means="No failures, and one watchdog an environment.",
        ),
        Panel(
            question="What becomes of traces?",
            unit="cps",
            stacked=True,
            queries=(Query(rate("p2p_spans_total", by="result"), "{{result}}"),),
            means="Spans a second; none while traces are off. What fails or is dropped costs no text.",
        ),
    ),
)
