"""The provider's callbacks: proved by their signature, durable before the 2xx, harmless when repeated.

What is not signed is counted and forgotten: nothing of it is parsed further, stored or logged.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, Literal
from urllib.parse import unquote

import structlog
from aiohttp import web

from gateway.core.rules.errors import BadInput
from gateway.core.text.phone import masked
from gateway.http.intake import Intake
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.parts import Parts, WebhookDoor
from gateway.http.problems import RETRY_AFTER_S, Handler, Refusal
from gateway.turns import Floor

MOST_BYTES: Final = 64 * 1024
MOST_BYTES_AT_ONCE: Final = 1024 * MOST_BYTES
PATIENCE_S: Final = 10.0
DURABLE_WITHIN_S: Final = 10.0  # Twilio waits for 15
_MOST_FIELDS: Final = 200
_FORM: Final = "application/x-www-form-urlencoded"
_EMPTY: Final = HTTPStatus.NO_CONTENT.value
_log = structlog.get_logger("textbank.webhooks")

Type = Literal["status", "inbound"]


class Webhooks:
    """The two doors of one provider."""

    def __init__(self, parts: Parts, known: KnownCampaigns, door: WebhookDoor, floor: Floor) -> None:
        self._parts = parts
        self._known_campaigns = known
        self._door = door
        self._public_url = door.public_url.rstrip("/")
        self._intake = Intake(floor, MOST_BYTES_AT_ONCE, PATIENCE_S)

    def routes(self) -> list[web.RouteDef]:
        path = f"/webhooks/{self._door.name}"
        return [
            web.post(f"{path}/status", self._timed("status", self.status)),
            web.post(f"{path}/inbound", self._timed("inbound", self.inbound)),
        ]

    def _timed(self, type_: Type, handler: Handler) -> Handler:
        """Counts how long an answer takes, whatever it says."""

        async def timed(request: web.Request) -> web.StreamResponse:
            time = asyncio.get_running_loop().time
            began_at = time()
            try:
                return await handler(request)
            finally:
                self._parts.metrics.webhook_answered(type_, time() - began_at)

        return timed

    async def _kept(self, type_: Type, written: "asyncio.Future[None]") -> None:
        """Until it is in the books; whatever takes longer than we wait counts with that."""
        time = asyncio.get_running_loop().time
        came_at = time()

        def count(done: "asyncio.Future[None]") -> None:
            if done.cancelled() or done.exception() is None:
                self._parts.metrics.webhook_kept(type_, time() - came_at)

        written.add_done_callback(count)
        await _durable(written)

    async def status(self, request: web.Request) -> web.Response:
        """204 once the report is durable; also for one that is about nothing of ours, or it would come again."""
        form = await self._signed(request, "status")
        try:
            report = self._door.status_report(form, request.query, at=self._parts.clock.now())
        except BadInput as error:
            return self._none_of_ours("status", error)
        await self._known_campaigns.knows(report.campaign_id)  # delivery leaves alone what is none of ours
        await self._kept("status", self._parts.sink.status(report))
        self._parts.metrics.webhooks("status", "ok")
        _log.debug(
            "receipt",
            campaign_id=report.campaign_id,
            message_id=report.message_id,
            status=report.status,
            code=report.code,
        )
        return web.Response(status=_EMPTY)

    async def inbound(self, request: web.Request) -> web.Response:
        """The provider's empty answer once the text is durable and an opt-out in it is in force."""
        form = await self._signed(request, "inbound")
        try:
            text = self._door.inbound_text(form, at=self._parts.clock.now())
        except BadInput as error:
            return self._none_of_ours("inbound", error)
        await self._kept("inbound", self._parts.sink.inbound(text))
        self._parts.metrics.webhooks("inbound", "ok")
        _log.info("inbound", provider_sid=text.provider_sid, phone=masked(text.phone))
        if not self._door.inbound_answer:
            return web.Response(status=_EMPTY)
        return web.Response(text=self._door.inbound_answer, content_type="text/xml")

    async def _signed(self, request: web.Request, type_: Type) -> Mapping[str, str]:
        """The form, its blank values kept; raises Refusal 403, 413 or 415."""
        if request.content_type != _FORM:
            self._parts.metrics.webhooks(type_, "error")
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {_FORM}")
        try:
            pairs = _pairs(await self._intake.whole(request, MOST_BYTES))
        except (Refusal, ValueError) as error:
            self._parts.metrics.webhooks(type_, "error")
            if isinstance(error, Refusal):
                raise
            raise Refusal(HTTPStatus.BAD_REQUEST, "this is no form") from error
        given = request.headers.get(self._door.signature_header, "")
        if not self._door.is_signed(self._public_url + request.raw_path, pairs, given):
            self._parts.metrics.webhooks(type_, "bad_signature")
            _log.warning("bad signature", type=type_, provider=self._door.name, remote=request.remote)
            raise Refusal(HTTPStatus.FORBIDDEN, "the signature is not the provider's")
        return {name: value.replace("\x00", "") for name, value in pairs}  # PostgreSQL keeps no NUL

    def _none_of_ours(self, type_: Type, error: BadInput) -> web.Response:
        self._parts.metrics.webhooks(type_, "unknown")
        _log.warning("a callback about nothing of ours", type=type_, why=error.what)
        return web.Response(status=_EMPTY)


async def _durable(written: "asyncio.Future[None]") -> None:
    """Once it is in the books. What takes too long is written all the same, and may come again.

    Raises Refusal 503.
    """
    try:
        async with asyncio.timeout(DURABLE_WITHIN_S):
            await written
    except TimeoutError as error:
        detail = "the database is away; this is kept and will be written, repeat it to be sure"
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, Retry_After=RETRY_AFTER_S) from error


def _pairs(body: bytes) -> list[tuple[str, str]]:
    """Names and values in the order of the body, as `parse_qsl` reads it, blanks kept; half its cost.

    ValueError when there are too many or they are not UTF-8.
    """
    text = body.decode("ascii")
    if text.count("&") >= _MOST_FIELDS:
        raise ValueError("too many fields")
    fields = [each.partition("=") for each in text.split("&") if each]
    return [(_plain(name), _plain(value)) for name, _, value in fields]


def _plain(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    return unquote(text, errors="strict") if "%" in text else text
