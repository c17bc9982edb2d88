"""What it costs, and why."""

from dashboards.panels import SERIES_OF_A_CARRIER, Board, Panel, Query
from dashboards.queries import rate, share, total

_COST = "p2p_cost_dollars_total"

BOARD = Board(
    name="cost",
    title="Cost",
    asks="What does it cost, and why?",
    by_carrier=True,
    since="now-12h",
    panels=(
        Panel(
            question="What did it cost?",
            unit="currencyUSD",
            kind="stat",
            width=6,
            queries=(Query(total(f"increase({_COST}[$__range])"), "in the time shown"),),
            means="At the price table's prices; the provider's invoice is the last word.",
        ),
        Panel(
            question="What does an hour cost, against the plan?",
            unit="currencyUSD",
            width=10,
            queries=(
                Query("environment:cost_dollars:per_hour", "now"),
                Query("plan:cost_dollars:per_hour", "as planned"),
            ),
            means="Half as much again as planned is a ticket. The plan is a rule of its own: plan.yaml.",
        ),
        Panel(
            question="What does a delivered text cost?",
            unit="currencyUSD",
            width=8,
            decimals=4,
            queries=(
                Query(
                    share(rate(_COST, "1h"), rate('p2p_messages_final_total{status="delivered"}', "1h")),
                    "a text",
                ),
            ),
            means="Over an hour.",
        ),
        Panel(
            question="Which carrier costs most?",
            unit="currencyUSD",
            stacked=True,
            queries=(Query(f"{rate(_COST, by='carrier')} * 3600", SERIES_OF_A_CARRIER),),
            means="Dollars an hour.",
        ),
        Panel(
            question="What is paid for?",
            unit="currencyUSD",
            stacked=True,
            queries=(Query(f"{rate(_COST, by='component')} * 3600", "{{component}}"),),
            means="Dollars an hour: the provider's own price, the carriers' surcharges, pictures.",
        ),
        Panel(
            question="How long are our texts?",
            unit="short",
            decimals=2,
            queries=(
                Query(
                    share(
                        rate("p2p_segments_total", "15m"),
                        rate('p2p_provider_requests_total{outcome="ok"}', "15m"),
                    ),
                    "segments a text",
                ),
            ),
            means="Each segment is paid for.",
        ),
        Panel(
            question="What do the carriers' books say?",
            unit="currencyUSD",
            queries=(
                Query("sum(p2psim_cost_dollars_total)", "the model's bill"),
                Query(f"sum({_COST})", "ours"),
            ),
            means="In a test only: the model also bills numbers, look-ups and inbound texts.",
        ),
    ),
)
