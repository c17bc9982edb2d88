"""Who may do what: API keys `tb_<id>_<secret>`, each of a role and perhaps of one campaign.

Only the SHA-256 of a secret is stored: 256 random bits need no slow hash. A key is remembered for some seconds, so a
revoked one works no longer than that. Behind a proxy all callers have one address: failures there end in 429, and a
good key is served whatever others try.
"""

import asyncio
import hashlib
import hmac
import re
from enum import IntEnum
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from gateway.http.failures import Failures
from gateway.http.known_keys import REMEMBERED_S, KnownKeys
from gateway.http.problems import Refusal
from gateway.store.api_keys import KeyRow
from gateway.store.database import Database

_BEARER = re.compile(r"Bearer +(tb_([0-9a-f]{12})_([0-9a-f]{64}))", re.ASCII)
RANDOM_BYTES = 38  # 6 of the id, 32 of the secret


class Role(IntEnum):
    """What a key may do; each may all that the one before may."""

    READER = 1  # read messages, stories, numbers, registration
    SENDER = 2  # and send, and upload contacts
    ADMIN = 3  # and make and pause campaigns

    @classmethod
    def named(cls, name: str) -> "Role":
        return cls[name.upper()]


class Grant(msgspec.Struct, frozen=True):
    """A verified key; `campaign_id` None is every campaign."""

    key_id: str
    role: Role
    campaign_id: int | None

    def sees(self, campaign_id: int) -> bool:
        return self.campaign_id is None or self.campaign_id == campaign_id

    def require(self, campaign_id: int) -> None:
        """Raises Refusal (403) for a campaign that is not the key's."""
        if not self.sees(campaign_id):
            raise Refusal(HTTPStatus.FORBIDDEN, f"this key is not for campaign {campaign_id}")


def new_key(random: bytes, name: str, role: Role, campaign_id: int | None, now: float) -> tuple[str, KeyRow]:
    """A key from `RANDOM_BYTES` random bytes: the text, to be shown once, and what is stored of it."""
    key_id, secret = random[:6].hex(), random[6:].hex()
    row = KeyRow(key_id, _hashed(secret), name, role.name.lower(), campaign_id, now)
    return f"tb_{key_id}_{secret}", row


GRANTED: Final = web.RequestKey("granted", Grant)
"""The verified key of a request, for the access log."""


class Keys:
    """Verifies the key of a request."""

    def __init__(self, database: Database, *, remembered_s: float = REMEMBERED_S) -> None:
        self._known = KnownKeys(database, remembered_s)
        self._failures = Failures()

    async def grant(self, request: web.Request, role: Role) -> Grant:
        """The request's key, before anything of its body is read.

        Raises Refusal: 401 without a valid one, 429 after too many of these, 403 when its role may not do this.
        """
        shaped = _BEARER.fullmatch(request.headers.get("Authorization", ""))
        if shaped is None:
            raise self._failed(request, None, "give an API key: Authorization: Bearer tb_…")
        row = await self._known.find(shaped[2])
        if row is None or not hmac.compare_digest(row.secret_hash, _hashed(shaped[3])):
            raise self._failed(request, shaped[2], "this API key is not known")
        if row.revoked_at is not None:
            raise self._failed(request, shaped[2], "this API key was revoked")
        granted = request[GRANTED] = Grant(row.key_id, Role.named(row.role), row.campaign_id)
        if granted.role < role:
            raise Refusal(HTTPStatus.FORBIDDEN, f"this needs a key of the role {role.name.lower()}")
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


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
