"""A small busy day through the door: after it every metric that is declared has moved. One that can't is no metric."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from gateway.metric_families import FAMILIES
from gateway.metrics import Metrics
from gateway.providers.base import Found, InboundText, Listed, OurPhones
from gateway.store.troubles import DatabaseGone
from gateway.upkeep.headcount import Headcount
from gateway.upkeep.workload import Workload
from tests.http.house import CAMPAIGN, NUMBER, START_AT, House, a_house
from tests.http.signing_provider import PATIENCE_S, SigningProvider

DAY = {
    "name": "North",
    "settings": {
        "registration": {"brand_kind": "standard", "campaign_kind": "mixed", "score": 10},
        "pool": {"settle_s": 0.0},
    },
}
PEOPLE = 40
# What takes hours of virtual time, or somebody else's server: tests/upkeep/test_limit_watch.py, test_webhooks.py.
ELSEWHERE = {
    "p2p_limit_warnings_total",
    "p2p_webhooks_sent_total",
    "p2p_invariant_violations_total",  # tests/pipeline/test_broken_promises.py: none on such a day
    "p2p_spans_total",  # tests/tracing/: off here
    "p2p_breaker_state",  # tests/upkeep/test_breaker_watch.py: nothing is filtered on such a day
}


class WithHistory(SigningProvider):
    """It carried one text each way of which nobody was told."""

    away_since = None
    skew_s = 3.0

    async def inbound_since(
        self, since: float, until: float | None, our_phones: OurPhones
    ) -> AsyncIterator[InboundText]:
        yield InboundText("SM-lost", "+12155550199", NUMBER, "Hello?", START_AT - 600)

    async def outbound_since(self, number_phone: str, since: float) -> AsyncIterator[Listed]:
        if number_phone == NUMBER:
            yield Listed("SM-nobody-knows", "+12155550198", "delivered", None, START_AT - 600)

    async def fetch(self, provider_sid: str) -> Found | None:
        return None


class Day:
    """What has moved so far, at any of the looks."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.gateway = gateway = house.worker.gateway
        self.metrics = gateway.metrics
        self._at_first = _values(Metrics())
        self.moved: set[str] = set()
        self.headcount = Headcount(gateway.database, gateway.clock, gateway.metrics, gateway.admission)
        self.workload = Workload(
            gateway.database, gateway.database, gateway.clock, gateway.metrics, gateway.dispatch
        )

    async def look(self) -> None:
        text = InboundText("SM-in-its-window", "+12155550197", NUMBER, "Hello?", self.gateway.clock.now())
        kept = self.gateway.inbound(text)
        self.gateway.dispatch.inbound_gap.open("a test")
        self.gateway.database.outage.failed(DatabaseGone("a test"))
        async with self.gateway.database.connection():
            self.gateway.look()
        self._compare()
        await kept
        await self.workload.run_once()
        await self.headcount.run_once(
            sorted(road.campaign.key for road in self.gateway.dispatch.roads.values())
        )
        self._compare()

    def _compare(self) -> None:
        for sample, (family, value) in _values(self.metrics).items():
            if self._at_first.get(sample, (family, None))[1] != value:
                self.moved.add(family)

    @property
    def still(self) -> set[str]:
        return {family.name for family in FAMILIES} - self.moved - ELSEWHERE


def _values(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], tuple[str, float]]:
    """Every sample with its family, as FAMILIES calls it."""
    total = {"counter": "_total"}
    return {
        (sample.name, frozenset(sample.labels.items())): (
            metric.name + total.get(metric.type, ""),
            sample.value,
        )
        for metric in metrics.registry.collect()
        for sample in metric.samples
    }


async def the_bank(house: House, campaign: int, contacts: Sequence[int]) -> None:
    """One is answered, one opts out, one is blocked, and one waits for us."""
    first, second = contacts[:2]
    await house.send(first, "Hi", campaign_id=campaign, sender_id=7)
    text = await house.provider.next_text()
    await house.says(text, "delivered")
    await house.send(1, "Hi from another", sender_id=7)
    await house.says(await house.provider.next_text(), "sent")
    await house.writes(1, "Who is this?")
    await house.send(1, "Ann, of the bank", kind="reply", sender_id=7)
    await house.writes(2, "Hello?")
    await house.writes(3, "STOP")
    rows = [{"contact_id": 3, "body": "Hi"}]
    await house.call("POST", "/v1/messages:batch", {"campaign_id": CAMPAIGN, "messages": rows})
    await house.store.execute("INSERT INTO assignments VALUES ($1, 5, $2, 'x', 1)", campaign, second)


async def the_rush(house: House, campaign: int, contacts: Sequence[int]) -> None:
    """More than a slow campaign may send at once, and nobody answers."""
    house.provider.gate = asyncio.Event()
    rows = [{"contact_id": each, "body": "Hello"} for each in contacts]
    await house.call("POST", "/v1/messages:batch", {"campaign_id": campaign, "messages": rows})
    text = await house.provider.next_text()
    await house.says(text, "undelivered", 30034)  # carriers do not know the campaign
    await house.store.execute(
        "UPDATE messages SET slot_at = slot_at - interval '1 hour' WHERE state = 'sending'"
    )


async def test_after_a_busy_day_every_metric_has_moved(dsn: str) -> None:
    provider = WithHistory()
    provider.on_sale.append("+14125550111")
    async with a_house(dsn, provider=provider) as house:
        day = Day(house)
        campaign = (await house.call("POST", "/v1/campaigns", DAY)).body["campaign_id"]
        people = {"contacts": [{"phone": f"+1412555{1000 + nth}"} for nth in range(PEOPLE)]}
        path = f"/v1/campaigns/{campaign}/contacts"
        contacts = (await house.call("POST", path, people)).body["contact_ids"]
        newer = """INSERT INTO campaigns VALUES (99, 99, 'Made by a newer release', '{"pool": 7}', false, now())"""
        await house.store.execute(newer)
        await the_bank(house, campaign, contacts)
        await the_rush(house, campaign, contacts[2:])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while day.still:
                    await day.look()
        assert provider.gate is not None
        provider.gate.set()
        assert day.still == set()
