"""A campaign's people over the API: joining by code or link, members and their roles."""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.people import CODE_S, LONGEST_CODE_S, Language, PersonRole, is_join_code
from gateway.core.bank.permissions import Act
from gateway.core.text.patterns import whole
from gateway.http.access import Grant
from gateway.http.bodies import asked, decoded, json_body, path_id, private_answer
from gateway.http.failures import Failures, attempt
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.reading import campaign_of
from gateway.http.records import Cursor, Id, Name
from gateway.http.sessions import Carrier, Email, Guesses, Password, SignedIn, signed_in
from gateway.p2p.cursors import Instant
from gateway.p2p.people import (
    Added,
    Changed,
    Did,
    Invitation,
    Invited,
    MemberFilter,
    MemberPage,
    MemberRow,
    Newcomer,
)
from gateway.p2p.sign_in import Opened

MOST_MEMBERS: Final = 200
Zip = Annotated[str, Meta(max_length=20)]
Code = Annotated[str, Meta(min_length=6, max_length=64)]


class SignUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a newcomer says. The password has at least ten characters; who has an account already gives its own."""

    name: Name
    email: Email
    password: Password
    language: Language = "en"
    zip: Zip | None = None
    carrier: Carrier = "cookie"


class JoinRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Six digits, or what a link carries in their place. Without `sign_up` whoever has signed in joins."""

    code: Code
    sign_up: SignUp | None = None


class Joined(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The campaign, and the session of somebody who signed up."""

    campaign_id: int
    name: str
    user_id: int
    session: SignedIn | None = None


class NewMember(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to let in. Who has an account keeps its name, language and ZIP, and a place that they have its role."""

    email: Email
    name: Name
    role: PersonRole = "volunteer"
    language: Language = "en"
    zip: Zip | None = None


class MemberChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`active` false takes the place away, and ends every session of the person; true gives it back."""

    role: PersonRole | None = None
    active: bool | None = None


class Member(Struct, frozen=True, kw_only=True):
    """Somebody with a place in the campaign; times are Unix seconds. `is_invited`: has chosen no password yet.

    `last_seen_at`: to the minute; null: never, as far as is kept.
    """

    user_id: int
    name: str
    email: str
    language: Language
    zip: str | None
    role: PersonRole
    joined_at: float
    deactivated_at: float | None
    is_invited: bool
    last_seen_at: float | None


class Entered(Struct, frozen=True, kw_only=True):
    """`invitation` is shown this once, and holds for three days: with it the person chooses a password. Null: they have
    one."""

    member: Member
    invitation: str | None


class MemberList(Struct, frozen=True, kw_only=True):
    """A page of members, by id. `next`: the cursor of those after; null: there are none."""

    members: list[Member]
    next: str | None


class MemberWish(Struct, frozen=True, kw_only=True):
    """Which members: all that is given must hold (F171, F172)."""

    role: Annotated[PersonRole | None, Meta(description="Those of this role.")] = None
    active: Annotated[bool | None, Meta(description="Those with, or without, an active place.")] = None
    text: Annotated[
        Annotated[str, Meta(max_length=100)] | None,
        Meta(description="Those with these letters in name or address."),
    ] = None
    language: Annotated[Language | None, Meta(description="Those who chose it.")] = None
    zip: Annotated[
        Annotated[str, Meta(pattern=whole("[0-9]{1,5}"))] | None,
        Meta(description="Whose ZIP begins with it."),
    ] = None
    user_list_id: Annotated[Id | None, Meta(description="Those of this list or team.")] = None
    action_id: Annotated[Id | None, Meta(description="By what they did about this action.")] = None
    did: Annotated[
        Did, Meta(description="What: it was sent to them, or they saw, started, completed it.")
    ] = "received"
    did_not: Annotated[bool, Meta(description="Those who did not.")] = False
    seen_since: Annotated[Instant | None, Meta(description="Those who were here since this Unix second.")] = (
        None
    )
    unseen_since: Annotated[
        Instant | None, Meta(description="Those who were not here since this Unix second.")
    ] = None


class MemberQuery(MemberWish, frozen=True, kw_only=True):
    """Which members, and which page of them."""

    cursor: Cursor = None
    limit: Annotated[int, Meta(ge=1, le=MOST_MEMBERS, description="At most so many.")] = 50


class MemberCount(Struct, frozen=True):
    """How many there are."""

    members: int


class NewCode(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long people may join by it, seconds: at most 90 days."""

    valid_s: Annotated[float, Meta(gt=0, le=LONGEST_CODE_S)] = CODE_S


class CodeView(Struct, frozen=True, kw_only=True):
    """The campaign's code; `link` is what a link carries in its place. Times are Unix seconds."""

    code: str
    link: str
    made_at: float
    ends_at: float


_join = msgspec.json.Decoder(JoinRequest)
_new_member = msgspec.json.Decoder(NewMember)
_change = msgspec.json.Decoder(MemberChange)
_new_code = msgspec.json.Decoder(NewCode)
_CODE_PATH: Final = "/v1/campaigns/{campaign_id}/join-code"

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/join",
        handler="people.join",
        summary="Join a campaign by its code or link, as somebody new or as whoever has signed in.",
        act=None,
        tag="people",
        takes=JoinRequest,
        gives={HTTPStatus.CREATED: Joined},
        refuses=(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
    ),
    Operation(
        method="GET",
        path="/v1/campaigns/{campaign_id}/members",
        handler="people.members",
        summary="The campaign's people, page by page; a volunteer sees themselves.",
        act=Act.READ_PEOPLE,
        tag="people",
        asks=MemberQuery,
        gives={HTTPStatus.OK: MemberList},
        refuses=(404, 422, 503),
    ),
    Operation(
        method="GET",
        path="/v1/campaigns/{campaign_id}/members:count",
        handler="people.count",
        summary="How many of the campaign's people a filter has.",
        act=Act.READ_PEOPLE,
        tag="people",
        asks=MemberWish,
        gives={HTTPStatus.OK: MemberCount},
        refuses=(404, 422, 503),
    ),
    Operation(
        method="POST",
        path="/v1/campaigns/{campaign_id}/members",
        handler="people.invite",
        summary="Let somebody in, by their address. Who is new gets an invitation, for you to hand on.",
        act=Act.MANAGE_PEOPLE,
        tag="people",
        takes=NewMember,
        gives={HTTPStatus.CREATED: Entered},
        refuses=(400, 404, 409, 413, 415, 422, 503),
    ),
    Operation(
        method="PATCH",
        path="/v1/campaigns/{campaign_id}/members/{user_id}",
        handler="people.change",
        summary="Another role, or the place taken away or given back. The last admin stays.",
        act=Act.MANAGE_PEOPLE,
        tag="people",
        takes=MemberChange,
        gives={HTTPStatus.OK: Member},
        refuses=(400, 404, 409, 413, 415, 422, 503),
    ),
    Operation(
        method="GET",
        path=_CODE_PATH,
        handler="people.code",
        summary="The code to join by.",
        act=Act.MANAGE_PEOPLE,
        tag="people",
        gives={HTTPStatus.OK: CodeView},
        refuses=(404, 503),
    ),
    Operation(
        method="POST",
        path=_CODE_PATH,
        handler="people.make_code",
        summary="A new code and link; those before are good no more.",
        act=Act.MANAGE_PEOPLE,
        tag="people",
        takes=NewCode,
        gives={HTTPStatus.CREATED: CodeView},
        refuses=(400, 404, 413, 415, 422, 503),
    ),
    Operation(
        method="DELETE",
        path=_CODE_PATH,
        handler="people.end_code",
        summary="Nobody joins by code or link any more.",
        act=Act.MANAGE_PEOPLE,
        tag="people",
        gives={HTTPStatus.NO_CONTENT: None},
        refuses=(404, 503),
    ),
)


class PeopleDesk:
    """Who belongs to a campaign. Six digits can be guessed: all wrong ones of this worker are limited together."""

    def __init__(self, parts: Parts, known: KnownCampaigns, guesses: Guesses) -> None:
        self._people = parts.people
        self._keys = parts.keys
        self._known = known
        self._guesses = guesses
        self._codes = Failures(allowed=200, one_more_every_s=30.0)
        self._codes_from_address = Failures(allowed=100, one_more_every_s=10.0)

    async def join(self, request: web.Request) -> web.Response:
        """201 with a place; 404 for a code that is none."""
        wanted = decoded(_join, await json_body(request))
        campaign = await self._invited(request, wanted.code)
        if wanted.sign_up is not None:
            return await self._sign_up(request, campaign, wanted.sign_up)
        person = await self._keys.signed_in(request)
        if person.organisation_id != campaign.key.organisation_id:
            raise Refusal(HTTPStatus.CONFLICT, "this campaign is another organisation's: sign up there")
        if await self._people.join(campaign, person) is Added.DEACTIVATED:
            raise _lost(HTTPStatus.FORBIDDEN)
        self._keys.forget(person.organisation_id, person.user_id)
        joined = Joined(campaign_id=campaign.key.campaign_id, name=campaign.name, user_id=person.user_id)
        return private_answer(joined, HTTPStatus.CREATED)

    async def _invited(self, request: web.Request, word: str) -> Invited:
        """A link can't be guessed, and works while others try codes."""
        address = str(request.remote)
        counted = [(self._guesses.from_address, address)]
        if is_join_code(word):
            counted = [(self._codes_from_address, address), (self._codes, "all")]
        with attempt(*counted) as made:
            campaign = await self._people.invited_by(word)
            made.is_right = campaign is not None
        if campaign is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "this code is not known, or has ended")
        return campaign

    async def _sign_up(self, request: web.Request, campaign: Invited, said: SignUp) -> web.Response:
        newcomer = Newcomer(
            name=said.name, email=said.email, password=said.password, language=said.language, zip=said.zip
        )
        counted = self._guesses.counted(request, campaign.key.organisation_id, said.email)
        with attempt(*counted) as made:
            opened = await self._people.sign_up(campaign, newcomer)
            made.is_right = opened is not None
        if opened is None:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "e-mail address or password is wrong")
        if not isinstance(opened, Opened):
            raise _lost(HTTPStatus.FORBIDDEN)
        self._keys.forget(campaign.key.organisation_id, opened.user_id)
        return signed_in(
            opened,
            said.carrier,
            lambda session: Joined(
                campaign_id=campaign.key.campaign_id,
                name=campaign.name,
                user_id=opened.user_id,
                session=session,
            ),
        )

    async def members(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        query = asked(MemberQuery, request)
        if not grant.actor.may(Act.READ_PEOPLE):
            assert grant.actor.user_id is not None  # a key's reach is never its own alone
            row = await self._people.member(campaign.key, grant.actor.user_id)
            return _page(MemberPage([] if row is None else [row], None))
        page = await self._people.members(campaign.key, member_filter(query), query.cursor, query.limit)
        return _page(page)

    async def count(self, request: web.Request, grant: Grant) -> web.Response:
        """A volunteer counts themselves."""
        campaign = await campaign_of(self._known, request, grant)
        query = asked(MemberWish, request)
        if not grant.actor.may(Act.READ_PEOPLE):
            return private_answer(MemberCount(1))
        return private_answer(MemberCount(await self._people.count(campaign.key, member_filter(query))))

    async def invite(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        said = decoded(_new_member, await json_body(request))
        whom = Invitation(
            email=said.email, name=said.name, role=said.role, language=said.language, zip=said.zip
        )
        entered = await self._people.invite(campaign.key, whom, grant.actor.name)
        if entered.added is Added.UNANSWERED:
            raise Refusal(
                HTTPStatus.CONFLICT,
                "they are in another campaign, and have not answered its invitation or confirmed their address: "
                "ask them to",
            )
        if entered.added is Added.DEACTIVATED:
            raise _lost(HTTPStatus.CONFLICT)
        self._keys.forget(campaign.organisation_id, entered.user_id)
        row = await self._people.member(campaign.key, entered.user_id)
        assert row is not None  # a place that was given is there
        answer = Entered(member=_view(row), invitation=entered.token)
        return private_answer(answer, HTTPStatus.CREATED)

    async def change(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        wanted = decoded(_change, await json_body(request))
        user_id = path_id(request, "user_id", _no_member)
        changed = await self._people.change(
            campaign.key, user_id, grant.actor.name, role=wanted.role, active=wanted.active
        )
        row = None if changed is Changed.ABSENT else await self._people.member(campaign.key, user_id)
        if row is None:
            raise _no_member(user_id)
        if changed is Changed.UNPROVEN:
            raise Refusal(
                HTTPStatus.CONFLICT,
                "they have not confirmed their e-mail address, which may be somebody else's: ask them to",
            )
        if changed is Changed.LAST_ADMIN:
            raise Refusal(HTTPStatus.CONFLICT, "they are the campaign's last admin: make another one first")
        self._keys.forget(campaign.organisation_id, user_id)
        return private_answer(_view(row))

    async def code(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        code = await self._people.code(campaign.key)
        if code is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "the campaign has no code, or it has ended: make one")
        view = CodeView(code=code.code, link=code.link, made_at=code.made_at, ends_at=code.ends_at)
        return private_answer(view)

    async def make_code(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        wanted = decoded(_new_code, await json_body(request))
        code = await self._people.make_code(campaign.key, grant.actor.name, wanted.valid_s)
        view = CodeView(code=code.code, link=code.link, made_at=code.made_at, ends_at=code.ends_at)
        return private_answer(view, HTTPStatus.CREATED)

    async def end_code(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        await self._people.end_code(campaign.key, grant.actor.name)
        return web.Response(status=HTTPStatus.NO_CONTENT)


def member_filter(wish: MemberWish) -> MemberFilter:
    """The filter that was asked for."""
    return MemberFilter(**{name: getattr(wish, name) for name in MemberFilter.__struct_fields__})


def _lost(status: HTTPStatus) -> Refusal:
    return Refusal(status, "this place was taken away; the campaign's admins can give it back")


def _page(page: MemberPage) -> web.Response:
    return private_answer(MemberList(members=[_view(row) for row in page.rows], next=page.next))


def _view(row: MemberRow) -> Member:
    """What is stored is read as strictly as what comes in: no other role or language gets out."""
    return msgspec.convert(row, Member, from_attributes=True)


def _no_member(user_id: int) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, f"the campaign has no member {user_id}")
