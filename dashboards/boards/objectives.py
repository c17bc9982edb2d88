"""What is promised, how much of each budget is left, how fast it goes."""

from dashboards.panels import DEPLOYS, Board, Panel, Query
from dashboards.slos import SLOS

_LEFT = "1 - slo:errors:ratio_rate{window} / on (slo) group_left () (1 - slo:objective:ratio)"
_BURN = "slo:errors:ratio_rate{window} / on (slo) group_left () (1 - slo:objective:ratio)"

BOARD = Board(
    name="slo",
    title="Objectives",
    asks="Do we keep what we promise?",
    annotations=(DEPLOYS,),
    since="now-7d",
    panels=(
        Panel(
            question="How much of the 30 days' budgets is left?",
            unit="percentunit",
            kind="bars",
            width=8,
            floor=0.25,
            queries=(Query(_LEFT.format(window="30d"), "{{slo}}"),),
            means="1: nothing went wrong. Below 0: overdrawn, and nothing risky is done.",
        ),
        Panel(
            question="How fast do the budgets go?",
            unit="short",
            limit=14.4,
            queries=(Query(_BURN.format(window="1h"), "{{slo}}"),),
            means="1 uses a budget up in 30 days; 14.4 over an hour pages.",
        ),
        Panel(
            question="How fast do they go over a day?",
            unit="short",
            limit=3,
            queries=(Query(_BURN.format(window="1d"), "{{slo}}"),),
            means="3 over a day is a ticket.",
        ),
        *(
            Panel(
                question=slo.question,
                unit="percentunit",
                floor=slo.objective,
                queries=(
                    Query(f'1 - slo:errors:ratio_rate5m{{slo="{slo.name}"}}', "in 5 minutes"),
                    Query(f'1 - slo:errors:ratio_rate1d{{slo="{slo.name}"}}', "in a day"),
                    Query(f'max(slo:objective:ratio{{slo="{slo.name}"}})', "objective"),
                ),
                means=f"{slo.title}: {slo.note}.",
            )
            for slo in SLOS
        ),
    ),
)
