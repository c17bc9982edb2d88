"""A password that was forgotten: a link by mail, good for an hour and once."""

from typing import Final

from gateway.clock import Clock
from gateway.core.bank.people import check_new_password
from gateway.p2p import tokens
from gateway.p2p.passwords import Passwords
from gateway.p2p.sign_in import Random, of_address
from gateway.p2p.sign_in_codes import Mail, Post
from gateway.p2p.tokens import RESET, TOKEN_BYTES
from gateway.store import password_resets
from gateway.store.database import Database

RESET_S: Final = 3600.0
_SUBJECTS: Final = {"en": "Choose another password", "es": "Elija otra contraseña"}
_TEXTS: Final = {
    "en": "{link} lets you choose another password. It is good for an hour and for one use.\n\n"
    "If you did not ask for it, ignore this: your password stays as it is.\n",
    "es": "{link} le permite elegir otra contraseña. Sirve durante una hora y una sola vez.\n\n"
    "Si no la pidió, ignore este mensaje: su contraseña sigue igual.\n",
}


class PasswordResets:
    """Links out by mail, other passwords in. `base`: the address of the pages, which link and token are put together of."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        passwords: Passwords,
        random: Random,
        post: Post,
        base: str | None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._random = random
        self._post = post
        self._base = base

    async def send(self, organisation_id: int, email: str) -> None:
        """Mails a link to whoever has the address, and nothing to nobody; the link before is good no more.

        It takes longer for an address that is known: no answer may wait for it.
        """
        user = await of_address(self._database, organisation_id, email)
        if user is None:
            return
        text = tokens.made(RESET, organisation_id, self._random(TOKEN_BYTES))
        token = tokens.read(RESET, text)
        assert token is not None
        ends_at = self._clock.now() + RESET_S
        await password_resets.keep(self._database, organisation_id, user.user_id, token.token_hash, ends_at)
        link = text if self._base is None else f"{self._base.rstrip('/')}/reset-password#{text}"
        await self._post(Mail(user.email, _SUBJECTS[user.language], _TEXTS[user.language].format(link=link)))

    async def accept(self, reset: str, password: str) -> bool:
        """Another password; every session has ended, and the address is proven. False: the link holds no more.

        Raises BadInput for a password that won't do: the link then still holds.
        """
        token = tokens.read(RESET, reset)
        if token is None:
            return False
        now = self._clock.now()
        user = await password_resets.whose(self._database, token.organisation_id, token.token_hash, now)
        if user is None:
            return False
        check_new_password(password, email=user.email, name=user.name)
        new_hash = await self._passwords.hashed(password)
        return await password_resets.use(
            self._database, token.organisation_id, token.token_hash, new_hash, now
        )
