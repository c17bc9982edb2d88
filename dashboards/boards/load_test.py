"""A load test: what was meant to be asked, what was asked, and what both sides saw of it."""

from dashboards.panels import FAULTS, Board, Panel, Query
from dashboards.queries import quantile, rate, share

_STARTED, _INTENDED = "p2pload_started_total", "p2pload_intended_total"

BOARD = Board(
    name="load-test",
    title="Load test",
    asks="Is the test valid, and what holds?",
    annotations=(FAULTS,),
    since="now-30m",
    panels=(
        Panel(
            question="Is as much asked as was meant?",
            unit="reqps",
            queries=(
                Query(rate(_INTENDED, by="scenario"), "{{scenario}} intended"),
                Query(rate(_STARTED, by="scenario"), "{{scenario}} started"),
            ),
            means="Where they part, the generator is the limit, and the run is invalid.",
        ),
        Panel(
            question="Is the run valid?",
            unit="percentunit",
            kind="stat",
            floor=0.995,
            queries=(
                Query(f"sum({_STARTED}) / (sum({_INTENDED}) > 0)", "started of intended"),
                Query(f"1 - sum(p2pload_late_total) / (sum({_STARTED}) > 0)", "started in time"),
            ),
            means="Below 99.5 % started, or with more than 1 % late, its figures mean nothing.",
        ),
        Panel(
            question="How many start late?",
            unit="percentunit",
            limit=0.01,
            queries=(Query(share(rate("p2pload_late_total"), rate(_STARTED)), "late"),),
            means="Later than 10 ms after the instant that was meant.",
        ),
        Panel(
            question="How long does it take, from when it was meant?",
            unit="s",
            queries=tuple(
                Query(
                    quantile(q, 'p2pload_duration_seconds{basis="intended"}', by="scenario"),
                    f"{{{{scenario}}}} p{q * 100:g}",
                )
                for q in (0.5, 0.99)
            ),
            means="What a person feels: a stall counts for everybody who would have come.",
        ),
        Panel(
            question="How long does it take, from when it was asked?",
            unit="s",
            queries=tuple(
                Query(
                    quantile(q, 'p2pload_duration_seconds{basis="actual"}', by="scenario"),
                    f"{{{{scenario}}}} p{q * 100:g}",
                )
                for q in (0.5, 0.99)
            ),
            means="What the server took. It hides a stall: compare.",
        ),
        Panel(
            question="Do both sides count the same?",
            unit="cps",
            queries=(
                Query(rate('p2p_provider_requests_total{outcome="ok"}'), "gateway: sent"),
                Query(rate("p2psim_submitted_total"), "carriers: taken"),
            ),
            means="The ledger of the carriers is the second witness.",
        ),
        Panel(
            question="What do the carriers take?",
            unit="cps",
            stacked=True,
            queries=(Query(rate("p2psim_accepted_total", by="carrier"), "{{carrier}}"),),
            means="Texts a second that reached each carrier.",
        ),
        Panel(
            question="Which faults are on?",
            unit="short",
            queries=(Query("max by (fault) (p2psim_fault_active)", "{{fault}}"),),
            means="Of the carriers' model, on command or by its scenario.",
        ),
        Panel(
            question="Does the model keep up?",
            unit="s",
            queries=(Query("max(p2psim_lateness_seconds)", "99 % of events, at most"),),
            means="Where it is late by more than a few milliseconds, the carrier server is the limit.",
        ),
        Panel(
            question="How do the carriers' webhooks fare?",
            unit="cps",
            stacked=True,
            queries=(Query(rate("p2psim_webhooks_total", by="result"), "{{result}}"),),
            means="Retried: we were slow or said no.",
        ),
        Panel(
            question="What waits at the provider?",
            unit="short",
            stacked=True,
            queries=(Query("sum by (carrier) (p2psim_queue_messages)", "{{carrier}}"),),
            means="Messages in the provider's own queue.",
        ),
        Panel(
            question="How fast does the model's time go?",
            unit="short",
            kind="stat",
            queries=(Query("max(p2psim_virtual_time_ratio)", "seconds a second"),),
            means="1 is real time.",
        ),
    ),
)
