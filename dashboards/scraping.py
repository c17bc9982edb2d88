"""Whom Prometheus asks, and whom Alertmanager tells."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

RULES: Final = "rules/*.yaml"
PATHS: Final = {"textbank": "/metrics", "textbank-carrier": "/twin/metrics", "textbank-load": "/metrics"}
EXAMPLE: Final[Mapping[str, Sequence[str]]] = {
    "textbank": ("gateway-1:18800", "gateway-2:18800"),
    "textbank-carrier": (),
    "textbank-load": (),
}
"""Each worker's own door, never the proxy; the carrier's model and a load generator in tests only."""


def prometheus_settings(
    targets: Mapping[str, Sequence[str]] = EXAMPLE,
    *,
    every: str = "15s",
    environment: str = "production",
    rules: str = RULES,
    own: str = "localhost:9090",
    alertmanagers: Sequence[str] = ("alertmanager:9093",),
) -> dict[str, Any]:
    """prometheus.yaml: the workers every `every`, and Prometheus itself."""
    jobs = [_job(job, PATHS[job], found, environment) for job, found in targets.items()]
    managers = [{"static_configs": [{"targets": list(alertmanagers)}]}] if alertmanagers else []
    return {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": [rules],
        "alerting": {"alertmanagers": managers},
        "scrape_configs": [*jobs, {"job_name": "prometheus", "static_configs": [{"targets": [own]}]}],
    }


def _job(job: str, path: str, targets: Sequence[str], environment: str) -> dict[str, Any]:
    labels = {"environment": environment}
    static = [{"targets": list(targets), "labels": labels}] if targets else []
    return {"job_name": job, "metrics_path": path, "static_configs": static}


def alertmanager() -> dict[str, Any]:
    """An example: pages wake somebody, tickets wait for the morning, the watchdog goes to whoever misses it."""
    return {
        "route": {
            "receiver": "tickets",
            "group_by": ["alertname", "environment", "slo"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "12h",
            "routes": [
                {
                    "matchers": ['alertname="Watchdog"'],
                    "receiver": "dead-man",
                    "group_wait": "0s",
                    "repeat_interval": "5m",
                },
                {
                    "matchers": ['severity="page"'],
                    "receiver": "pages",
                    "group_wait": "10s",
                    "repeat_interval": "1h",
                },
            ],
        },
        "inhibit_rules": [
            {  # a database that is away explains every error
                "source_matchers": ['alertname="DatabaseAway"'],
                "target_matchers": ['alertname=~".*Burn.*|WritesLag|DatabaseSlow|RepliesMayBeLost"'],
                "equal": ["environment"],
            },
            {  # the worse one is enough
                "source_matchers": ['alertname=~"CarrierFiltersMuch|VeryManyLeave"'],
                "target_matchers": ['alertname=~"CarrierFilters|ManyLeave"'],
                "equal": ["environment", "carrier"],
            },
        ],
        "receivers": [
            {"name": "tickets", "webhook_configs": [{"url": "http://tickets.example/alerts"}]},
            {"name": "pages", "webhook_configs": [{"url": "http://pager.example/alerts"}]},
            {"name": "dead-man", "webhook_configs": [{"url": "http://dead-man.example/beat"}]},
        ],
    }
