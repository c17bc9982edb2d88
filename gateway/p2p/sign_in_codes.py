"""Sign-in without a password: six digits by e-mail, good for ten minutes, five tries and one use."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.core.bank.people import join_code
from gateway.p2p.passwords import Passwords
from gateway.p2p.second_factor import SecondFactorNeeded
from gateway.p2p.sign_in import Opened, Random, SignIn, of_address
from gateway.store import sign_in_codes, users
from gateway.store.database import Database
from gateway.store.users import UserRow

CODE_S: Final = 600.0
MOST_TRIES: Final = 5

_SUBJECTS: Final = {"en": "Your code to sign in", "es": "Su código para iniciar sesión"}
_TEXTS: Final = {
    "en": "{code} is your code to sign in. It is good for ten minutes and for one use.\n\n"
    "Nobody of ours will ask you for it. If you did not want to sign in, ignore this.\n",
    "es": "{code} es su código para iniciar sesión. Sirve durante diez minutos y una sola vez.\n\n"
    "Nadie de nuestro equipo se lo pedirá. Si no quería iniciar sesión, ignore este mensaje.\n",
}


class Mail(msgspec.Struct, frozen=True):
    """A letter of ours: to one address, plain text."""

    to: str
    subject: str
    text: str


Post = Callable[[Mail], Awaitable[None]]
"""Hands a mail over; raises OSError (or its like) when nobody takes it."""


class SignInCodes:
    """Codes out by mail, sessions for whoever brings them back."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        passwords: Passwords,
        random: Random,
        sign_in: SignIn,
        post: Post,
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._random = random
        self._sign_in = sign_in
        self._post = post

    async def send(self, organisation_id: int, email: str) -> None:
        """Mails a code to whoever has the address, and nothing to nobody; the code before is good no more.

        It takes longer for an address that is known: no answer may wait for it.
        """
        user = await of_address(self._database, organisation_id, email)
        if user is None:
            return
        code = join_code(int.from_bytes(self._random(8)))
        code_hash = await self._passwords.hashed(code)
        ends_at = self._clock.now() + CODE_S
        await sign_in_codes.keep(self._database, organisation_id, user.user_id, code_hash, ends_at)
        text = _TEXTS[user.language].format(code=code)
        await self._post(Mail(user.email, _SUBJECTS[user.language], text))

    async def by_code(
        self, organisation_id: int, email: str, code: str, second: str | None = None
    ) -> Opened | None:
        """None when address and code don't belong together, whichever of them is wrong: that takes as long; or when
        `second`, the code of an authenticator, is wrong. Raises SecondFactorNeeded when it is missing: the code still
        holds.

        It proves the address. Whoever signed up with it and never did may have been somebody else: their password is
        good no more, and their sessions end.
        """
        user = await of_address(self._database, organisation_id, email)
        code_hash = await self._tried(organisation_id, user, code)
        if user is None or code_hash is None:
            return None
        if second is None and await self._sign_in.second_factor.is_on(organisation_id, user.user_id):
            raise SecondFactorNeeded
        if not await sign_in_codes.use(self._database, organisation_id, user.user_id, code_hash):
            return None
        password_hash = user.password_hash
        if await users.prove_address(self._database, organisation_id, user.user_id, self._clock.now()):
            password_hash = None
        return await self._sign_in.begin(organisation_id, user.user_id, password_hash, second)

    async def confirm(self, organisation_id: int, user_id: int, code: str) -> bool:
        """Whoever is signed in proves their address by the code that was mailed there; what they have stays."""
        user = await users.by_id(self._database, organisation_id, user_id)
        code_hash = await self._tried(organisation_id, user, code)
        if code_hash is None or not await sign_in_codes.use(
            self._database, organisation_id, user_id, code_hash
        ):
            return False
        await users.confirm_address(self._database, organisation_id, user_id, self._clock.now())
        return True

    async def _tried(self, organisation_id: int, user: UserRow | None, code: str) -> str | None:
        """The hash of the person's code when it is this one; a try is counted, and takes as long for nobody."""
        code_hash = None
        if user is not None:
            code_hash = await sign_in_codes.begin_try(
                self._database, organisation_id, user.user_id, self._clock.now(), MOST_TRIES
            )
        return code_hash if await self._passwords.match(code_hash, code) else None
