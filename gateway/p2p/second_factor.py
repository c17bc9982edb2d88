"""A second proof of who signs in: codes of an authenticator app (TOTP, RFC 6238), or recovery codes.

A code is good for its half minute, the one before and the one after, and once: what was used, and whatever is older,
is refused. Who has confirmed an authenticator needs it at each sign-in.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

import msgspec
import pyotp

from gateway.clock import Clock
from gateway.core.rules.errors import TextbankError
from gateway.store import second_factors, users
from gateway.store.database import Connection, Database

STEP_S: Final = 30
RECOVERY_CODES: Final = 10
_DRIFT: Final = (0, -1, 1)  # steps that a phone's clock may be off
_SECRET_BYTES: Final = 20  # RFC 4226, 4
_RECOVERY_BYTES: Final = 10
_ISSUER: Final = "Textbank"
Random = Callable[[int], bytes]


class SecondFactorNeeded(TextbankError):
    """The first proof was right; a code of the person's authenticator is needed as well."""

    def __init__(self) -> None:
        super().__init__("a code of your authenticator app, or a recovery code, is needed as well")


class AlreadyHasOne(TextbankError):
    """A second factor is confirmed: it has to be removed before there is another."""

    def __init__(self) -> None:
        super().__init__("you have an authenticator already: remove it first")


class NotProven(TextbankError):
    """Nobody has shown that they read mail at the address: it may be somebody else's, whom a second factor would lock out."""

    def __init__(self) -> None:
        super().__init__("confirm your e-mail address first")


class Enrolment(msgspec.Struct, frozen=True):
    """What an authenticator app needs: its secret, and the same as an address for a QR code. Shown this once."""

    secret: str
    uri: str


class SecondFactor:
    """People's authenticators."""

    def __init__(self, database: Database, clock: Clock, random: Random) -> None:
        self._database = database
        self._clock = clock
        self._random = random

    async def is_on(self, organisation_id: int, user_id: int) -> bool:
        found = await second_factors.find(self._database, organisation_id, user_id)
        return found is not None and found.confirmed_at is not None

    async def begin(self, organisation_id: int, user_id: int, email: str) -> Enrolment:
        """A secret, which asks for nothing before it is confirmed. Raises AlreadyHasOne, and NotProven."""
        whose = self._database, organisation_id, user_id
        if not (await users.is_confirmed(*whose) or await users.is_vouched(*whose)):
            raise NotProven
        secret = base64.b32encode(self._random(_SECRET_BYTES)).decode()
        if not await second_factors.begin(
            self._database, organisation_id, user_id, secret, self._clock.now()
        ):
            raise AlreadyHasOne
        uri = pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=_ISSUER)
        return Enrolment(secret, uri)

    async def confirm(
        self, organisation_id: int, user_id: int, session_id: int, code: str
    ) -> list[str] | None:
        """Its first code: from now on it is needed. The recovery codes, shown this once; None for a wrong code."""
        async with self._database.transaction() as transaction:
            if not await self._is_right(transaction, organisation_id, user_id, code):
                return None
            await second_factors.passed(transaction, organisation_id, user_id, session_id)
            return await self._new_codes(transaction, organisation_id, user_id)

    async def passed(self, organisation_id: int, user_id: int, word: str | None) -> bool | None:
        """Whether the person showed a second factor: False, they have none; None, the word is wrong.

        Raises SecondFactorNeeded when they have one and said nothing.
        """
        if not await self.is_on(organisation_id, user_id):
            return False
        if word is None:
            raise SecondFactorNeeded
        async with self._database.transaction() as transaction:
            return True if await self._is_good(transaction, organisation_id, user_id, word) else None

    async def renew_codes(self, organisation_id: int, user_id: int, word: str) -> list[str] | None:
        """Other recovery codes; None for a wrong word, or who has no authenticator."""
        async with self._database.transaction() as transaction:
            if not await self._is_good(transaction, organisation_id, user_id, word):
                return None
            return await self._new_codes(transaction, organisation_id, user_id)

    async def remove(self, organisation_id: int, user_id: int, word: str) -> bool:
        """No authenticator any more, and no session that has shown one; False for a wrong word, or who had none."""
        async with self._database.transaction() as transaction:
            if not await self._is_good(transaction, organisation_id, user_id, word):
                return False
            await second_factors.remove(transaction, organisation_id, user_id)
            return True

    async def _is_good(self, transaction: Connection, organisation_id: int, user_id: int, word: str) -> bool:
        if word.isascii() and word.isdigit():
            return await self._is_right(transaction, organisation_id, user_id, word)
        return await second_factors.recover(transaction, organisation_id, user_id, _hashed(word))

    async def _is_right(self, transaction: Connection, organisation_id: int, user_id: int, code: str) -> bool:
        stands = await second_factors.find(transaction, organisation_id, user_id)
        if stands is None:
            return False
        now = self._clock.now()
        step = _step_of(stands.secret, code, int(now // STEP_S))
        return step is not None and await second_factors.take(
            transaction, organisation_id, user_id, step, stands.secret, now
        )

    async def _new_codes(self, transaction: Connection, organisation_id: int, user_id: int) -> list[str]:
        codes = [_recovery_code(self._random(_RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]
        hashes = [_hashed(code) for code in codes]
        await second_factors.keep_codes(transaction, organisation_id, user_id, hashes)
        return codes


def _step_of(secret: str, code: str, now_step: int) -> int | None:
    """Of which half minute the code is; None: of none that counts."""
    totp = pyotp.TOTP(secret)
    for drift in _DRIFT:
        expected = totp.generate_otp(now_step + drift)
        if hmac.compare_digest(expected.encode(), code.encode()):
            return now_step + drift
    return None


def _recovery_code(random: bytes) -> str:
    """Four groups of four, such as `mf3x-9kq2-…`: never digits alone."""
    text = base64.b32encode(random).decode().lower()
    return "-".join(text[nth : nth + 4] for nth in range(0, len(text), 4))


def _hashed(code: str) -> str:
    """However it was written: capitals, blanks and dashes don't count."""
    bare = "".join(code.lower().replace("-", "").split())
    return hashlib.sha256(bare.encode()).hexdigest()
