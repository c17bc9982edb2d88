"""What there is a limited amount of: one shape of metric, `resource:saturation:ratio`, and a forecast for each."""

from dataclasses import dataclass
from typing import Final

RATIO: Final = "resource:saturation:ratio"
FORECAST: Final = "resource:saturation:predict1h"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """`expression` is 0 to 1 by environment; None: the gateway tells it in p2p_saturation_ratio.

    `full_is_planned`: a bank uses all of it, and that is what it is for. Nobody is woken.
    """

    name: str
    title: str
    full_means: str
    expression: str | None = None
    full_is_planned: bool = False


RESOURCES: Final = (
    Resource(
        name="number_rate",
        title="rate of the busiest number",
        full_means="texts wait for a number's turn",
        full_is_planned=True,
    ),
    Resource(
        name="campaign_rate",
        title="rate of the busiest campaign",
        full_means="texts wait for the campaign's rate",
        full_is_planned=True,
    ),
    Resource(
        name="carrier_rate",
        title="rate towards the busiest carrier",
        full_means="texts to one carrier wait",
        full_is_planned=True,
    ),
    Resource(
        name="tmobile_day",
        title="T-Mobile's day",
        full_means="texts to T-Mobile wait until midnight in Los Angeles",
        full_is_planned=True,
    ),
    Resource(
        name="numbers",
        title="numbers that a campaign may have",
        full_means="no number is bought any more",
        full_is_planned=True,
    ),
    Resource(
        name="provider_calls",
        title="calls to the provider at once",
        full_means="texts wait for a call although their slot has come",
    ),
    Resource(
        name="main_connections", title="database connections", full_means="statements wait for a connection"
    ),
    Resource(
        name="session_connections",
        title="connections of the worker's session",
        full_means="the worker may not say in time that it lives",
    ),
    Resource(
        name="rows_to_write", title="rows that wait to be written", full_means="requests are refused with 503"
    ),
    Resource(name="door", title="sends at the door at once", full_means="sends are refused with 503"),
    Resource(
        name="open_files",
        title="open files",
        full_means="no connection can be opened",
        expression='max by (environment) (process_open_fds{job="textbank"} / (process_max_fds{job="textbank"} > 0))',
    ),
    Resource(
        name="cpu",
        title="CPU of the busiest worker, of one core",
        full_means="everything is late: a worker uses one core",
        expression='max by (environment) (rate(process_cpu_seconds_total{job="textbank"}[1m]))',
    ),
)
WATCHED: Final = "|".join(each.name for each in RESOURCES if not each.full_is_planned)
"""Those that must not be full."""
