"""POST /v1/messages and /v1/messages:batch: rows in, one admission each, the answer when all are durable."""

import asyncio
import contextlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
import structlog
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.core.rules.errors import NotNow, SubReason, consequence
from gateway.core.rules.idempotency import Key
from gateway.core.rules.lifecycle import State
from gateway.core.rules.safeguards import Kind, Request
from gateway.core.text.phone import PhoneFault, parse
from gateway.http.access import Grant
from gateway.http.batch_keys import BatchKeys, Entered, Keys
from gateway.http.bodies import MOST_BYTES, SMALL_BYTES, check_text, decoded, fault_in, json_answer, json_body
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.load import Load
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import RETRY_AFTER_S, Refusal
from gateway.http.records import LONGEST_KEY, MOST_ROWS, Id, NewMessage, Result
from gateway.http.rows import Rows
from gateway.http.shedding import place
from gateway.pipeline.admission import Outcome
from gateway.pipeline.idempotency import KeyReused, KeyUnderWay
from gateway.turns import Floor, Turns

PATIENCE_S: Final = 10.0  # longer than a slow database takes; a client would rather repeat
_KINDS: Final = {"initial": Kind.INITIAL, "reply": Kind.REPLY}
_SUB_REASONS: Final = {each.value: each for each in SubReason}
_log = structlog.get_logger("textbank.sending")


class SingleMessage(NewMessage, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text of a campaign to one of its contacts."""

    campaign_id: Id


class Batch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Texts of one campaign; each row stands or falls by itself."""

    campaign_id: Id
    messages: Annotated[list[NewMessage], Meta(min_length=1, max_length=MOST_ROWS)]


class BatchEnvelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch without its rows, which are read one by one: they are many, or one of them is bad."""

    campaign_id: Id
    messages: tuple[()]


class BatchResult(Struct, frozen=True, kw_only=True):
    """One result a row, in the order of the rows; the three counts add up to their number."""

    accepted: int
    blocked: int
    rejected: int
    results: list[Result]


_single = msgspec.json.Decoder(SingleMessage)
_batch = msgspec.json.Decoder(Batch)
_envelope = msgspec.json.Decoder(BatchEnvelope)
_row = msgspec.json.Decoder(NewMessage)
Row = NewMessage | Result  # a Result: rejected already

KEY_HEADER: Final = {
    "Idempotency-Key": "A repeat with the same key gets the first one's status and body and sends nothing; other "
    "parameters are 422, a first that is under way 409. For a batch each row without a key of its own gets this one, "
    "a colon and its place."
}
OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/messages",
        handler="sending.one",
        summary="Send one text. Answers once it is durable, admitted or blocked by a safeguard.",
        act=Act.SEND,
        tag="messages",
        takes=SingleMessage,
        gives={HTTPStatus.ACCEPTED: Result},
        refuses=(400, 404, 409, 413, 415, 422, 503),
        headers=KEY_HEADER,
    ),
    Operation(
        method="POST",
        path="/v1/messages:batch",
        handler="sending.many",
        summary="Send many texts of one campaign; each row stands or falls by itself.",
        act=Act.SEND,
        tag="messages",
        takes=Batch,
        gives={HTTPStatus.ACCEPTED: BatchResult, HTTPStatus.UNPROCESSABLE_ENTITY: BatchResult},
        refuses=(400, 404, 409, 413, 415, 422, 503),
        headers=KEY_HEADER,
    ),
)


class Sending:
    """The two ways to send."""

    def __init__(self, parts: Parts, known: KnownCampaigns, floor: Floor, load: Load) -> None:
        self._parts = parts
        self._known_campaigns = known
        self._load = load
        self._floor = floor

    async def one(self, request: web.Request, grant: Grant) -> web.Response:
        """202 once the message is in the books, admitted or blocked; 503 at once when there is too much to do."""
        body = await json_body(request)
        with place(request, self._load):
            return await self._one(request, body, grant)

    async def _one(self, request: web.Request, body: bytes, grant: Grant) -> web.Response:
        message = decoded(_single, body)
        await self._may_send(grant, message.campaign_id)
        keys = Keys(grant, message.idempotency_key or header_key(request))
        result = (await self._submit(message.campaign_id, [_sent_by(grant, message)], keys))[0]
        if result.error is not None:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, result.error)
        _log.debug(
            "message", campaign_id=message.campaign_id, message_id=result.message_id, state=result.state
        )
        where = f"/v1/messages/{message.campaign_id}/{result.message_id}"
        return json_answer(result, HTTPStatus.ACCEPTED, Location=where)

    async def many(self, request: web.Request, grant: Grant) -> web.Response:
        """202 once every good row is in the books; 422 when there was none."""
        campaign_id, rows = await self._rows(await json_body(request, MOST_BYTES))
        await self._may_send(grant, campaign_id)
        rows = [each if isinstance(each, Result) else _sent_by(grant, each) for each in rows]
        keys = BatchKeys(grant, header_key(request))
        async with self._parts.admission.batch(campaign_id, keys.whole, rows):
            results = await self._submit(campaign_id, rows, keys)
        rejected = sum(result.error is not None for result in results)
        blocked = sum(result.state == State.BLOCKED for result in results)
        _log.info("batch", campaign_id=campaign_id, rows=len(rows), blocked=blocked, rejected=rejected)
        self._parts.metrics.batch_rows(
            accepted=len(results) - blocked - rejected, blocked=blocked, rejected=rejected
        )
        status = HTTPStatus.ACCEPTED if rejected < len(results) else HTTPStatus.UNPROCESSABLE_ENTITY
        answer = BatchResult(
            accepted=len(results) - blocked - rejected, blocked=blocked, rejected=rejected, results=results
        )
        return json_answer(answer, status)

    async def _may_send(self, grant: Grant, campaign_id: int) -> None:
        grant.require(campaign_id)
        require_open(self._parts)
        await self._known_campaigns.find(campaign_id)

    async def _rows(self, body: bytes) -> tuple[int, Sequence[Row]]:
        """All rows at once; one by one when they are many, or one of them is bad, so that it harms only itself."""
        if len(body) <= SMALL_BYTES:
            with contextlib.suppress(msgspec.DecodeError, RecursionError):
                batch = _batch.decode(body)
                return batch.campaign_id, batch.messages
        rows = Rows(body, MOST_ROWS)
        read: list[Row] = []
        async with Turns(self._floor) as turns:
            for raw in rows:
                read.append(_one_row(raw))
                if turns.over:
                    await turns.rest()
        envelope = decoded(_envelope, rows.envelope)
        if not read:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "give one row at least")
        return envelope.campaign_id, read

    async def _submit(self, campaign_id: int, rows: Sequence[Row], keys: Keys) -> list[Result]:
        """Raises TooMuchWaits and KeyUnderWay before anything is done: all rows are taken, or none. A row whose key is
        used elsewhere meanwhile is refused alone."""
        self._parts.admission.require_room(campaign_id, len(rows))
        known = await self._known(campaign_id, rows)
        own = [None if isinstance(row, Result) else keys.of(row, place) for place, row in enumerate(rows)]
        self._parts.admission.keys.require_none(campaign_id, [key for key in own if key is not None])
        waiting: list[Entered] = []
        async with Turns(self._floor) as turns:
            for row, key in zip(rows, own, strict=True):
                if turns.over:
                    await turns.rest()
                if isinstance(row, Result):
                    waiting.append(row)
                    continue
                entered = keys.entered(row, key)
                if entered is None:
                    entered = self._enter(campaign_id, row, key, known)
                    keys.enter(row, key, entered)
                waiting.append(entered)
        return await _outcomes(waiting)

    def _enter(self, campaign_id: int, row: NewMessage, key: Key | None, known: dict[str, int]) -> Entered:
        contact_id = row.contact_id
        if contact_id is None:
            phone = parse(row.to or "")
            if isinstance(phone, PhoneFault):
                return Result(error=f"to: {phone.reason}" if row.to else "give contact_id or to")
            contact_id = known.get(phone.e164)
            if contact_id is None:
                return Result(error="to: this is no contact of the campaign; upload it first")
        request = Request(
            campaign_id=campaign_id,
            contact_id=contact_id,
            kind=_KINDS[row.kind],
            body=row.body,
            action_id=row.action_id,
            sender_id=row.sender_id,
            media=row.media_urls,
        )
        try:
            return self._parts.admission.submit(request, script=row.script, key=key, always=True)
        except (KeyReused, KeyUnderWay) as error:
            return Result(error=str(error))

    async def _known(self, campaign_id: int, rows: Sequence[Row]) -> dict[str, int]:
        """The contact ids of the phones that rows name."""
        named = {row.to for row in rows if isinstance(row, NewMessage) and row.contact_id is None and row.to}
        if not named:
            return {}
        phones: set[str] = set()
        async with Turns(self._floor) as turns:
            for each in named:
                if turns.over:
                    await turns.rest()
                phone = parse(each)
                if not isinstance(phone, PhoneFault):
                    phones.add(phone.e164)
        return await self._parts.contacts.ids_of(self._parts.campaigns[campaign_id], sorted(phones))


def require_open(parts: Parts) -> None:
    """Raises Refusal 503 when this worker takes nothing new any more."""
    if parts.closing:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "this worker is stopping", Retry_After=RETRY_AFTER_S)


def header_key(request: web.Request) -> str | None:
    """The request's Idempotency-Key. Raises Refusal 400."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not key.isprintable() or not 0 < len(key) <= LONGEST_KEY - 5:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Idempotency-Key: give 1 to 250 printable characters")
    return key


def _sent_by(grant: Grant, message: NewMessage) -> NewMessage:
    """A person sends in their own name, whatever the message says."""
    if grant.actor.user_id is None:
        return message
    return msgspec.structs.replace(message, sender_id=grant.actor.user_id)


def _one_row(raw: bytes) -> Row:
    """Raises Refusal 400 for what is not JSON: that is a fault of the whole body."""
    check_text(raw)
    try:
        return _row.decode(raw)
    except msgspec.ValidationError as error:
        return Result(error=fault_in(error))
    except (msgspec.DecodeError, RecursionError):
        decoded(_row, raw)
        raise


async def _outcomes(waiting: Sequence[Entered]) -> list[Result]:
    """Each row's result when all are durable. The database may be away for longer than a client waits.

    Rows without a key of which no write was tried are then forgotten: those who repeat must not fill the memory.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            return [each if isinstance(each, Result) else await _outcome(each) for each in waiting]
    except TimeoutError as error:
        for each in waiting:
            if isinstance(each, asyncio.Future):
                each.cancel()
        raise outcome_is_open() from error


def outcome_is_open() -> Refusal:
    """What was asked is not written within our patience, and may be written yet."""
    detail = "the database is away, the outcome is open: repeat with the same Idempotency-Key"
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, Retry_After=RETRY_AFTER_S)


async def _outcome(entered: "asyncio.Future[Outcome]") -> Result:
    try:
        outcome = await entered
    except KeyReused as error:
        return Result(error=str(error))
    except NotNow:
        raise
    except Exception:  # noqa: BLE001 - it harms this row only
        _log.exception("a row met a defect")
        return Result(error="this row met a defect of ours; it is in the log")
    return result_of(outcome)


def result_of(outcome: Outcome) -> Result:
    """What became of a request, in words where it was blocked."""
    if outcome.code is None:
        return Result(message_id=outcome.message_id, state=outcome.state)
    means = consequence(outcome.code, _SUB_REASONS.get(outcome.reason or ""))
    return Result(
        message_id=outcome.message_id,
        state=outcome.state,
        code=outcome.code,
        reason=outcome.reason,
        explanation=means.volunteer_reads,
    )
