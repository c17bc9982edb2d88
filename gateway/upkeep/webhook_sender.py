"""Deliveries on their way: several people's at once, one person's in their order, each until it is taken or parked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

import structlog

from gateway.clock import Clock
from gateway.core.bank.webhooks import (
    GIVE_UP_S,
    Answered,
    Package,
    rest_s,
    retry_s,
    spread_of,
)
from gateway.metrics import Metrics
from gateway.store import admin_notices, audit_log, deliveries, endpoints, user_notices
from gateway.store.database import Database
from gateway.store.deliveries import Due, Tried
from gateway.store.endpoints import EndpointRow
from gateway.store.ids import Ids
from gateway.store.user_notices import UserNotice

_log = structlog.get_logger("textbank.webhooks")
Courier = Callable[[Package], Awaitable[Answered]]
"""Hands a package over; it raises nothing."""

ROUND: Final = 64
"""Deliveries of an endpoint that are read, handed over and written down together."""
AT_ONCE: Final = 8
"""Calls to one endpoint at once."""
WHO: Final = "textbank"


class Health:
    """How an endpoint has fared with this worker: how often it failed in a row, and until when it is left alone."""

    def __init__(self) -> None:
        self.failures = 0
        self.rests_until = 0.0


class WebhookSender:
    """Sends what an endpoint has waiting. One worker sends for a campaign, its owner."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        courier: Courier,
        turns: asyncio.Semaphore,
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._courier = courier
        self._turns = turns
        self._ids = Ids(database)
        self._health: dict[int, Health] = {}

    async def send(self, endpoint: EndpointRow) -> bool:
        """One round; whether there may be more at once. Raises DatabaseAway."""
        health = self._health.setdefault(endpoint.endpoint_id, Health())
        now = self._clock.now()
        if now < health.rests_until:
            return False
        is_probe = health.rests_until > 0
        limit = 1 if is_probe else ROUND
        async with self._turns:
            due = await deliveries.due(self._database, endpoint.key, endpoint.endpoint_id, now, limit)
        if not due:
            return False
        turns = asyncio.Semaphore(AT_ONCE)
        answers = await asyncio.gather(*(self._hand_over(endpoint, each, turns, health) for each in due))
        tried = [(each, answer) for each, answer in zip(due, answers, strict=True) if answer is not None]
        async with self._turns:
            await self._note(endpoint, tried)
        return any(
            answer.is_taken or answer.is_final for _, answer in tried
        )  # then somebody's next one may be waiting

    async def _hand_over(
        self, endpoint: EndpointRow, each: Due, turns: asyncio.Semaphore, health: Health
    ) -> Answered | None:
        """None: the endpoint had begun to rest before it was this delivery's turn, which loses no attempt."""
        async with turns:
            if self._clock.now() < health.rests_until:
                return None
            answer = await self._courier(
                Package(
                    word=f"{endpoint.campaign_id}-{endpoint.endpoint_id}-{each.delivery_id}",
                    kind=endpoint.kind,
                    url=endpoint.url,
                    topic=each.topic,
                    body=each.body,
                    secrets=endpoint.secrets,
                    van=endpoint.van,
                )
            )
            self._weigh(health, answer)
            self._metrics.webhook_sent(each.topic, "delivered" if answer.is_taken else "failed")
            return answer

    def _weigh(self, health: Health, answer: Answered) -> None:
        if answer.is_taken or answer.is_final:
            health.failures, health.rests_until = 0, 0.0
            return
        health.failures += 1
        rest = max(rest_s(health.failures), answer.wait_s)
        if rest:
            health.rests_until = self._clock.now() + rest

    async def _note(self, endpoint: EndpointRow, tried: list[tuple[Due, Answered]]) -> None:
        now, key = self._clock.now(), endpoint.key
        results = [_tried(each, answer, now) for each, answer in tried]
        async with self._database.transaction() as transaction:
            await deliveries.tried(transaction, key, endpoint.endpoint_id, results, now)
        is_well = any(answer.is_taken or answer.is_final for _, answer in tried)
        if is_well:
            if endpoint.failing_since is not None:
                await endpoints.failing(self._database, key, endpoint.endpoint_id, None)
            return
        if endpoint.failing_since is None:
            await endpoints.failing(self._database, key, endpoint.endpoint_id, now)
        await deliveries.park_old(self._database, key, endpoint.endpoint_id, now)
        if any(answer.is_gone for _, answer in tried):
            await self._switch_off(endpoint, "it answered that it is gone (410)")
        elif endpoint.failing_since is not None and now - endpoint.failing_since >= GIVE_UP_S:
            await self._switch_off(endpoint, "it has taken nothing for three days")

    async def _switch_off(self, endpoint: EndpointRow, why: str) -> None:
        now = self._clock.now()
        notices = await admin_notices.made(
            self._database, self._ids, endpoint.key, _notice(endpoint, why, now)
        )
        async with self._database.transaction() as transaction:
            stands = await endpoints.find(transaction, endpoint.key, endpoint.endpoint_id, now)
            if stands is None or not stands.active:
                return
            await endpoints.switch_off(transaction, endpoint.key, endpoint.endpoint_id, why)
            await user_notices.tell(transaction, endpoint.key, notices)
            await audit_log.write(
                transaction,
                endpoint.key,
                now,
                WHO,
                "endpoint switched off",
                before=endpoints.told(stands),
                after=endpoints.told(endpoints.switched_off(stands, why)),
            )
        self._health.pop(endpoint.endpoint_id, None)
        _log.warning(
            "an endpoint was switched off",
            campaign_id=endpoint.campaign_id,
            endpoint_id=endpoint.endpoint_id,
            why=why,
        )


def _notice(endpoint: EndpointRow, why: str, now: float) -> UserNotice:
    """Whoever reads it turns the endpoint on again: what waits for it is kept."""
    return UserNotice(
        notice_id=0,
        user_id=0,
        kind="endpoint",
        title="An endpoint was switched off",
        body=f"{urlsplit(endpoint.url).hostname} gets nothing any more: {why}. Mend it, then turn the endpoint on again.",
        about={"endpoint_id": endpoint.endpoint_id},
        at=now,
    )


def _tried(each: Due, answer: Answered, now: float) -> Tried:
    due_at = now
    state = "delivered"
    if not answer.is_taken:
        wait_s = max(retry_s(each.attempts + 1, spread_of(each.delivery_id)), answer.wait_s)
        due_at = min(now + wait_s, each.give_up_at)  # tried once more at the very end
        state = "parked" if answer.is_final or now >= each.give_up_at else "waiting"
    return Tried(
        delivery_id=each.delivery_id, state=state, status=answer.status, why=answer.why, due_at=due_at
    )
