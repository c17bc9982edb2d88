"""Broadcasts go out: at the campaign's pace, within everybody's hours, each person once (F043, F052, F057).

The gateway is the volunteer of a broadcast. It claims buckets as any other, and each text passes admission with its
safeguards; but nobody presses, and no more is asked for than may wait in the queue, so that a pause or an end is
followed at once, and volunteers' first texts wait behind few.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Final

import structlog

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import NotNow
from gateway.core.rules.idempotency import Key
from gateway.core.rules.safeguards import GATEWAY, Kind, Request
from gateway.p2p.buckets import Bucket, Buckets, Item, Volunteer
from gateway.pipeline.admission import Admission, Outcome
from gateway.pipeline.campaigns import Campaign, Campaigns
from gateway.store import broadcasts
from gateway.store.database import Database

MOST_WAITING: Final = 300  # texts of the campaign that are due
_AT_ONCE: Final = 100
_NOBODY_FOR_S: Final = 15.0  # after nobody was found, nobody is looked for
_Place = tuple[int, int]  # campaign, action
_log = structlog.get_logger("textbank.broadcasts")


class Broadcasts:
    """The broadcasts of the campaigns that this worker owns. Another owner may overlap for a moment: each text has a key."""

    def __init__(
        self, database: Database, campaigns: Campaigns, admission: Admission, clock: Clock, buckets: Buckets
    ) -> None:
        self._database = database
        self._campaigns = campaigns
        self._admission = admission
        self._clock = clock
        self._buckets = buckets
        self._known: dict[_Place, int | None] = {}  # the newest bucket
        self._look_at: dict[_Place, float] = {}  # by Clock.steady
        self._whole: set[_Place] = set()  # whose last turn came to its end

    async def run_once(self, owned: Sequence[CampaignKey]) -> int:
        """A turn of every broadcast of these campaigns; returns how many texts were asked for."""
        known, ours = self._campaigns, {key.campaign_id for key in owned}
        self._whole = {place for place in self._whole if place[0] in ours}
        return sum([await self._turns(known[key.campaign_id]) for key in owned if key.campaign_id in known])

    async def _turns(self, campaign: Campaign) -> int:
        if campaign.paused or not campaign.settings.broadcasts:
            return 0
        asked = 0
        for action_id in sorted(campaign.broadcasts - campaign.paused_actions):
            if self._look_at.get((campaign.campaign_id, action_id), -math.inf) <= self._clock.steady():
                asked += await self._tried(campaign, action_id)
        return asked

    async def _tried(self, campaign: Campaign, action_id: int) -> int:
        try:
            return await self._turn(campaign, action_id)
        except NotNow:  # the database is away, or too much waits: it goes on later
            return 0
        except Exception:  # noqa: BLE001 - a script that can't be read must not stop the others
            _log.exception("a broadcast met a defect", action=action_id, campaign_id=campaign.campaign_id)
            self._look_at[campaign.campaign_id, action_id] = self._clock.steady() + _NOBODY_FOR_S
            return 0

    async def _turn(self, campaign: Campaign, action_id: int) -> int:
        place, asked = (campaign.campaign_id, action_id), 0
        if place not in self._whole:
            self._free(place, await broadcasts.left_over(self._database, campaign.key, action_id))
            self._whole.add(place)
        while await self._room(campaign) and self._goes_on(campaign.campaign_id, action_id):
            bucket = await self._buckets.take(*place, _GATEWAY, after=self._known.get(place), size=_AT_ONCE)
            if bucket.bucket_id is None:
                self._look_at[place] = self._clock.steady() + _NOBODY_FOR_S
                break
            self._whole.discard(place)
            await self._send(campaign, action_id, bucket)
            self._whole.add(place)
            self._known[place] = bucket.bucket_id
            asked += len(bucket.items)
        return asked

    def _goes_on(self, campaign_id: int, action_id: int) -> bool:
        campaign = self._campaigns[campaign_id]
        return not campaign.paused and action_id in campaign.broadcasts - campaign.paused_actions

    async def _room(self, campaign: Campaign) -> bool:
        waiting = await broadcasts.waiting(self._database, campaign.key, self._clock.now(), MOST_WAITING)
        return waiting < MOST_WAITING

    async def _send(self, campaign: Campaign, action_id: int, bucket: Bucket) -> None:
        items = bucket.items
        self._admission.require_room(campaign.campaign_id, len(items))
        sent = [self._submit(campaign.campaign_id, action_id, bucket.bucket_id, item) for item in items]
        outcomes = await asyncio.gather(*sent)
        told = zip(items, outcomes, strict=True)
        later = [item.contact_id for item, each in told if each.code == broadcasts.OUT_OF_HOURS]
        if later:
            await broadcasts.later(self._database, campaign.key, action_id, later)
            self._free((campaign.campaign_id, action_id), later)

    def _free(self, place: _Place, contact_ids: Sequence[int]) -> None:
        self._buckets.given_back(place[0], [(place[1], contact_id) for contact_id in contact_ids])

    def _submit(
        self, campaign_id: int, action_id: int, bucket_id: int | None, item: Item
    ) -> "asyncio.Future[Outcome]":
        request = Request(
            campaign_id=campaign_id,
            contact_id=item.contact_id,
            kind=Kind.BROADCAST,
            body=item.body,
            action_id=action_id,
            sender_id=GATEWAY,
            media=item.media,
        )
        key = Key(
            f"broadcast:{action_id}", f"{bucket_id}:{item.contact_id}"
        )  # whose turn comes again has another
        return self._admission.submit(
            request, script=item.script, key=key, asked=(action_id, item.contact_id)
        )


_GATEWAY: Final = Volunteer(GATEWAY)
