"""API keys `tb_<id>_<secret>`: made, listed, revoked, and proved, each of a role and perhaps of one campaign.

Only the SHA-256 of a secret is stored: 256 random bits need no slow hash. A key is remembered for some seconds, so a
revoked one works no longer than that.
"""

import functools
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from gateway.core.bank.permissions import KEY_ROLES
from gateway.core.rules.errors import BadInput, TextbankError
from gateway.p2p.remembered import REMEMBERED_S, Remembered
from gateway.store import api_keys, campaigns
from gateway.store.api_keys import KeyRow
from gateway.store.database import Database

RANDOM_BYTES: Final = 38  # 6 of the id, 32 of the secret


class BadKey(TextbankError):
    """A key that opens nothing; says why, and nothing that only its owner may know."""


class ApiKeys:
    """The keys of one installation. `now` tells Unix seconds."""

    def __init__(
        self, database: Database, now: Callable[[], float], *, remembered_s: float = REMEMBERED_S
    ) -> None:
        self._database = database
        self._now = now
        self._known = Remembered(functools.partial(api_keys.find, database), remembered_s)

    async def create(self, random: bytes, name: str, role: str, campaign_id: int | None = None) -> str:
        """A key from `RANDOM_BYTES` random bytes: its text, to be shown once. `role` is one of KEY_ROLES.

        Raises BadInput without a name, or for a campaign that is not there.
        """
        require_name(name)
        if role not in KEY_ROLES:
            raise BadInput("there is no such role", role, f"known are: {', '.join(KEY_ROLES)}")
        if campaign_id is not None and not await campaigns.load(self._database, [campaign_id]):
            raise BadInput(
                "there is no such campaign", str(campaign_id), "make it first, or leave --campaign out"
            )
        key_id, secret = random[:6].hex(), random[6:].hex()
        await api_keys.create(
            self._database, KeyRow(key_id, _hashed(secret), name, role, campaign_id, self._now())
        )
        return f"tb_{key_id}_{secret}"

    async def every(self) -> list[KeyRow]:
        """All keys, oldest first."""
        return await api_keys.load(self._database)

    async def revoke(self, key_id: str) -> None:
        """Ends a key; workers notice within REMEMBERED_S. Raises BadInput when there is no such key."""
        if not await api_keys.revoke(self._database, key_id, self._now()):
            raise BadInput("there is no such key", key_id, "see `textbank keys list`")

    async def proved(self, key_id: str, secret: str) -> KeyRow:
        """The key, in force and with its own secret. Raises BadKey, TooManyTried and DatabaseAway."""
        row = await self._known.find(key_id)
        if row is None or not hmac.compare_digest(row.secret_hash, _hashed(secret)):
            raise BadKey("this API key is not known")
        if row.revoked_at is not None:
            raise BadKey("this API key was revoked")
        return row


def require_name(name: str) -> None:
    """Raises BadInput for a key without a name."""
    if not name.strip():
        raise BadInput("a key needs a name", "NAME", "say what it is for, in your own words")


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
