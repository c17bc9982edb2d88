"""What I may do about my own sign-in: an authenticator app, a proven address, and a password that I forgot."""

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
import structlog
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.rules.campaign import DEFAULT_ORGANISATION
from gateway.core.text.patterns import whole
from gateway.http.bodies import decoded, json_body, private_answer
from gateway.http.failures import Failures, attempt
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.records import Id
from gateway.http.sessions import Email, Guesses, Password, SecondFactorWord, account_of, signed_out
from gateway.p2p.password_resets import RESET_S
from gateway.p2p.second_factor import AlreadyHasOne, NotProven

SixDigits = Annotated[str, Meta(pattern=whole("[0-9]{6}"))]


class OwnPassword(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password that I have."""

    password: Password


class NewAuthenticator(Struct, frozen=True, kw_only=True):
    """What an authenticator app needs, and the same as an address for a QR code. It asks for nothing before its first
    code is confirmed; shown this once."""

    secret: str
    uri: str


class AuthenticatorCode(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The code that the app shows now."""

    code: SixDigits


class RecoveryCodes(Struct, frozen=True):
    """Ten codes, each good once in place of the app's; shown this once, those before are good no more."""

    recovery_codes: list[str]


class SecondFactorProof(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """My password, and a code of the app or a recovery code."""

    password: Password
    second_factor: SecondFactorWord


class MailedCode(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The six digits that were mailed to my address (`POST /v1/sign-in-codes`)."""

    code: SixDigits


class ResetRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to mail a link to."""

    email: Email
    organisation_id: Id = DEFAULT_ORGANISATION


class ResetMailed(Struct, frozen=True, kw_only=True):
    """If somebody has the address, a link is on its way there; it is good for so long and for one use."""

    valid_s: float = RESET_S


class ResetAnswer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the link carries, `tbr_…`, and the password to have: at least ten characters."""

    reset: Annotated[str, Meta(max_length=200)]
    password: Password


_log = structlog.get_logger("textbank.http")
_own_password = msgspec.json.Decoder(OwnPassword)
_code = msgspec.json.Decoder(AuthenticatorCode)
_proof = msgspec.json.Decoder(SecondFactorProof)
_mailed = msgspec.json.Decoder(MailedCode)
_request = msgspec.json.Decoder(ResetRequest)
_reset = msgspec.json.Decoder(ResetAnswer)
_OWN: Final = (400, 413, 415, 422, 429, 503)


def _operation(
    path: str,
    handler: str,
    summary: str,
    takes: type,
    status: int,
    gives: type | None,
    *,
    signed_in: bool,
    refuses: tuple[int, ...] = (),
) -> Operation:
    return Operation(
        method="POST",
        path=path,
        handler=f"second_factor.{handler}",
        summary=summary,
        act=None,
        signed_in=signed_in,
        tag="people",
        takes=takes,
        gives={status: gives},
        refuses=(*_OWN, *refuses),
    )


_of_mine = partial(_operation, signed_in=True)
_of_anybody = partial(_operation, signed_in=False)

OPERATIONS: Final = (
    _of_mine(
        "/v1/me/second-factor",
        "begin",
        "Set up an authenticator app.",
        OwnPassword,
        HTTPStatus.CREATED,
        NewAuthenticator,
        refuses=(409,),
    ),
    _of_mine(
        "/v1/me/second-factor/confirm",
        "confirm",
        "The app's first code: from now on signing in needs one.",
        AuthenticatorCode,
        HTTPStatus.OK,
        RecoveryCodes,
    ),
    _of_mine(
        "/v1/me/second-factor/recovery-codes",
        "renew",
        "Other recovery codes.",
        SecondFactorProof,
        HTTPStatus.OK,
        RecoveryCodes,
    ),
    _of_mine(
        "/v1/me/second-factor/remove",
        "remove",
        "No authenticator any more.",
        SecondFactorProof,
        HTTPStatus.NO_CONTENT,
        None,
    ),
    _of_mine(
        "/v1/me/email/confirm",
        "confirm_email",
        "Prove that I read mail at my address.",
        MailedCode,
        HTTPStatus.NO_CONTENT,
        None,
    ),
    _of_anybody(
        "/v1/password-resets",
        "mail_reset",
        "Have a link mailed to choose another password. The answer is the same whether the address is known or not.",
        ResetRequest,
        HTTPStatus.ACCEPTED,
        ResetMailed,
    ),
    _of_anybody(
        "/v1/password-resets:accept",
        "reset",
        "Choose another password by a mailed link, once. Every session ends; sign in with it.",
        ResetAnswer,
        HTTPStatus.NO_CONTENT,
        None,
        refuses=(404,),
    ),
)


class SecondFactorDesk:
    """Whatever can be guessed here counts with the other guesses at the account."""

    def __init__(self, parts: Parts, guesses: Guesses) -> None:
        self._sign_in = parts.sign_in
        self._second = parts.sign_in.second_factor
        self._codes = parts.sign_in_codes
        self._resets = parts.password_resets
        self._keys = parts.keys
        self._guesses = guesses
        self._asked_of_account = Failures(allowed=3, one_more_every_s=60.0)
        self._asked_from_address = Failures(allowed=60, one_more_every_s=5.0)
        self._mailing: set[asyncio.Task[None]] = set()

    async def begin(self, request: web.Request) -> web.Response:
        person = await self._keys.signed_in(request)
        said = decoded(_own_password, await json_body(request))
        with attempt(self._counted(person.organisation_id, person.user_id)) as made:
            made.is_right = await self._sign_in.is_own_password(person, said.password)
        if not made.is_right:
            raise _not_yours("password")
        user, _ = await self._sign_in.me(person)
        try:
            begun = await self._second.begin(person.organisation_id, person.user_id, user.email)
        except (AlreadyHasOne, NotProven) as error:
            raise Refusal(HTTPStatus.CONFLICT, str(error)) from error
        return private_answer(NewAuthenticator(secret=begun.secret, uri=begun.uri), HTTPStatus.CREATED)

    async def confirm(self, request: web.Request) -> web.Response:
        person = await self._keys.signed_in(request)
        said = decoded(_code, await json_body(request))
        with attempt(self._counted(person.organisation_id, person.user_id)) as made:
            codes = await self._second.confirm(
                person.organisation_id, person.user_id, person.session_id, said.code
            )
            made.is_right = codes is not None
        if codes is None:
            raise _not_yours("code")
        self._keys.forget(person.organisation_id, person.user_id)
        return private_answer(RecoveryCodes(codes))

    async def renew(self, request: web.Request) -> web.Response:
        person = await self._keys.signed_in(request)
        said = decoded(_proof, await json_body(request))
        with attempt(self._counted(person.organisation_id, person.user_id)) as made:
            codes = None
            if await self._sign_in.is_own_password(person, said.password):
                codes = await self._second.renew_codes(
                    person.organisation_id, person.user_id, said.second_factor
                )
            made.is_right = codes is not None
        if codes is None:
            raise _not_yours("second_factor")
        return private_answer(RecoveryCodes(codes))

    async def remove(self, request: web.Request) -> web.Response:
        person = await self._keys.signed_in(request)
        said = decoded(_proof, await json_body(request))
        with attempt(self._counted(person.organisation_id, person.user_id)) as made:
            made.is_right = await self._sign_in.is_own_password(
                person, said.password
            ) and await self._second.remove(person.organisation_id, person.user_id, said.second_factor)
        if not made.is_right:
            raise _not_yours("second_factor")
        self._keys.forget(person.organisation_id, person.user_id)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def confirm_email(self, request: web.Request) -> web.Response:
        person = await self._keys.signed_in(request)
        said = decoded(_mailed, await json_body(request))
        with attempt(self._counted(person.organisation_id, person.user_id)) as made:
            made.is_right = await self._codes.confirm(person.organisation_id, person.user_id, said.code)
        if not made.is_right:
            raise _not_yours("code")
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def mail_reset(self, request: web.Request) -> web.Response:
        """202 at once: how long the mail takes would tell whether the address is known."""
        asked = decoded(_request, await json_body(request))
        account = account_of(asked.organisation_id, asked.email)
        counted = (self._asked_from_address, str(request.remote)), (self._asked_of_account, account)
        with attempt(*counted):
            mailing = asyncio.create_task(self._mail(asked), name="mail of a password reset")
        self._mailing.add(mailing)
        mailing.add_done_callback(self._mailing.discard)
        return private_answer(ResetMailed(), HTTPStatus.ACCEPTED)

    async def _mail(self, asked: ResetRequest) -> None:
        try:
            await self._resets.send(asked.organisation_id, asked.email)
        except Exception as error:  # noqa: BLE001 - nobody waits for it: it is told here, and nothing else stops
            why = str(error) if isinstance(error, OSError) else type(error).__name__
            _log.error("a link to choose a password by was not mailed", why=why)

    async def reset(self, request: web.Request) -> web.Response:
        said = decoded(_reset, await json_body(request))
        with attempt((self._guesses.from_address, str(request.remote))) as made:
            made.is_right = await self._resets.accept(said.reset, said.password)
        if not made.is_right:
            raise Refusal(HTTPStatus.NOT_FOUND, "this link is not known, was used, or has ended")
        return signed_out()

    def _counted(self, organisation_id: int, user_id: int) -> tuple[Failures, str]:
        return self._guesses.of_account, f"{organisation_id} user {user_id}"


def _not_yours(field: str) -> Refusal:
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"{field}: this is not yours, or was used before")
