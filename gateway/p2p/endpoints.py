"""Other systems that are told of a campaign, as its admins keep them: where to, about what, and what came of it."""

import re
from typing import Final, TypeAlias

import msgspec

from gateway.clock import Clock
from gateway.core.bank.webhooks import (
    GIVE_UP_S,
    MOST_ENDPOINTS,
    SECRET_BYTES,
    Kind,
    Told,
    Topic,
    VanSettings,
    secret_of,
    url_fault,
)
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import BadFields, BadInput, TextbankError
from gateway.p2p.cursors import IdPlace, page_of, place_of
from gateway.p2p.sign_in import Random
from gateway.store import audit_log, campaigns, deliveries, endpoints, events
from gateway.store.database import Connection, Database
from gateway.store.deliveries import DeliveryRow, NewDelivery
from gateway.store.endpoints import Cursor, EndpointRow
from gateway.store.ids import Ids

_CREDENTIALS: Final = re.compile(r"[^:\s]{1,100}:[^:|\s]{1,200}\|[01]")
FORMER_SECRET_S: Final = 24 * 3600.0
"""How long deliveries are signed with the secret before as well."""
Endpoint: TypeAlias = EndpointRow
Delivery: TypeAlias = DeliveryRow


class TooManyEndpoints(TextbankError):
    """A campaign has as many as it may have."""

    def __init__(self) -> None:
        super().__init__(f"a campaign has at most {MOST_ENDPOINTS} endpoints: delete one first")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What an admin says of an endpoint; None: as it is."""

    url: str | None = None
    topics: tuple[Topic, ...] | None = None
    van: VanSettings | None = None
    credentials: str | None = None
    active: bool | None = None


class Page(msgspec.Struct, frozen=True):
    """Some deliveries, the newest first, and the cursor of those before; None: there are none."""

    rows: list[Delivery]
    next: str | None


class Endpoints:
    """Endpoints and their deliveries. `is_plain_allowed`: addresses may be http://, within networks that are allowed."""

    def __init__(self, database: Database, clock: Clock, random: Random, is_plain_allowed: bool) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._is_plain_allowed = is_plain_allowed
        self._ids = Ids(database)

    async def create(self, key: CampaignKey, kind: Kind, wanted: Wanted, who: str) -> Endpoint:
        """A new one, which is told what happens from now on; its secret is in the answer, and in no other.

        Raises BadFields, TooManyEndpoints.
        """
        now = self._clock.now()
        van = wanted.van if kind == "webhook" or wanted.van is not None else VanSettings()
        row = EndpointRow(
            organisation_id=key.organisation_id,
            campaign_id=key.campaign_id,
            endpoint_id=(await self._ids.take(1))[0],
            kind=kind,
            url=wanted.url or "",
            topics=list(dict.fromkeys(wanted.topics or ())),
            secrets=[wanted.credentials or secret_of(self._random(SECRET_BYTES))],
            van=_van_text(van),
            active=True,
            inactive_because=None,
            failing_since=None,
            made_at=now,
        )
        self._require(row, _credential_faults(kind, wanted.credentials, are_needed=True))
        place = await events.end(self._database)
        async with self._database.transaction() as transaction:
            await campaigns.locked(transaction, key)
            had = await endpoints.page(transaction, key, now, after=0, limit=MOST_ENDPOINTS)
            if len(had) >= MOST_ENDPOINTS:
                raise TooManyEndpoints
            await endpoints.create(transaction, row, Cursor(place.xid, place.event_id, 0))
            await audit_log.write(transaction, key, now, who, "endpoint made", after=endpoints.told(row))
        return row

    async def all(self, key: CampaignKey) -> list[Endpoint]:
        """The campaign's endpoints, by id: no campaign has many."""
        return await endpoints.page(self._database, key, self._clock.now(), after=0, limit=MOST_ENDPOINTS)

    async def find(self, key: CampaignKey, endpoint_id: int) -> Endpoint | None:
        return await endpoints.find(self._database, key, endpoint_id, self._clock.now())

    async def change(self, key: CampaignKey, endpoint_id: int, wanted: Wanted, who: str) -> Endpoint | None:
        """As the admin wants it; one that is switched on again goes on where it stopped. Raises BadFields."""
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            stands = await self._locked(transaction, key, endpoint_id, now)
            if stands is None:
                return None
            after = _changed(stands, wanted)
            leads_elsewhere = after.url != stands.url  # stored credentials go to no other address
            faults = _credential_faults(stands.kind, wanted.credentials, are_needed=leads_elsewhere)
            self._require(after, faults)
            if wanted.credentials is not None:
                await endpoints.new_secret(transaction, key, endpoint_id, wanted.credentials, now)
                about = msgspec.json.encode({"endpoint_id": endpoint_id}).decode()
                await audit_log.write(
                    transaction, key, now, who, "endpoint's credentials changed", after=about
                )
            if after != stands:
                await endpoints.change(transaction, after)
                await audit_log.write(
                    transaction,
                    key,
                    now,
                    who,
                    "endpoint changed",
                    before=endpoints.told(stands),
                    after=endpoints.told(after),
                )
        return after

    async def delete(self, key: CampaignKey, endpoint_id: int, who: str) -> bool:
        """Gone, with all that was on its way there; False: there is no such one."""
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            stands = await self._locked(transaction, key, endpoint_id, now)
            if stands is None:
                return False
            await endpoints.delete(transaction, key, endpoint_id)
            await audit_log.write(
                transaction, key, now, who, "endpoint deleted", before=endpoints.told(stands)
            )
        return True

    async def new_secret(self, key: CampaignKey, endpoint_id: int, who: str) -> str | None:
        """Another secret, shown this once; for a day deliveries carry a signature of the one before as well."""
        now, secret = self._clock.now(), secret_of(self._random(SECRET_BYTES))
        async with self._database.transaction() as transaction:
            stands = await self._locked(transaction, key, endpoint_id, now)
            if stands is None:
                return None
            if stands.kind == "van":
                raise BadInput("an endpoint of VAN's signs nothing", "credentials", "change them with PATCH")
            await endpoints.new_secret(transaction, key, endpoint_id, secret, now + FORMER_SECRET_S)
            about = msgspec.json.encode({"endpoint_id": endpoint_id}).decode()
            await audit_log.write(transaction, key, now, who, "endpoint's secret changed", after=about)
        return secret

    async def test(self, key: CampaignKey, endpoint_id: int) -> int | None:
        """A delivery of the topic `test`, on its way at once; its id. None: there is no such endpoint."""
        now = self._clock.now()
        told = Told(type="test", at=now, campaign_id=key.campaign_id, data={})
        async with self._database.transaction() as transaction:
            stands = await endpoints.lock(transaction, key, endpoint_id)
            if stands is None:
                return None
            row = NewDelivery(None, "test", msgspec.json.encode(told).decode())
            last = stands.deliveries
            await deliveries.add(
                transaction, key, endpoint_id, last, [row], now=now, give_up_at=now + GIVE_UP_S
            )
            cursor = Cursor(stands.xid, stands.event_id, last + 1)
            await endpoints.move(transaction, key, endpoint_id, cursor)
        return last + 1

    async def page(
        self, key: CampaignKey, endpoint_id: int, state: str | None, cursor: str | None, limit: int
    ) -> Page:
        """At most `limit` deliveries. Raises BadInput for a cursor of another list."""
        before = None if cursor is None else place_of(cursor, IdPlace).id
        rows = await deliveries.page(self._database, key, endpoint_id, state, before, limit + 1)
        return Page(*page_of(rows, limit, lambda each: IdPlace(each.delivery_id)))

    async def replay(self, key: CampaignKey, endpoint_id: int, delivery_id: int | None, who: str) -> int:
        """One delivery, or all that are parked, are sent again, for up to 72 hours from now; how many."""
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            count = await deliveries.again(
                transaction, key, endpoint_id, delivery_id, now=now, give_up_at=now + GIVE_UP_S
            )
            if count:
                told = {"endpoint_id": endpoint_id, "delivery_id": delivery_id, "deliveries": count}
                after = msgspec.json.encode(told).decode()
                await audit_log.write(transaction, key, now, who, "deliveries sent again", after=after)
        return count

    async def _locked(
        self, transaction: Connection, key: CampaignKey, endpoint_id: int, now: float
    ) -> Endpoint | None:
        if await endpoints.lock(transaction, key, endpoint_id) is None:
            return None
        return await endpoints.find(transaction, key, endpoint_id, now)

    def _require(self, row: Endpoint, faults: list[tuple[str, str]]) -> None:
        if fault := url_fault(row.url, is_plain_allowed=self._is_plain_allowed):
            faults.append(("url", fault))
        if not row.topics:
            faults.append(("topics", "name what the endpoint is to be told, one topic at least"))
        if row.kind == "webhook" and row.van is not None:
            faults.append(("van", "only an endpoint of the kind van has these"))
        if faults:
            raise BadFields(faults)


def _credential_faults(kind: str, given: str | None, *, are_needed: bool) -> list[tuple[str, str]]:
    if kind == "van" and (given is not None or are_needed) and _CREDENTIALS.fullmatch(given or "") is None:
        return [("credentials", "write them as VAN gives them: application:key|0, or |1")]
    if kind != "van" and given is not None:
        return [("credentials", "only an endpoint of the kind van has these")]
    return []


def _changed(stands: Endpoint, wanted: Wanted) -> Endpoint:
    return msgspec.structs.replace(
        stands,
        url=stands.url if wanted.url is None else wanted.url,
        topics=stands.topics if wanted.topics is None else list(dict.fromkeys(wanted.topics)),
        van=stands.van if wanted.van is None else _van_text(wanted.van),
        active=stands.active if wanted.active is None else wanted.active,
        inactive_because=None if wanted.active else stands.inactive_because,
    )


def _van_text(van: VanSettings | None) -> str | None:
    return None if van is None else msgspec.json.encode(van).decode()
