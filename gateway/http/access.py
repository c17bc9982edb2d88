"""Who may do what: API keys `tb_<id>_<secret>`, each of a role and perhaps of one campaign.

Only the SHA-256 of a secret is stored: 256 random bits need no slow hash. A verified key is remembered for
some seconds, so a revoked one works no longer than that.
"""

import asyncio
import hashlib
import hmac
import re
from enum import IntEnum
from http import HTTPStatus

import msgspec
from aiohttp import web

from gateway.http.problems import Refusal
from gateway.store import api_keys
from gateway.store.api_keys import KeyRow
from gateway.store.database import Database

REMEMBERED_S = 5.0
_MOST_REMEMBERED = 10_000
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


class Keys:
    """Verifies the key of a request."""

    def __init__(self, database: Database, *, remembered_s: float = REMEMBERED_S) -> None:
        self._database = database
        self._remembered_s = remembered_s
        self._remembered: dict[bytes, tuple[Grant, float]] = {}

    async def grant(self, request: web.Request, role: Role) -> Grant:
        """The request's key; raises Refusal: 401 without a valid one, 403 when its role may not do this."""
        given = request.headers.get("Authorization", "")
        digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
        now = asyncio.get_running_loop().time()
        known = self._remembered.get(digest)
        if known is None or known[1] < now:
            known = await self._verified(given), now + self._remembered_s
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[digest] = known
        if known[0].role < role:
            raise Refusal(HTTPStatus.FORBIDDEN, f"this needs a key of the role {role.name.lower()}")
        return known[0]

    async def _verified(self, given: str) -> Grant:
        shaped = _BEARER.fullmatch(given)
        if shaped is None:
            raise _unknown("give an API key: Authorization: Bearer tb_…")
        row = await api_keys.find(self._database, shaped[2])
        if row is None or not hmac.compare_digest(row.secret_hash, _hashed(shaped[3])):
            raise _unknown("this API key is not known")
        if row.revoked_at is not None:
            raise _unknown("this API key was revoked")
        return Grant(row.key_id, Role.named(row.role), row.campaign_id)


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _unknown(detail: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, detail, WWW_Authenticate='Bearer realm="textbank"')
