"""Rate, errors and duration at the gateway's doors."""

from dashboards.panels import DEPLOYS, Board, Panel, Query
from dashboards.queries import quantile, rate, share
from dashboards.slos import SENDS

_PUBLIC = 'route=~"/v1/.*"'

BOARD = Board(
    name="red",
    title="Gateway: rate, errors, duration",
    asks="What is asked of the gateway, and how does it answer?",
    annotations=(DEPLOYS,),
    panels=(
        Panel(
            question="What is asked of us?",
            unit="reqps",
            stacked=True,
            queries=(Query(f"topk(10, {rate('p2p_http_requests_total', by='route')})", "{{route}}"),),
            means="Requests a second, the ten busiest routes.",
        ),
        Panel(
            question="What do we answer?",
            unit="reqps",
            stacked=True,
            queries=(Query(rate("p2p_http_requests_total", by="status"), "{{status}}"),),
            means="By the class of the status; 4xx is the caller's, 5xx is ours.",
        ),
        Panel(
            question="How many answers are errors of ours?",
            unit="percentunit",
            limit=0.001,
            queries=(
                Query(
                    share(
                        rate(f'p2p_http_requests_total{{{_PUBLIC},status="5xx"}}'),
                        rate(f"p2p_http_requests_total{{{_PUBLIC}}}"),
                    ),
                    "5xx",
                ),
            ),
            means="Of the API. The line is the objective.",
        ),
        Panel(
            question="How long does a send take?",
            unit="s",
            limit=0.25,
            queries=tuple(
                Query(quantile(q, f'p2p_http_request_duration_seconds{{route=~"{SENDS}"}}'), f"p{q * 100:g}")
                for q in (0.5, 0.95, 0.99)
            ),
            means="From the request to its durable acceptance.",
        ),
        Panel(
            question="Which routes are slow?",
            unit="s",
            queries=(
                Query(
                    f"topk(10, {quantile(0.95, 'p2p_http_request_duration_seconds', by='route')} > 0)",
                    "{{route}}",
                ),
            ),
            means="The ten slowest by their 95th percentile.",
        ),
        Panel(
            question="How long does a text wait in its lane?",
            unit="s",
            queries=(Query(quantile(0.99, "p2p_queue_wait_seconds", by="lane"), "{{lane}}"),),
            means="The 99th percentile from being due to its hand-over. First texts wait for their pace.",
        ),
        Panel(
            question="What does the provider answer?",
            unit="cps",
            stacked=True,
            queries=(Query(rate("p2p_provider_requests_total", by="outcome"), "{{outcome}}"),),
            means="Calls a second, by outcome.",
        ),
        Panel(
            question="How long does the provider take?",
            unit="s",
            queries=tuple(
                Query(quantile(q, "p2p_provider_request_duration_seconds"), f"p{q * 100:g}")
                for q in (0.5, 0.95, 0.99)
            ),
            means="Time of a call.",
        ),
        Panel(
            question="What becomes of webhooks?",
            unit="cps",
            stacked=True,
            queries=(Query(rate("p2p_webhooks_total", by="type, result"), "{{type}} {{result}}"),),
            means="A stale one told us nothing new, which is usual.",
        ),
        Panel(
            question="How long does a webhook take?",
            unit="s",
            limit=1.0,
            queries=(
                Query(quantile(0.99, "p2p_webhook_duration_seconds", by="type"), "{{type}} answered"),
                Query(quantile(0.99, "p2p_webhook_lag_seconds", by="type"), "{{type}} in the books"),
            ),
            means="The 99th percentile: it is answered when it is durable, and with 503 after 10 s.",
        ),
        Panel(
            question="What becomes of the webhooks that we send?",
            unit="cps",
            stacked=True,
            queries=(Query(rate("p2p_webhooks_sent_total", by="result"), "{{result}}"),),
            means="To campaigns' own systems: each is tried for three days.",
        ),
        Panel(
            question="Which safeguards stop texts?",
            unit="cps",
            stacked=True,
            queries=(Query(f"topk(10, {rate('p2p_safeguard_blocks_total', by='code')})", "{{code}}"),),
            means="By code; docs/reference/error-codes.md has their words.",
        ),
        Panel(
            question="What becomes of the rows of batches?",
            unit="cps",
            stacked=True,
            queries=(Query(rate("p2p_http_batch_rows_total", by="result"), "{{result}}"),),
            means="A rejected row was wrong in itself, a blocked one was stopped by a safeguard.",
        ),
    ),
)
