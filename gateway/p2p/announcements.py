"""Staff reach the campaign's people: within the application, and by a mail that nobody answers (F173, F174)."""

import hashlib
from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.core.bank.permissions import Actor
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import BadInput
from gateway.p2p.cursors import AtPlace, before, page_of
from gateway.p2p.people import MemberFilter
from gateway.pipeline.campaigns import Campaigns
from gateway.store import announcements, audit_log, user_lists, users
from gateway.store.announcements import Announcement
from gateway.store.database import Database
from gateway.store.ids import Ids

__all__ = ["Announcement", "AnnouncementPage", "Announcements", "Reached", "Words"]

MOST_REACHED: Final = 10_000
"""People that one announcement reaches."""
LONGEST_TITLE: Final = 200
LONGEST_BODY: Final = 4_000


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What is told, and whether by mail as well."""

    title: str
    body: str
    mail: bool = False


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """How many people are told, how many of them by mail as well, and how many want no mail."""

    people: int
    mails: int
    no_mail: int


class AnnouncementPage(msgspec.Struct, frozen=True):
    """Announcements, the newest first, and the cursor of those before them."""

    rows: list[Announcement]
    next: str | None


class Announcements:
    """`can_mail`: whether there is a server that takes our mails."""

    def __init__(self, database: Database, campaigns: Campaigns, clock: Clock, *, can_mail: bool) -> None:
        self._database = database
        self._campaigns = campaigns
        self._clock = clock
        self._can_mail = can_mail
        self._ids = Ids(database)

    async def foresee(
        self, campaign_id: int, whom: MemberFilter, user_ids: tuple[int, ...], words: Words
    ) -> Reached:
        """Whom it would reach now; nobody is told. Raises BadInput."""
        key = self._campaigns[campaign_id].key
        people = await self._people(key, whom, user_ids, words)
        mails = await announcements.may_mail(self._database, key, people) if words.mail else []
        return _reached(len(people), len(mails), words)

    async def tell(
        self,
        actor: Actor,
        campaign_id: int,
        whom: MemberFilter,
        user_ids: tuple[int, ...],
        words: Words,
        key: str | None = None,
    ) -> tuple[Announcement, Reached]:
        """Tells the active people that a filter has, or those named. With a key a repeat tells nobody again.

        Mails go out within minutes. Raises BadInput: too many people, no server for mails, a key of another one.
        """
        campaign, now = self._campaigns[campaign_id], self._clock.now()
        people = await self._people(campaign.key, whom, user_ids, words)
        ids = await self._ids.take(1 + len(people))
        hashed = _hash_of(whom, user_ids, words)
        async with self._database.transaction() as transaction:
            mails = await announcements.may_mail(transaction, campaign.key, people) if words.mail else []
            wanted = Announcement(
                announcement_id=ids[0],
                at=now,
                who=actor.name,
                title=words.title,
                body=words.body,
                people=len(people),
                mails=len(mails),
                request_hash=hashed,
            )
            made = await announcements.make(transaction, campaign.key, wanted, key)
            if made is not None:
                await announcements.tell(transaction, campaign.key, made, ids[1:], people, mails)
                after = {
                    name: getattr(made, name) for name in ("announcement_id", "title", "people", "mails")
                }
                told = msgspec.json.encode(after).decode()
                await audit_log.write(transaction, campaign.key, now, actor.name, "people told", after=told)
        if made is None:
            assert key is not None  # only a key is there twice
            made = await announcements.by_key(self._database, campaign.key, actor.name, key)
        if made.request_hash != hashed:
            raise BadInput("it was used for another announcement", "Idempotency-Key", "give each its own")
        return made, _reached(made.people, made.mails, words)

    async def page(self, campaign_id: int, cursor: str | None, limit: int) -> AnnouncementPage:
        """At most `limit`, the newest first. Raises BadInput for a cursor of another list."""
        key = self._campaigns[campaign_id].key
        rows = await announcements.page(self._database, key, before(cursor), limit + 1)
        return AnnouncementPage(*page_of(rows, limit, lambda each: AtPlace(each.at, each.announcement_id)))

    async def _people(
        self, key: CampaignKey, whom: MemberFilter, user_ids: tuple[int, ...], words: Words
    ) -> list[int]:
        if words.mail and not self._can_mail:
            raise BadInput("no server takes our mails", "mail", "leave it out, or set mail.url")
        if user_ids:
            people = sorted(await user_lists.active(self._database, key, user_ids))
        else:
            active = msgspec.structs.replace(whom, active=True)
            rows = await users.members(self._database, key, active, after=0, limit=MOST_REACHED + 1)
            people = [row.user_id for row in rows]
        if len(people) > MOST_REACHED:
            raise BadInput(f"more than {MOST_REACHED} people are meant", "filter", "narrow it")
        return people


def _reached(people: int, mails: int, words: Words) -> Reached:
    return Reached(people=people, mails=mails, no_mail=people - mails if words.mail else 0)


def _hash_of(*asked: object) -> int:
    digest = hashlib.blake2b(msgspec.json.encode(asked), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
