"""Buckets over the API: whom a volunteer texts next, each text as it will be sent, and whom there still is."""

from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.clock import Clock
from gateway.core.bank.permissions import Act
from gateway.core.rules.campaign import LARGEST_BUCKET
from gateway.core.rules.errors import BadInput
from gateway.core.rules.hours import Open, verdict, zones_of
from gateway.core.text.segments import Encoding, measure
from gateway.http.access import Grant
from gateway.http.bodies import asked, decoded, json_answer, json_body, path_id
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import LARGEST_ID, Id
from gateway.http.sending import require_open
from gateway.p2p.actions import Actions, NoAction
from gateway.p2p.buckets import Bucket, Buckets, Item, Volunteer
from gateway.p2p.progress import Did
from gateway.p2p.results import NoResults
from gateway.p2p.volunteers import Volunteers
from gateway.pipeline.campaigns import Campaign

ACTION: Final = "/v1/campaigns/{campaign_id}/actions/{action_id}"
VolunteerId = Annotated[
    Id | None, Meta(description="Whose bucket it is, from an API key; a person's is their own.")
]


class Whose(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For whom an API key asks."""

    volunteer_id: VolunteerId = None


class NewBucket(Whose, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Start, or with `after`, the bucket that was finished, Text Again. `size`: 1 to 500; null is what the action says."""

    after: Annotated[int, Meta(ge=0, le=LARGEST_ID)] | None = None
    size: Annotated[int, Meta(ge=1, le=LARGEST_BUCKET)] | None = None


class Stop(Whose, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Done for the day. `contact_ids`: those to give back, where some presses are still under way; null: all."""

    contact_ids: Annotated[tuple[Id, ...], Meta(max_length=4 * LARGEST_BUCKET)] | None = None


class BucketRow(Struct, frozen=True, kw_only=True):
    """A contact and the text as it would go out now: its script (`variant`), and the `hash` that travels with the press.

    `time_zones`: where the person may be. `until`: the end of their window; null: it has just shut. `revision`: of the
    conversation; 0: there is none yet.
    """

    contact_id: int
    first_name: str
    text: str
    media_urls: tuple[str, ...]
    variant: str
    hash: str
    segments: int
    encoding: Encoding
    time_zones: list[str]
    until: float | None
    revision: int


class LeftView(Struct, frozen=True, kw_only=True):
    """Whom there still is for this volunteer: `free_now`, `free_later` (the first from `opens_at` on), and up to a
    thousand whom others `held` and may give back. `nobody`: none of these."""

    free_now: int
    free_later: int
    opens_at: float | None
    held: int
    nobody: bool


class BucketView(Struct, frozen=True, kw_only=True):
    """Whom the volunteer texts, in this order. Without rows `left` says whether there will be others, and when."""

    bucket_id: int | None
    rows: list[BucketRow]
    left: LeftView | None


class GivenBack(Struct, frozen=True):
    """How many contacts are for others again."""

    given_back: int


_new = msgspec.json.Decoder(NewBucket)
_stop = msgspec.json.Decoder(Stop)
_REFUSES: Final[tuple[int, ...]] = (400, 404, 413, 415, 422, 503)

OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{ACTION}/buckets",
        handler="buckets.take",
        summary="Start texting, or go on with the next bucket. A repeat gives the same people, not more of them.",
        act=Act.SEND,
        tag="buckets",
        takes=NewBucket,
        gives={HTTPStatus.OK: BucketView},
        refuses=_REFUSES,
    ),
    Operation(
        method="GET",
        path=f"{ACTION}/buckets/mine",
        handler="buckets.mine",
        summary="The people whom the volunteer has and has not texted yet, in their order: after a reload.",
        act=Act.SEND,
        tag="buckets",
        asks=Whose,
        gives={HTTPStatus.OK: BucketView},
        refuses=(404, 422, 503),
    ),
    Operation(
        method="POST",
        path=f"{ACTION}/buckets:done",
        handler="buckets.done",
        summary="Done for the day: whom the volunteer has not texted is for others again.",
        act=Act.SEND,
        tag="buckets",
        takes=Stop,
        gives={HTTPStatus.OK: GivenBack},
        refuses=_REFUSES,
    ),
    Operation(
        method="GET",
        path=f"{ACTION}/remaining",
        handler="buckets.remaining",
        summary="Whom there still is for this volunteer, now, later, or when others give them back.",
        act=Act.SEND,
        tag="buckets",
        asks=Whose,
        gives={HTTPStatus.OK: LeftView},
        refuses=(404, 422, 503),
    ),
)


class BucketDesk:
    """What a volunteer's screen asks for before anything is sent."""

    def __init__(self, parts: Parts, known: KnownCampaigns) -> None:
        self._parts = parts
        self._clock: Clock = parts.clock
        self._buckets: Buckets = parts.buckets
        self._volunteers: Volunteers = parts.volunteers
        self._actions: Actions = parts.actions
        self._known = known

    async def take(self, request: web.Request, grant: Grant) -> web.Response:
        campaign, action_id = await self._where(request, grant)
        await self._require_seen(grant, campaign, action_id)
        require_open(self._parts)
        wanted = decoded(_new, await json_body(request))
        volunteer = await self._volunteers.acting(grant.actor, campaign, wanted.volunteer_id)
        bucket = await self._buckets.take(
            campaign.campaign_id, action_id, volunteer, after=wanted.after, size=wanted.size
        )
        if wanted.after is None and bucket.items:
            await self._did(grant, campaign, action_id, "started", volunteer)
        return await self._answer(campaign, action_id, volunteer.volunteer_id, bucket)

    async def mine(self, request: web.Request, grant: Grant) -> web.Response:
        campaign, action_id = await self._where(request, grant)
        wanted = asked(Whose, request)
        volunteer = await self._volunteers.acting(grant.actor, campaign, wanted.volunteer_id)
        bucket = await self._buckets.mine(campaign.campaign_id, action_id, volunteer)
        return await self._answer(campaign, action_id, volunteer.volunteer_id, bucket)

    async def done(self, request: web.Request, grant: Grant) -> web.Response:
        campaign, action_id = await self._where(request, grant)
        wanted = decoded(_stop, await json_body(request))
        volunteer = await self._volunteers.acting(grant.actor, campaign, wanted.volunteer_id)
        freed = await self._buckets.done(campaign.campaign_id, action_id, volunteer, wanted.contact_ids)
        await self._did(grant, campaign, action_id, "completed", volunteer)
        return json_answer(GivenBack(freed))

    async def remaining(self, request: web.Request, grant: Grant) -> web.Response:
        campaign, action_id = await self._where(request, grant)
        await self._require_seen(grant, campaign, action_id)
        wanted = asked(Whose, request)
        volunteer = await self._volunteers.acting(grant.actor, campaign, wanted.volunteer_id)
        return json_answer(await self._left(campaign, action_id, volunteer.volunteer_id))

    async def _did(
        self, grant: Grant, campaign: Campaign, action_id: int, did: Did, volunteer: Volunteer
    ) -> None:
        """What results count (F153 to F155); whoever may text in the action may say so, unless it is private meanwhile."""
        with suppress(NoResults):
            await self._parts.progress.note(grant.actor, campaign, action_id, did, volunteer.volunteer_id)

    async def _where(self, request: web.Request, grant: Grant) -> tuple[Campaign, int]:
        campaign = await campaign_of(self._known, request, grant)
        return campaign, await action_of(self._buckets, request, campaign)

    async def _require_seen(self, grant: Grant, campaign: Campaign, action_id: int) -> None:
        """Raises Refusal 404 for an action that is not for whoever asks, or is over (F140 to F148)."""
        try:
            action = await self._actions.read(grant.actor, campaign.campaign_id, action_id)
        except NoAction as error:
            raise _no_action(action_id) from error
        if action.record.archived_at is not None:
            raise _no_action(action_id)

    async def _answer(
        self, campaign: Campaign, action_id: int, volunteer_id: int, bucket: Bucket
    ) -> web.Response:
        left = None if bucket.items else await self._left(campaign, action_id, volunteer_id)
        rows = [row_of(each, campaign, self._clock.now()) for each in bucket.items]
        return json_answer(BucketView(bucket_id=bucket.bucket_id, rows=rows, left=left))

    async def _left(self, campaign: Campaign, action_id: int, volunteer_id: int) -> LeftView:
        left = await self._buckets.left(campaign.campaign_id, action_id, volunteer_id)
        return LeftView(
            free_now=left.free_now,
            free_later=left.free_later,
            opens_at=left.opens_at,
            held=left.held,
            nobody=left.nobody,
        )


async def action_of(buckets: Buckets, request: web.Request, campaign: Campaign) -> int:
    """The published action in the path. Raises Refusal 404 for any other, or an id that can't be one."""
    action_id = path_id(request, "action_id", _no_action)
    try:
        await buckets.require_action(campaign.campaign_id, action_id)
    except BadInput as error:
        raise _no_action(action_id) from error
    return action_id


def row_of(item: Item, campaign: Campaign, now: float) -> BucketRow:
    """A contact of a bucket as its volunteer sees it."""
    size, hours = measure(item.body), verdict(now, campaign.settings.hours, item.hours_group)
    return BucketRow(
        contact_id=item.contact_id,
        first_name=item.first_name,
        text=item.body,
        media_urls=item.media,
        variant=item.script,
        hash=item.text_hash,
        segments=1 if item.media else size.segments,  # C3: an MMS is one unit
        encoding=size.encoding,
        time_zones=zones_of(item.hours_group),
        until=hours.until if isinstance(hours, Open) else None,
        revision=item.revision,
    )


def _no_action(action_id: int) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, f"there is no action {action_id}")
