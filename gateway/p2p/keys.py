"""API keys `tb_<id>_<secret>`: made, listed, revoked, and proved, each of a role and perhaps of one campaign.

Only the SHA-256 of a secret is stored: 256 random bits need no slow hash. A key is remembered for some seconds, so a
revoked one works no longer than that; one that expires ends to the second. Each one made or revoked is a line in the
audit log of its campaign.
"""

import functools
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

import msgspec

from gateway.core.bank.permissions import KEY_ROLES
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import BadInput, TextbankError
from gateway.p2p.remembered import REMEMBERED_S, Remembered
from gateway.store import api_keys, audit_log, campaigns
from gateway.store.api_keys import KeyRow
from gateway.store.audit_log import NO_CAMPAIGN
from gateway.store.database import Database

RANDOM_BYTES: Final = 38  # 6 of the id, 32 of the secret
COMMAND: Final = "command"
"""Who acts from a shell, for the audit log."""


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

    async def create(
        self,
        random: bytes,
        name: str,
        role: str,
        campaign_id: int | None = None,
        expires_s: float | None = None,
        who: str = COMMAND,
    ) -> str:
        """A key from `RANDOM_BYTES` random bytes: its text, to be shown once. `role` is one of KEY_ROLES.

        `expires_s`: for so many seconds it is good; None: until it is revoked. Raises BadInput without a name, or for a
        campaign that is not there.
        """
        require_name(name)
        if role not in KEY_ROLES:
            raise BadInput("there is no such role", role, f"known are: {', '.join(KEY_ROLES)}")
        whose = await self._whose(campaign_id)
        if whose is None:
            raise BadInput(
                "there is no such campaign", str(campaign_id), "make it first, or leave --campaign out"
            )
        now = self._now()
        key_id, secret = random[:6].hex(), random[6:].hex()
        ends_at = None if expires_s is None else now + expires_s
        row = KeyRow(key_id, _hashed(secret), name, role, campaign_id, now, expires_at=ends_at)
        async with self._database.transaction() as transaction:
            await api_keys.create(transaction, row)
            await audit_log.write(transaction, whose, now, who, "key made", after=_told(row))
        return f"tb_{key_id}_{secret}"

    async def _whose(self, campaign_id: int | None) -> CampaignKey | None:
        """Whose audit log tells of a key; None when there is no such campaign."""
        if campaign_id is None:
            return NO_CAMPAIGN
        found = await campaigns.load(self._database, [campaign_id])
        return found[0].key if found else None

    async def every(self) -> list[KeyRow]:
        """All keys, oldest first."""
        return await api_keys.load(self._database)

    async def revoke(self, key_id: str, who: str = COMMAND) -> None:
        """Ends a key; workers notice within REMEMBERED_S. One that had ended keeps its first end.

        Raises BadInput when there is no such key.
        """
        found = (await api_keys.find(self._database, [key_id])).get(key_id)
        whose = None if found is None else await self._whose(found.campaign_id)
        if found is None or whose is None:
            raise BadInput("there is no such key", key_id, "see `textbank keys list`")
        now = self._now()
        async with self._database.transaction() as transaction:
            if await api_keys.revoke(transaction, key_id, now) is not None:
                await audit_log.write(transaction, whose, now, who, "key revoked", before=_told(found))

    async def proved(self, key_id: str, secret: str) -> KeyRow:
        """The key, in force and with its own secret. Raises BadKey, TooManyTried and DatabaseAway."""
        row = await self._known.find(key_id)
        if row is None or not hmac.compare_digest(row.secret_hash, _hashed(secret)):
            raise BadKey("this API key is not known")
        if row.revoked_at is not None:
            raise BadKey("this API key was revoked")
        if row.expires_at is not None and row.expires_at <= self._now():
            raise BadKey("this API key has expired")
        return row


def require_name(name: str) -> None:
    """Raises BadInput for a key without a name."""
    if not name.strip():
        raise BadInput("a key needs a name", "NAME", "say what it is for, in your own words")


def _told(key: KeyRow) -> str:
    """What the audit log tells of a key: nothing that opens anything."""
    told = {"key_id": key.key_id, "name": key.name, "role": key.role, "expires_at": key.expires_at}
    return msgspec.json.encode(told).decode()


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
