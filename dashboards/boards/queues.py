"""What waits, for what, and how full everything is."""

from dashboards.panels import BANKS, DEPLOYS, Board, Panel, Query
from dashboards.queries import quantile, rate, total
from dashboards.resources import FORECAST, RATIO

BOARD = Board(
    name="queues",
    title="Queues and limits",
    asks="What waits, for what, and until when?",
    by_carrier=True,
    annotations=(DEPLOYS, BANKS),
    panels=(
        Panel(
            question="How much waits?",
            unit="short",
            stacked=True,
            queries=(Query("sum by (lane) (p2p_queue_messages)", "{{lane}}"),),
            means="Messages that wait for a slot, by lane.",
        ),
        Panel(
            question="Whom does it wait for?",
            unit="short",
            stacked=True,
            queries=(Query("sum by (carrier) (p2p_queue_segments)", "{{carrier}}"),),
            means="Segments that wait for a slot, by carrier.",
        ),
        Panel(
            question="For how long has the oldest waited?",
            unit="s",
            queries=(Query("max by (lane) (p2p_queue_oldest_age_seconds)", "{{lane}}"),),
            means="A reply that waits for 30 s pages: replies go first.",
        ),
        Panel(
            question="When will the queue be empty?",
            unit="s",
            limit=4 * 3600,
            queries=(Query("max by (lane) (p2p_queue_drain_eta_seconds)", "{{lane}}"),),
            means="The backlog, with the lanes that go first, over the rate allowed now.",
        ),
        Panel(
            question="How late are texts against their slots?",
            unit="s",
            limit=60,
            queries=(Query(quantile(0.99, "p2p_hand_over_lateness_seconds", by="lane"), "{{lane}}"),),
            means="The 99th percentile. Pacing is meant, so it is judged against the slot.",
        ),
        Panel(
            question="Is anything stuck?",
            unit="short",
            limit=1,
            queries=(Query("sum by (state) (p2p_stuck_messages)", "{{state}}"),),
            means="What should have left its state minutes ago.",
        ),
        Panel(
            question="How full is everything?",
            unit="percentunit",
            kind="bars",
            width=12,
            limit=0.9,
            queries=(Query(f"max by (resource) ({RATIO})", "{{resource}}"),),
            means="Of each resource, the fullest there is. A rate that is full is what pacing is for.",
        ),
        Panel(
            question="How did it fill?",
            unit="percentunit",
            width=12,
            limit=0.9,
            queries=(Query(f"max by (resource) ({RATIO})", "{{resource}}"),),
            means="The same over time.",
        ),
        Panel(
            question="What will be full in an hour?",
            unit="percentunit",
            width=12,
            limit=1.0,
            queries=(Query(f"max by (resource) ({FORECAST})", "{{resource}}"),),
            means="As it has filled in the last half hour, it goes on.",
        ),
        Panel(
            question="How much of T-Mobile's day is used?",
            unit="percentunit",
            width=12,
            limit=1.0,
            queries=(
                Query(
                    "sum(p2p_daily_cap_used_segments) / (sum(p2p_daily_cap_limit_segments) > 0)",
                    "used",
                ),
                Query(f'max(predict_linear({RATIO}{{resource="tmobile_day"}}[1h], 14400))', "in four hours"),
            ),
            means="Segments counted against the brands' daily caps; the day ends at midnight in Los Angeles.",
        ),
        Panel(
            question="How much of each limit is used?",
            unit="percentunit",
            width=12,
            limit=1.0,
            queries=(Query("max by (limit) (p2p_limit_used_ratio)", "{{limit}}"),),
            means="Of the campaign that uses it most; above 1 its hours are too short for what it has before it.",
        ),
        Panel(
            question="Which limits were admins told of?",
            unit="short",
            decimals=0,
            width=12,
            queries=(
                Query(total("increase(p2p_limit_warnings_total[1h])", "limit, level"), "{{limit}} {{level}}"),
            ),
            means="In an hour: at two thirds (warned) and at the whole (reached).",
        ),
        Panel(
            question="How do messages move?",
            unit="cps",
            queries=(Query(rate("p2p_state_transitions_total", by="from, to"), "{{from}} → {{to}}"),),
            means="Moves a second along the table of states.",
            width=12,
        ),
        Panel(
            question="Which limit is the tight one?",
            unit="percentunit",
            queries=(Query("max by (scope) (p2p_rate_limit_utilization_ratio)", "{{scope}}"),),
            means="Use of the tightest limit of each scope since the last count.",
            width=12,
        ),
        Panel(
            question="Which limit makes texts wait?",
            unit="cps",
            stacked=True,
            queries=(Query(rate("p2p_rate_limit_waits_total", by="scope"), "{{scope}}"),),
            means="Texts a second whose slot a limit put off, by the tightest; account: all calls were under way.",
        ),
    ),
)
