"""What there is to see of a gateway: worked out from two scrapes of each worker. `textbank top --json` prints it as it is.

Sums over workers are right, since each tells of its own campaigns; of ages, forecasts and shares the worst counts.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.metric_families import LANE, OUTCOME, RESOURCE
from gateway.top.scrape import Scrape, buckets, increase, per_s, quantile

_BAD: Final = ("throttled", "rejected", "error", "timeout")


class Seen(msgspec.Struct, frozen=True):
    """Two scrapes of a worker; `after` None: it doesn't answer, and `why`."""

    url: str
    before: Scrape | None = None
    after: Scrape | None = None
    why: str = ""


class WorkerPicture(msgspec.Struct, frozen=True, kw_only=True):
    """`cpu` in cores; `loop_lag_p99_s` None: nothing was measured between the scrapes."""

    url: str
    is_up: bool
    why: str = ""
    version: str = ""
    commit: str = ""
    settings: str = ""
    cpu: float = 0.0
    memory_bytes: int = 0
    loop_lag_p99_s: float | None = None
    database_away_s: float = 0.0
    campaigns: int = 0


class LanePicture(msgspec.Struct, frozen=True, kw_only=True):
    """`drain_s`: until it is empty, at the rate allowed now. `wait_p99_s`: of what was handed over meanwhile."""

    lane: str
    messages: int
    segments: int
    oldest_s: float
    drain_s: float
    sent_per_s: float
    wait_p99_s: float | None


class ProviderPicture(msgspec.Struct, frozen=True, kw_only=True):
    """Calls between the scrapes; `bad_share` None: there were none."""

    calls_per_s: float
    p50_s: float | None
    p99_s: float | None
    bad_share: float | None
    outcomes: dict[str, int]


class ResourcePicture(msgspec.Struct, frozen=True, kw_only=True):
    """How full, 0 to 1, at the worker where it is fullest."""

    resource: str
    used: float


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """All workers together; `over_s` lie between the scrapes. Rates are a second."""

    over_s: float
    workers: list[WorkerPicture]
    campaigns: int
    campaigns_without_worker: int
    people_waiting: int
    volunteers: int
    contacts_remaining: int
    requests_per_s: float
    accepted_per_s: float
    blocked_per_s: float
    sent_per_s: float
    delivered_per_s: float
    failed_per_s: float
    inbound_per_s: float
    opt_outs_per_s: float
    lanes: list[LanePicture]
    provider: ProviderPicture
    resources: list[ResourcePicture]
    stuck: int
    broken_promises: int


class _All:
    """The workers that answer, as one."""

    def __init__(self, pairs: Sequence[tuple[Scrape, Scrape]]) -> None:
        self.pairs = pairs

    def total(self, name: str, **wanted: str) -> float:
        return sum(after.total(name, **wanted) for _, after in self.pairs)

    def most(self, name: str, **wanted: str) -> float:
        return max((after.most(name, **wanted) for _, after in self.pairs), default=0.0)

    def per_s(self, name: str, **wanted: str) -> float:
        return sum(per_s(before, after, name, **wanted) for before, after in self.pairs)

    def increase(self, name: str, **wanted: str) -> float:
        return sum(increase(before, after, name, **wanted) for before, after in self.pairs)

    def quantile(self, share: float, name: str, **wanted: str) -> float | None:
        counts: Counter[float] = Counter()
        for before, after in self.pairs:
            counts.update(buckets(before, after, name, **wanted))
        return _rounded(quantile(counts, share))


def picture(seen: Sequence[Seen]) -> Picture:
    """Of workers of which at least one answers."""
    pairs = [(each.before, each.after) for each in seen if each.before is not None and each.after is not None]
    workers = _All(pairs)
    return Picture(
        over_s=round(max((after.at - before.at for before, after in pairs), default=0.0), 3),
        workers=[_worker(each) for each in seen],
        campaigns=int(workers.total("p2p_campaigns_owned")),
        campaigns_without_worker=int(workers.total("p2p_campaigns_waiting")),
        people_waiting=int(workers.total("p2p_conversations_waiting")),
        volunteers=int(workers.total("p2p_volunteers_active")),
        contacts_remaining=int(workers.total("p2p_contacts_remaining")),
        requests_per_s=_rate(workers, "p2p_http_requests_total"),
        accepted_per_s=_rate(workers, "p2p_messages_accepted_total"),
        blocked_per_s=_rate(workers, "p2p_safeguard_blocks_total"),
        sent_per_s=_rate(workers, "p2p_provider_requests_total", outcome="ok"),
        delivered_per_s=_rate(workers, "p2p_messages_final_total", status="delivered"),
        failed_per_s=round(
            sum(workers.per_s("p2p_messages_final_total", status=each) for each in ("undelivered", "failed")),
            2,
        ),
        inbound_per_s=_rate(workers, "p2p_inbound_total"),
        opt_outs_per_s=_rate(workers, "p2p_optouts_total"),
        lanes=[_lane(workers, lane) for lane in LANE.values],
        provider=_provider(workers),
        resources=[
            ResourcePicture(resource=each, used=round(workers.most("p2p_saturation_ratio", resource=each), 4))
            for each in RESOURCE.values
        ],
        stuck=int(workers.total("p2p_stuck_messages")),
        broken_promises=int(workers.total("p2p_invariant_violations_total")),
    )


def _worker(seen: Seen) -> WorkerPicture:
    before, after = seen.before, seen.after
    if before is None or after is None:
        return WorkerPicture(url=seen.url, is_up=False, why=seen.why)
    alone = _All([(before, after)])
    return WorkerPicture(
        url=seen.url,
        is_up=True,
        version=after.label("p2p_build_info", "version"),
        commit=after.label("p2p_build_info", "commit"),
        settings=after.label("p2p_config_info", "hash"),
        cpu=_rate(alone, "process_cpu_seconds_total"),
        memory_bytes=int(after.total("process_resident_memory_bytes")),
        loop_lag_p99_s=alone.quantile(0.99, "p2p_event_loop_lag_seconds"),
        database_away_s=round(after.total("p2p_database_away_seconds"), 1),
        campaigns=int(after.total("p2p_campaigns_owned")),
    )


def _lane(workers: _All, lane: str) -> LanePicture:
    return LanePicture(
        lane=lane,
        messages=int(workers.total("p2p_queue_messages", lane=lane)),
        segments=int(workers.total("p2p_queue_segments", lane=lane)),
        oldest_s=round(workers.most("p2p_queue_oldest_age_seconds", lane=lane), 1),
        drain_s=round(workers.most("p2p_queue_drain_eta_seconds", lane=lane), 1),
        sent_per_s=_rate(workers, "p2p_queue_wait_seconds_count", lane=lane),
        wait_p99_s=workers.quantile(0.99, "p2p_queue_wait_seconds", lane=lane),
    )


def _provider(workers: _All) -> ProviderPicture:
    name = "p2p_provider_requests_total"
    outcomes = {each: int(workers.increase(name, outcome=each)) for each in OUTCOME.values}
    calls = sum(outcomes.values())
    bad = sum(outcomes[each] for each in _BAD)
    return ProviderPicture(
        calls_per_s=_rate(workers, name),
        p50_s=workers.quantile(0.5, "p2p_provider_request_duration_seconds"),
        p99_s=workers.quantile(0.99, "p2p_provider_request_duration_seconds"),
        bad_share=round(bad / calls, 4) if calls else None,
        outcomes=outcomes,
    )


def _rate(workers: _All, name: str, **wanted: str) -> float:
    return round(workers.per_s(name, **wanted), 2)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
