"""Who calls, and what they may: an API key or a person's session, whose role says which acts it may do, where.

A session comes as a cookie of a browser, which also sends it where another site tells it to, so that a change asked
for by cookie must come from our own pages, or as a bearer token, which no browser adds by itself.

Whatever is not the caller's is answered as if it were not there. Behind a proxy all callers have one address: failures
there end in 429, and a good key is served whatever others try.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, NoReturn
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from gateway.core.bank.permissions import KEY_ROLES, Act, Actor, Reach, Role
from gateway.http.failures import Failures
from gateway.http.problems import Refusal
from gateway.p2p.keys import ApiKeys, BadKey
from gateway.p2p.remembered import Remembered, TooManyTried
from gateway.p2p.sign_in import Person
from gateway.p2p.tokens import SESSION, Token, read

COOKIE: Final = "__Host-textbank"
"""Browsers take it only over TLS (or from the machine itself), for the whole host, and from nobody but the host."""

WITHOUT_A_CAMPAIGN: Final = frozenset({Act.READ_CAMPAIGN, Act.SEND})
"""What a person may do, in their own campaigns, by a path that names none."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FROM_A_FORM: Final = frozenset({"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"})
_A_SESSION = re.compile(r"Bearer +(tbs_\S{1,200})", re.ASCII)
_BEARER = re.compile(r"Bearer +(tb_([0-9a-f]{12})_([0-9a-f]{64}))", re.ASCII)


class Grant(msgspec.Struct, frozen=True):
    """Who calls, proved; `campaign_id` None is every campaign, or a person's `campaigns`, in each as one is there."""

    actor: Actor
    campaign_id: int | None
    campaigns: Mapping[int, Actor] | None = None

    def sees(self, campaign_id: int) -> bool:
        if self.campaigns is not None:
            return campaign_id in self.campaigns
        return self.campaign_id is None or self.campaign_id == campaign_id

    def sees_phones(self, campaign_id: int) -> bool:
        """Whether phones of this campaign are shown: to all but its volunteers."""
        actor = self.actor if self.campaigns is None else self.campaigns[campaign_id]
        return actor.reach(Act.READ_CONTACTS) is Reach.CAMPAIGN

    def require(self, campaign_id: int) -> None:
        """Raises Refusal (404) for a campaign that is not the caller's: the same as for one that is not there."""
        if not self.sees(campaign_id):
            raise no_campaign(campaign_id)


def no_campaign(campaign_id: int) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, f"there is no campaign {campaign_id}")


def key_role_for(act: Act) -> str:
    """The least role of a key that may do this, as KEY_ROLES names it."""
    return next(word for word, role in KEY_ROLES.items() if Actor(role).may(act))


GRANTED: Final = web.RequestKey("granted", Grant)
"""Who made a request, for the access log."""


class Keys:
    """Verifies the key, or the session, of a request."""

    def __init__(
        self,
        keys: ApiKeys,
        sessions: Remembered[Token, Person],
        asks_second_factor: Callable[[int], bool] = lambda _campaign_id: False,
    ) -> None:
        self._keys = keys
        self._asks_second_factor = asks_second_factor
        self._sessions = sessions
        self._failures = Failures()

    async def grant(self, request: web.Request, act: Act) -> Grant:
        """The request's caller, before anything of its body is read.

        Raises Refusal: 401 without a valid key or session, 429 after too many wrong keys, 403 when the role may not
        do this, 404 for a campaign in which the person has no place.
        """
        person = await self._person(request)
        if person is None:
            return await self._key(request, act)
        if "campaign_id" not in request.match_info:
            return self._anywhere(request, person, act)
        campaign_id = int(request.match_info["campaign_id"])
        actor = person.actor(campaign_id)
        if actor is None:
            raise no_campaign(campaign_id)
        self._require_second_factor(person, actor, campaign_id)
        granted = request[GRANTED] = Grant(actor, campaign_id)
        if actor.reach(act) is Reach.NOTHING:
            raise Refusal(HTTPStatus.FORBIDDEN, f"the role {actor.role.value} does not allow this")
        return granted

    def _anywhere(self, request: web.Request, person: Person, act: Act) -> Grant:
        """For a path that names no campaign: all of those in which the person may do this with everybody's things."""
        if act not in WITHOUT_A_CAMPAIGN:
            raise Refusal(HTTPStatus.FORBIDDEN, "this needs an API key")
        actors = {each: actor for each in person.roles if (actor := person.actor(each)) is not None}
        able = {each: actor for each, actor in actors.items() if actor.reach(act) is Reach.CAMPAIGN}
        if actors and not able:
            raise Refusal(HTTPStatus.FORBIDDEN, "your role in no campaign allows this")
        allowed = {each: actor for each, actor in able.items() if not self._is_short(person, actor, each)}
        actor = next(iter(able.values()), Actor(Role.VOLUNTEER, user_id=person.user_id))
        granted = request[GRANTED] = Grant(actor, None, allowed)
        return granted

    def _is_short(self, person: Person, actor: Actor, campaign_id: int) -> bool:
        is_short = actor.role is Role.ADMIN and not person.second_factor
        return is_short and self._asks_second_factor(campaign_id)

    def _require_second_factor(self, person: Person, actor: Actor, campaign_id: int) -> None:
        """Raises Refusal 403 for an admin of a campaign that wants one, whose session was begun without."""
        if self._is_short(person, actor, campaign_id):
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                "this campaign's admins sign in with an authenticator as well: set one up under "
                "/v1/me/second-factor, or sign in again with its code",
            )

    async def signed_in(self, request: web.Request) -> Person:
        """Whose session the request carries. Raises Refusal: 401 without one, 403 for a forged one."""
        person = await self._person(request)
        return _nobody("sign in first") if person is None else person

    def forget(self, organisation_id: int, user_id: int) -> None:
        """What this person may has changed: it is looked up anew. Other workers notice within REMEMBERED_S."""
        who = organisation_id, user_id
        self._sessions.forget(lambda person: (person.organisation_id, person.user_id) == who)

    async def _person(self, request: web.Request) -> Person | None:
        """None when the request carries no session at all."""
        text = _session_of(request)
        if text is None:
            return None
        token = read(SESSION, text)
        try:
            person = None if token is None else await self._sessions.find(token)
        except TooManyTried as error:
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, str(error), Retry_After="1") from error
        return _nobody("this session has ended: sign in again") if person is None else person

    async def _key(self, request: web.Request, act: Act) -> Grant:
        shaped = _BEARER.fullmatch(request.headers.get("Authorization", ""))
        if shaped is None:
            raise self._failed(request, None, "give an API key: Authorization: Bearer tb_…, or sign in")
        try:
            row = await self._keys.proved(shaped[2], shaped[3])
        except BadKey as error:
            raise self._failed(request, shaped[2], str(error)) from error
        except TooManyTried as error:
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, str(error), Retry_After="1") from error
        actor = Actor(KEY_ROLES[row.role], key_id=row.key_id)
        granted = request[GRANTED] = Grant(actor, row.campaign_id)
        if actor.reach(act) is Reach.NOTHING:
            raise Refusal(HTTPStatus.FORBIDDEN, f"this needs a key of the role {key_role_for(act)}")
        return granted

    def _failed(self, request: web.Request, key_id: str | None, detail: str) -> Refusal:
        now = asyncio.get_running_loop().time()
        wait_s = self._failures.failed(f"address {request.remote}", now)
        if key_id is not None:
            wait_s = max(wait_s, self._failures.failed(key_id, now))
        if wait_s:
            told = f"{detail}; after so many failures wait {wait_s} s"
            return Refusal(HTTPStatus.TOO_MANY_REQUESTS, told, Retry_After=str(wait_s))
        return Refusal(HTTPStatus.UNAUTHORIZED, detail, WWW_Authenticate='Bearer realm="textbank"')


def _nobody(detail: str) -> NoReturn:
    raise Refusal(HTTPStatus.UNAUTHORIZED, detail, WWW_Authenticate='Bearer realm="textbank"')


def _session_of(request: web.Request) -> str | None:
    """The text of the session's token. An Authorization of any kind goes before the cookie.

    Raises Refusal (403, 415) for a change that another site may have made the browser ask for.
    """
    header = request.headers.get("Authorization")
    if header is not None:
        shaped = _A_SESSION.fullmatch(header)
        return None if shaped is None else shaped[1]
    text = request.cookies.get(COOKIE)
    if text is not None and request.method not in _SAFE:
        _require_our_page(request)
    return text


def _require_our_page(request: web.Request) -> None:
    """Browsers too old to say where a request comes from say at least of which origin."""
    site = request.headers.get("Sec-Fetch-Site")
    if not (site == "same-origin" if site is not None else _is_our_origin(request)):
        raise Refusal(HTTPStatus.FORBIDDEN, "a change by cookie must come from our own pages")
    if request.can_read_body and request.content_type in _FROM_A_FORM:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a form's body is not taken by cookie: send JSON")


def _is_our_origin(request: web.Request) -> bool:
    try:
        return urlsplit(request.headers.get("Origin", "")).netloc == request.host
    except ValueError:  # it is no address
        return False
