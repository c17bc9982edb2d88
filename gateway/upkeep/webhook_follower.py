"""From the journal to deliveries: each endpoint has a place of its own, which moves in the transaction that makes them.

So nothing is passed over and nothing is made twice, whichever worker does it, and whenever one is killed.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.core.bank.events import EventKind
from gateway.core.bank.tellings import Facts, Telling, is_wanted, tellings
from gateway.core.bank.webhooks import GIVE_UP_S, Told
from gateway.core.rules.campaign import CampaignKey
from gateway.store import deliveries, endpoints, events, telling_facts
from gateway.store.database import Connection, Database
from gateway.store.deliveries import NewDelivery
from gateway.store.endpoints import Cursor, EndpointRow
from gateway.store.events import Event, EventPlace, Item

EVENTS_AT_ONCE: Final = 200
"""Of the journal in one transaction; one event may be about a thousand texts."""
_encoder = msgspec.json.Encoder()

Wanted = tuple[Event, Item]


class WebhookFollower:
    """Makes an endpoint's deliveries."""

    def __init__(self, database: Database, clock: Clock, turns: asyncio.Semaphore) -> None:
        self._database = database
        self._clock = clock
        self._turns = turns

    async def follow(self, endpoint: EndpointRow) -> bool:
        """The journal's next piece for an endpoint; whether there may be more. Raises DatabaseAway."""
        key, topics = endpoint.key, frozenset(endpoint.topics)
        async with self._turns, self._database.transaction() as transaction:
            stands = await endpoints.lock(transaction, key, endpoint.endpoint_id)
            if stands is None:
                return False
            after = EventPlace(stands.xid, stands.event_id)
            found = await events.read(transaction, key, after, EVENTS_AT_ONCE)
            if not found:
                return False
            made = await self._made(transaction, key, found, topics)
            rows = [_delivery(key, each) for each in made]
            now = self._clock.now()
            if rows:
                await deliveries.add(
                    transaction,
                    key,
                    endpoint.endpoint_id,
                    stands.deliveries,
                    rows,
                    now=now,
                    give_up_at=now + GIVE_UP_S,
                )
            place = found[-1].place
            cursor = Cursor(place.xid, place.event_id, stands.deliveries + len(rows))
            await endpoints.move(transaction, key, endpoint.endpoint_id, cursor)
        return len(found) == EVENTS_AT_ONCE

    async def _made(
        self, transaction: Connection, key: CampaignKey, found: Sequence[Event], topics: frozenset[str]
    ) -> list[Telling]:
        wanted = [
            (event, item)
            for event in found
            for item in event.items()
            if is_wanted(event.kind, item.state, topics)
        ]
        facts = Facts(
            people=await telling_facts.people(transaction, key, _contacts(wanted)),
            texts=await telling_facts.texts(transaction, key, _ids(wanted, EventKind.HEARD)),
            reports=await telling_facts.reports(transaction, key, _ids(wanted, EventKind.REPORTED)),
            notices=await telling_facts.notices(transaction, key, _ids(wanted, EventKind.NOTICED)),
            limits=await telling_facts.limits(transaction, key, _are_any(wanted, EventKind.LIMIT)),
        )
        return [
            each for event, item in wanted for each in tellings(event.kind, event.at, item, facts, topics)
        ]


def _contacts(wanted: Sequence[Wanted]) -> list[int]:
    return sorted({item.contact_id for _, item in wanted if item.contact_id is not None})


def _are_any(wanted: Sequence[Wanted], kind: EventKind) -> bool:
    return any(event.kind is kind for event, _ in wanted)


def _ids(wanted: Sequence[Wanted], kind: EventKind) -> list[int]:
    return sorted({item.id for event, item in wanted if event.kind is kind and item.id is not None})


def _delivery(key: CampaignKey, each: Telling) -> NewDelivery:
    told = Told(type=each.topic, at=each.at, campaign_id=key.campaign_id, data=each.data)
    return NewDelivery(each.contact_id, each.topic, _encoder.encode(told).decode())
