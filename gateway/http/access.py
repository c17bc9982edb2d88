"""Who calls, and what they may: an API key, whose role says which acts it may do, on which campaign.

Whatever is not the key's is answered as if it were not there. Behind a proxy all callers have one address: failures
there end in 429, and a good key is served whatever others try.
"""

import asyncio
import re
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from gateway.core.bank.permissions import KEY_ROLES, Act, Actor, Reach
from gateway.http.failures import Failures
from gateway.http.problems import Refusal
from gateway.p2p.keys import ApiKeys, BadKey
from gateway.p2p.known_keys import TooManyTried

_BEARER = re.compile(r"Bearer +(tb_([0-9a-f]{12})_([0-9a-f]{64}))", re.ASCII)


class Grant(msgspec.Struct, frozen=True):
    """Who calls, proved; `campaign_id` None is every campaign."""

    actor: Actor
    campaign_id: int | None

    def sees(self, campaign_id: int) -> bool:
        return self.campaign_id is None or self.campaign_id == campaign_id

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
    """Verifies the key of a request."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys
        self._failures = Failures()

    async def grant(self, request: web.Request, act: Act) -> Grant:
        """The request's key, before anything of its body is read.

        Raises Refusal: 401 without a valid one, 429 after too many of these, 403 when its role may not do this.
        """
        shaped = _BEARER.fullmatch(request.headers.get("Authorization", ""))
        if shaped is None:
            raise self._failed(request, None, "give an API key: Authorization: Bearer tb_…")
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
