"""The one screen of a bank's day."""

from dashboards.panels import BANKS, DEPLOYS, Board, Panel, Query
from dashboards.queries import quantile, rate, total

BOARD = Board(
    name="bank-day",
    title="Bank day",
    asks="How does the bank go, and does anything need me?",
    by_carrier=True,
    annotations=(DEPLOYS, BANKS),
    since="now-6h",
    panels=(
        Panel(
            question="How many texts have gone out?",
            unit="short",
            kind="stat",
            width=4,
            height=4,
            decimals=0,
            queries=(Query(total('increase(p2p_provider_requests_total{outcome="ok"}[$__range])'), "sent"),),
            means="That the provider took, in the time shown; a further attempt counts again.",
        ),
        Panel(
            question="How many contacts are left?",
            unit="short",
            kind="stat",
            width=4,
            height=4,
            queries=(Query("sum(p2p_contacts_remaining)", "left"),),
            means="Nobody has been given them yet.",
        ),
        Panel(
            question="When will the queue be empty?",
            unit="s",
            kind="stat",
            width=4,
            height=4,
            limit=4 * 3600,
            queries=(Query("max(p2p_queue_drain_eta_seconds)", "from now"),),
            means="At the rate allowed now; of the slowest campaign, lane and carrier.",
        ),
        Panel(
            question="Who waits for an answer?",
            unit="short",
            kind="stat",
            width=4,
            height=4,
            queries=(Query("sum(p2p_conversations_waiting)", "conversations"),),
            means="People wrote and nobody has answered.",
        ),
        Panel(
            question="How many volunteers are at work?",
            unit="short",
            kind="stat",
            width=4,
            height=4,
            queries=(Query("sum(p2p_volunteers_active)", "in 15 min"),),
            means="Who sent something in the last 15 minutes.",
        ),
        Panel(
            question="Do the books agree with the provider?",
            unit="short",
            kind="stat",
            width=4,
            height=4,
            limit=1,
            queries=(
                Query(
                    total("increase(p2p_reconciliation_differences_total[1d])", "difference"),
                    "{{difference}}",
                ),
            ),
            means="Differences found in a day; each one pages.",
        ),
        Panel(
            question="How fast do texts go out?",
            unit="cps",
            queries=(
                Query(rate("p2p_messages_accepted_total"), "accepted"),
                Query(rate('p2p_provider_requests_total{outcome="ok"}'), "sent"),
                Query(rate('p2p_messages_final_total{status="delivered"}'), "delivered"),
            ),
            means="Texts a second, at three stations.",
        ),
        Panel(
            question="Which carrier filters us now?",
            unit="percentunit",
            limit=0.02,
            queries=(Query("carrier:filtered:ratio30m", "{{carrier}}"),),
            means="Of what ended in 30 minutes. The line is where it becomes a ticket.",
        ),
        Panel(
            question="How many people leave?",
            unit="percentunit",
            limit=0.03,
            queries=(
                Query("environment:optouts:ratio1h", "leave"),
                Query("environment:optouts:lower_bound", "at least"),
            ),
            means="Opt-outs by keyword and by the provider's word, of the texts delivered in an hour.",
        ),
        Panel(
            question="How long do people wait for our answer?",
            unit="s",
            exemplars=True,
            queries=(
                Query(quantile(0.5, "p2p_first_reply_seconds", "15m"), "half of them, at most"),
                Query(quantile(0.95, "p2p_first_reply_seconds", "15m"), "95 %, at most"),
            ),
            means="From a person's text to our answer. A dot is a message: its story tells more.",
        ),
        Panel(
            question="How much of each budget is left?",
            unit="percentunit",
            kind="bars",
            floor=0.25,
            queries=(
                Query(
                    "1 - slo:errors:ratio_rate12h / on (slo) group_left () (1 - slo:objective:ratio)",
                    "{{slo}}",
                ),
            ),
            means="Of the last twelve hours' budget; below 0 it is overdrawn.",
        ),
        Panel(
            question="What is spent, against the plan?",
            unit="currencyUSD",
            queries=(
                Query("environment:cost_dollars:per_hour", "an hour, now"),
                Query("plan:cost_dollars:per_hour", "an hour, as planned"),
            ),
            means="The plan is a rule of its own: plan.yaml.",
        ),
        Panel(
            question="Is a promise broken?",
            unit="short",
            width=24,
            height=4,
            kind="stat",
            limit=1,
            queries=(
                Query(total("increase(p2p_invariant_violations_total[1d])", "invariant"), "{{invariant}}"),
            ),
            means="Texts and moves of a day that must never be; each one pages.",
        ),
        Panel(
            question="Which alerts are on?",
            unit="short",
            kind="table",
            width=24,
            queries=(Query('ALERTS{alertstate="firing"}', "{{alertname}}"),),
            means="Watchdog is always on: it shows that alerts come through.",
        ),
    ),
)
