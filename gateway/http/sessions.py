"""Sign-in over the API: sessions, who I am, passwords. The answers never tell whether an address is known."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Final, Literal

import msgspec
import structlog
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.people import LONGEST_EMAIL, LONGEST_PASSWORD, SESSION_LONGEST_S, Language, PersonRole
from gateway.core.rules.campaign import DEFAULT_ORGANISATION
from gateway.core.text.patterns import whole
from gateway.http.access import COOKIE
from gateway.http.bodies import decoded, json_body, path_id, private_answer
from gateway.http.failures import Failures, attempt
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Refusal
from gateway.http.records import Id
from gateway.p2p.sign_in import Opened
from gateway.p2p.sign_in_codes import CODE_S

Email = Annotated[str, Meta(min_length=1, max_length=LONGEST_EMAIL)]
Password = Annotated[str, Meta(min_length=1, max_length=LONGEST_PASSWORD)]
SecondFactorWord = Annotated[str, Meta(min_length=6, max_length=40)]
Carrier = Literal["cookie", "bearer"]


class SignInRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Address, and password or a code that was mailed to it. `second_factor`: a code of one's authenticator app, or a
    recovery code; whoever has set one up is answered 401, with an error of this field, without it. `carrier`: `cookie` for a page of ours, whose scripts then can't read the token; `bearer`
    gives the token, for `Authorization: Bearer`."""

    email: Email
    password: Password | None = None
    code: Annotated[str, Meta(pattern=whole("[0-9]{6}"))] | None = None
    second_factor: SecondFactorWord | None = None
    organisation_id: Id = DEFAULT_ORGANISATION
    carrier: Carrier = "cookie"


class CodeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to mail a code to."""

    email: Email
    organisation_id: Id = DEFAULT_ORGANISATION


class CodeMailed(Struct, frozen=True, kw_only=True):
    """If somebody has the address, a code is on its way there; it is good for so long, for five tries and one use."""

    valid_s: float = CODE_S


class InvitationAnswer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An invitation, `tbi_…`, and the password that one chooses by it: at least ten characters."""

    invitation: Annotated[str, Meta(max_length=200)]
    password: Password
    carrier: Carrier = "cookie"


class PasswordChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password that one has, and the one to have: at least ten characters."""

    current: Password
    new: Password


class SignedIn(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session that has begun. It ends at `ends_at`, or when nobody has used it for twelve hours.

    `token` is shown this once, and only when the session is carried by `bearer`.
    """

    user_id: int
    session_id: int
    ends_at: float
    token: str | None = None


class SessionView(Struct, frozen=True, kw_only=True):
    """One of my sessions; times are Unix seconds, `seen_at` to the minute."""

    session_id: int
    created_at: float
    seen_at: float
    ends_at: float
    is_this_one: bool


class SessionList(Struct, frozen=True):
    """My sessions that have not ended, the newest first; at most twenty."""

    sessions: list[SessionView]


class PlaceView(Struct, frozen=True, kw_only=True):
    """A campaign that I am in, and what I am there."""

    campaign_id: int
    name: str
    role: PersonRole


class Me(Struct, frozen=True, kw_only=True):
    """Who I am, and in which campaigns. `email_confirmed`: I have shown that I read mail at my address; until then nobody
    makes me more than a volunteer. `second_factor`: I have set up an authenticator app."""

    user_id: int
    organisation_id: int
    name: str
    email: str
    language: Language
    zip: str | None
    email_confirmed: bool
    second_factor: bool
    campaigns: list[PlaceView]


_WRONG: Final = "e-mail address, or password or code, is wrong"
_log = structlog.get_logger("textbank.http")
_code = msgspec.json.Decoder(CodeRequest)
_sign_in = msgspec.json.Decoder(SignInRequest)
_invitation = msgspec.json.Decoder(InvitationAnswer)
_password = msgspec.json.Decoder(PasswordChange)

OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/sessions",
        handler="sessions.begin",
        summary="Sign in by password or code. Whichever of the two is wrong, address or proof, the answer is the same.",
        act=None,
        tag="people",
        takes=SignInRequest,
        gives={HTTPStatus.CREATED: SignedIn},
        refuses=(400, 401, 413, 415, 422, 429, 503),
    ),
    Operation(
        method="POST",
        path="/v1/sign-in-codes",
        handler="sessions.mail_code",
        summary="Have a code mailed to sign in by. The answer is the same whether the address is known or not.",
        act=None,
        tag="people",
        takes=CodeRequest,
        gives={HTTPStatus.ACCEPTED: CodeMailed},
        refuses=(400, 413, 415, 422, 429, 503),
    ),
    Operation(
        method="GET",
        path="/v1/sessions",
        handler="sessions.show_all",
        summary="My sessions, on all my devices.",
        act=None,
        signed_in=True,
        tag="people",
        gives={HTTPStatus.OK: SessionList},
        refuses=(429, 503),
    ),
    Operation(
        method="DELETE",
        path="/v1/sessions/current",
        handler="sessions.end_this",
        summary="Sign out.",
        act=None,
        signed_in=True,
        tag="people",
        gives={HTTPStatus.NO_CONTENT: None},
        refuses=(415, 429, 503),
    ),
    Operation(
        method="DELETE",
        path="/v1/sessions/{session_id}",
        handler="sessions.end",
        summary="End one of my sessions, on whichever device.",
        act=None,
        signed_in=True,
        tag="people",
        gives={HTTPStatus.NO_CONTENT: None},
        refuses=(404, 415, 429, 503),
    ),
    Operation(
        method="GET",
        path="/v1/me",
        handler="sessions.me",
        summary="Who I am, and what I am in which campaign.",
        act=None,
        signed_in=True,
        tag="people",
        gives={HTTPStatus.OK: Me},
        refuses=(429, 503),
    ),
    Operation(
        method="PUT",
        path="/v1/me/password",
        handler="sessions.change_password",
        summary="Another password. Every session of mine ends, this one too.",
        act=None,
        signed_in=True,
        tag="people",
        takes=PasswordChange,
        gives={HTTPStatus.NO_CONTENT: None},
        refuses=(400, 413, 415, 422, 429, 503),
    ),
    Operation(
        method="POST",
        path="/v1/invitations:accept",
        handler="sessions.accept",
        summary="Choose a password by an invitation, once, and sign in.",
        act=None,
        tag="people",
        takes=InvitationAnswer,
        gives={HTTPStatus.CREATED: SignedIn},
        refuses=(400, 404, 413, 415, 422, 429, 503),
    ),
)


class Guesses:
    """How often passwords may be guessed at this worker: of one account, and from one address.

    Behind a proxy all callers have one address, so that one must leave room for a whole office's typing errors.
    """

    def __init__(self) -> None:
        self.of_account = Failures(allowed=10, one_more_every_s=30.0)
        self.from_address = Failures(allowed=200, one_more_every_s=1.0)

    def counted(
        self, request: web.Request, organisation_id: int, email: str
    ) -> tuple[tuple[Failures, str], tuple[Failures, str]]:
        """What an attempt at that account counts on, whether the account is there or not."""
        account = account_of(organisation_id, email)
        return (self.from_address, str(request.remote)), (self.of_account, account)


def account_of(organisation_id: int, email: str) -> str:
    """What is counted by, however the address was written."""
    return f"{organisation_id} {email.strip().lower()}"


class SessionDesk:
    """Who is it?"""

    def __init__(self, parts: Parts, guesses: Guesses) -> None:
        self._sign_in = parts.sign_in
        self._keys = parts.keys
        self._codes = parts.sign_in_codes
        self._guesses = guesses
        self._asked_of_account = Failures(allowed=3, one_more_every_s=60.0)
        self._asked_from_address = Failures(allowed=60, one_more_every_s=5.0)
        self._mailing: set[asyncio.Task[None]] = set()

    async def mail_code(self, request: web.Request) -> web.Response:
        """202 at once: how long the mail takes would tell whether the address is known."""
        asked = decoded(_code, await json_body(request))
        account = account_of(asked.organisation_id, asked.email)
        counted = (self._asked_from_address, str(request.remote)), (self._asked_of_account, account)
        with attempt(*counted):
            mailing = asyncio.create_task(self._mail(asked), name="mail of a code")
        self._mailing.add(mailing)
        mailing.add_done_callback(self._mailing.discard)
        return private_answer(CodeMailed(), HTTPStatus.ACCEPTED)

    async def _mail(self, asked: CodeRequest) -> None:
        try:
            await self._codes.send(asked.organisation_id, asked.email)
        except Exception as error:  # noqa: BLE001 - nobody waits for it: it is told here, and nothing else stops
            why = str(error) if isinstance(error, OSError) else type(error).__name__
            _log.error("a code to sign in by was not mailed", why=why)

    async def begin(self, request: web.Request) -> web.Response:
        """201 with a session, 401 for whatever is wrong."""
        asked = decoded(_sign_in, await json_body(request))
        if (asked.password is None) is (asked.code is None):
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "give password or code, and not both")
        with attempt(*self._guesses.counted(request, asked.organisation_id, asked.email)) as made:
            if asked.password is not None:
                opened = await self._sign_in.by_password(
                    asked.organisation_id, asked.email, asked.password, asked.second_factor
                )
            else:
                opened = await self._codes.by_code(
                    asked.organisation_id, asked.email, asked.code or "", asked.second_factor
                )
            made.is_right = opened is not None
        if opened is None:
            raise Refusal(HTTPStatus.UNAUTHORIZED, _WRONG)
        return signed_in(opened, asked.carrier)

    async def accept(self, request: web.Request) -> web.Response:
        """201 with a session, 404 for an invitation that holds no more."""
        answered = decoded(_invitation, await json_body(request))
        with attempt((self._guesses.from_address, str(request.remote))) as made:
            opened = await self._sign_in.accept(answered.invitation, answered.password)
            made.is_right = opened is not None
        if opened is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "this invitation is not known, was used, or has ended")
        return signed_in(opened, answered.carrier)

    async def show_all(self, request: web.Request) -> web.Response:
        person = await self._keys.signed_in(request)
        views = [
            SessionView(
                session_id=each.session_id,
                created_at=each.created_at,
                seen_at=each.seen_at,
                ends_at=each.ends_at,
                is_this_one=each.session_id == person.session_id,
            )
            for each in await self._sign_in.sessions(person)
        ]
        return private_answer(SessionList(views))

    async def end_this(self, request: web.Request) -> web.Response:
        person = await self._keys.signed_in(request)
        await self._sign_in.end(person, person.session_id)
        self._keys.forget(person.organisation_id, person.user_id)
        return signed_out()

    async def end(self, request: web.Request) -> web.Response:
        person = await self._keys.signed_in(request)
        session_id = path_id(request, "session_id", _no_session)
        if not await self._sign_in.end(person, session_id):
            raise _no_session(session_id)
        self._keys.forget(person.organisation_id, person.user_id)
        return signed_out() if session_id == person.session_id else web.Response(status=HTTPStatus.NO_CONTENT)

    async def me(self, request: web.Request) -> web.Response:
        person = await self._keys.signed_in(request)
        user, places = await self._sign_in.me(person)
        view = Me(
            user_id=user.user_id,
            organisation_id=person.organisation_id,
            name=user.name,
            email=user.email,
            language=msgspec.convert(user.language, Language),
            zip=user.zip,
            email_confirmed=await self._sign_in.is_confirmed(person),
            second_factor=await self._sign_in.second_factor.is_on(person.organisation_id, person.user_id),
            campaigns=[msgspec.convert(each, PlaceView, from_attributes=True) for each in places],
        )
        return private_answer(view)

    async def change_password(self, request: web.Request) -> web.Response:
        """204 and every session has ended; 422 when the current password is another."""
        person = await self._keys.signed_in(request)
        wanted = decoded(_password, await json_body(request))
        account = f"{person.organisation_id} user {person.user_id}"
        with attempt((self._guesses.of_account, account)) as made:
            made.is_right = await self._sign_in.change_password(person, wanted.current, wanted.new)
        if not made.is_right:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "current: this is not your password")
        self._keys.forget(person.organisation_id, person.user_id)
        return signed_out()


def signed_in(
    opened: Opened, carrier: Carrier, within: Callable[[SignedIn], Struct] = lambda session: session
) -> web.Response:
    """201 with a session as the client wants to carry it; `within` puts it into a larger record."""
    token = opened.token if carrier == "bearer" else None
    view = SignedIn(user_id=opened.user_id, session_id=opened.session_id, ends_at=opened.ends_at, token=token)
    response = private_answer(within(view), HTTPStatus.CREATED)
    if carrier == "cookie":
        response.set_cookie(
            COOKIE,
            opened.token,
            max_age=int(SESSION_LONGEST_S),
            path="/",
            secure=True,
            httponly=True,
            samesite="Lax",
        )
    return response


def signed_out() -> web.Response:
    """204, and the browser forgets its cookie."""
    response = web.Response(status=HTTPStatus.NO_CONTENT)
    response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Lax")
    return response


def _no_session(session_id: int) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, f"you have no session {session_id}")
