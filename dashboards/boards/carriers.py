"""What the carriers do with our texts."""

from dashboards.panels import BANKS, SERIES_OF_A_CARRIER, Board, Panel, Query
from dashboards.queries import quantile, rate, share, total

_FINALS = "p2p_messages_final_total"

BOARD = Board(
    name="carriers",
    title="Carriers",
    asks="What do the carriers do with our texts?",
    by_carrier=True,
    annotations=(BANKS,),
    panels=(
        Panel(
            question="How do texts end?",
            unit="cps",
            stacked=True,
            width=12,
            queries=(Query(rate(_FINALS, by="status"), "{{status}}"),),
            means="Last words a second.",
        ),
        Panel(
            question="How many are delivered?",
            unit="percentunit",
            width=12,
            queries=(
                Query(
                    share(
                        rate(f'{_FINALS}{{status="delivered"}}', "15m", "carrier"),
                        rate(f'{_FINALS}{{reason!~"landline|opted_out"}}', "15m", "carrier"),
                    ),
                    SERIES_OF_A_CARRIER,
                ),
            ),
            means="Of what ended in 15 minutes; landlines and people who had left don't count. Compare carriers with each other.",
        ),
        Panel(
            question="Which carrier filters us?",
            unit="percentunit",
            limit=0.05,
            queries=(
                Query("carrier:filtered:ratio30m", SERIES_OF_A_CARRIER),
                Query("carrier:filtered:lower_bound", "{{carrier}}, at least"),
            ),
            means="Of what ended in 30 minutes. Alerts look at what it is at least.",
        ),
        Panel(
            question="Which carrier fails our texts?",
            unit="percentunit",
            limit=0.15,
            queries=(Query("carrier:failed:ratio30m", SERIES_OF_A_CARRIER),),
            means="Of what ended in 30 minutes, without landlines, wrong numbers, filters and people who left.",
        ),
        Panel(
            question="Why do texts fail?",
            unit="short",
            kind="table",
            decimals=0,
            queries=(
                Query(
                    total(f'increase({_FINALS}{{status!="delivered"}}[$__range])', "carrier, reason"),
                    "{{carrier}} {{reason}}",
                ),
            ),
            means="Texts in the time shown, by class of reason.",
        ),
        Panel(
            question="How long does delivery take?",
            unit="s",
            width=12,
            exemplars=True,
            queries=(
                Query(quantile(0.95, "p2p_delivery_duration_seconds", by="carrier"), SERIES_OF_A_CARRIER),
            ),
            means="The 95th percentile from hand-over to receipt. A dot is a message: its story tells more.",
        ),
        Panel(
            question="Which carrier is slow?",
            unit="percentunit",
            width=12,
            limit=0.3,
            queries=(
                Query("carrier:slow:ratio30m", SERIES_OF_A_CARRIER),
                Query("carrier:slow:lower_bound", "{{carrier}}, at least"),
            ),
            means="Receipts that took more than 30 s from the hand-over, of those of 30 minutes. Alerts look at what it is at least.",
        ),
        Panel(
            question="How are delivery times spread?",
            unit="s",
            kind="heat",
            width=12,
            queries=(Query(rate("p2p_delivery_duration_seconds_bucket", by="le"), "{{le}}"),),
            means="The darker, the more receipts took so long.",
        ),
        Panel(
            question="How many texts have no last word?",
            unit="percentunit",
            width=12,
            limit=0.3,
            queries=(
                Query("environment:unsettled:ratio30m", "without a last word"),
                Query("environment:unsettled:lower_bound", "at least"),
            ),
            means="Of those taken in 30 minutes, the newest among them. Some carriers send no receipts.",
        ),
        Panel(
            question="Who takes our segments?",
            unit="cps",
            stacked=True,
            queries=(Query(rate("p2p_segments_total", by="carrier"), SERIES_OF_A_CARRIER),),
            means="Segments a second, as the provider's answers say.",
        ),
        Panel(
            question="In which alphabet do we write?",
            unit="percentunit",
            queries=(
                Query(
                    share(
                        rate('p2p_segments_total{encoding="UCS-2"}', "15m"),
                        rate("p2p_segments_total", "15m"),
                    ),
                    "UCS-2",
                ),
            ),
            means="UCS-2 has 67 signs in a segment instead of 153: one typographic quote is enough.",
        ),
        Panel(
            question="What do people write to us?",
            unit="cps",
            stacked=True,
            queries=(Query(rate("p2p_inbound_total", by="intent"), "{{intent}}"),),
            means="Texts a second.",
        ),
        Panel(
            question="Which breakers were moved?",
            unit="short",
            width=24,
            decimals=0,
            queries=(Query("sum by (scope, state) (p2p_breaker_state)", "{{scope}} {{state}}"),),
            means="Scripts and carriers by what moved their breaker; while one is open, first texts of that script wait for that carrier.",
        ),
    ),
)
