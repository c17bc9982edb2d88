"""First texts over the API: a press of Send names the person, the script and the hash of the text that was on the screen;
what became of presses, by their keys."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
import structlog
from aiohttp import web
from msgspec import Meta, Struct

from gateway.core.bank.permissions import Act
from gateway.core.rules.errors import NotNow
from gateway.core.rules.idempotency import Key
from gateway.core.text.patterns import whole
from gateway.http.access import Grant
from gateway.http.bodies import decoded, json_answer, json_body
from gateway.http.buckets import ACTION, BucketRow, Whose, action_of, row_of
from gateway.http.faults import faults_in
from gateway.http.known_campaigns import KnownCampaigns
from gateway.http.load import Load
from gateway.http.operations import Operation
from gateway.http.parts import Parts
from gateway.http.problems import Problem, Refusal, problem_answer, title_of
from gateway.http.reading import campaign_of
from gateway.http.records import Id, Result
from gateway.http.records import Key as KeyWord
from gateway.http.sending import KEY_HEADER, PATIENCE_S, header_key, outcome_is_open, require_open, result_of
from gateway.http.shedding import place
from gateway.p2p.bucket_refusals import ActionOver, NoContact
from gateway.p2p.buckets import Buckets, Press, ScriptChanged, Volunteer
from gateway.pipeline.admission import Outcome
from gateway.pipeline.campaigns import Campaign
from gateway.pipeline.idempotency import KeyReused, KeyUnderWay

SCRIPT_CHANGED: Final = "urn:textbank:script-changed"
_MOST_PRESSES: Final = 20
_MOST_KEYS: Final = 50
_log = structlog.get_logger("textbank.sending")


class NewPress(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A press of Send: whom, and the `variant` and `hash` of the bucket's row as it was on the screen."""

    contact_id: Id
    variant: Annotated[str, Meta(min_length=1, max_length=100)]
    hash: Annotated[str, Meta(pattern=whole("[0-9a-f]{16}"))]


class OnePress(NewPress, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A press by itself; from an API key it says whose."""

    volunteer_id: Id | None = None


class KeyedPress(NewPress, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A press of a batch, with the key that makes it harmless to repeat."""

    idempotency_key: KeyWord


class Presses(Whose, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to 20 presses that waited for a connection; each stands or falls by itself."""

    sends: Annotated[tuple[KeyedPress, ...], Meta(min_length=1, max_length=_MOST_PRESSES)]


class PressResult(Result, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What became of a press. `row`: the text is another one by now, and nothing was sent: this one.

    `under_way`: an earlier request with this key has no outcome yet; ask for it in a moment.
    """

    row: BucketRow | None = None
    under_way: bool = False


class PressResults(Struct, frozen=True):
    """One result a press, in their order."""

    results: list[PressResult]


class ChangedScript(Problem, frozen=True, kw_only=True, omit_defaults=True):
    """Of the type `urn:textbank:script-changed`: the text is another one by now, and nothing was sent. `row`: it."""

    row: BucketRow | None = None


class WhichKeys(Struct, frozen=True, kw_only=True):
    """Idempotency keys."""

    key: Annotated[
        tuple[KeyWord, ...],
        Meta(min_length=1, max_length=_MOST_KEYS, description="A key; say it again for each further one."),
    ]


class KeyedResult(Result, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What was first answered to a key; `under_way`: nothing yet."""

    key: str
    under_way: bool = False


class OutcomeList(Struct, frozen=True):
    """Those of the keys that were used; of a key that is not here nothing was done."""

    outcomes: list[KeyedResult]


_one = msgspec.json.Decoder(OnePress)
_many = msgspec.json.Decoder(Presses)
_REFUSES: Final[tuple[int, ...]] = (400, 404, 413, 415, 422, 503)

OPERATIONS: Final = (
    Operation(
        method="POST",
        path=f"{ACTION}/sends",
        handler="sends.one",
        summary="Send a first text, if it is still the one that was on the screen. Answers once it is durable.",
        act=Act.SEND,
        tag="buckets",
        takes=OnePress,
        gives={HTTPStatus.ACCEPTED: Result, HTTPStatus.CONFLICT: ChangedScript},
        refuses=_REFUSES,
        headers=KEY_HEADER,
    ),
    Operation(
        method="POST",
        path=f"{ACTION}/sends:batch",
        handler="sends.many",
        summary="Send up to 20 first texts that waited for a connection; each stands or falls by itself.",
        act=Act.SEND,
        tag="buckets",
        takes=Presses,
        gives={HTTPStatus.ACCEPTED: PressResults},
        refuses=_REFUSES,
    ),
    Operation(
        method="GET",
        path="/v1/campaigns/{campaign_id}/outcomes",
        handler="sends.outcomes",
        summary="What became of one's own requests of the last three days, by their idempotency keys.",
        act=Act.SEND,
        tag="buckets",
        asks=WhichKeys,
        gives={HTTPStatus.OK: OutcomeList},
        refuses=(404, 422, 503),
    ),
)


class SendDesk:
    """Presses, and what became of them."""

    def __init__(self, parts: Parts, known: KnownCampaigns, load: Load) -> None:
        self._parts = parts
        self._buckets: Buckets = parts.buckets
        self._known = known
        self._load = load

    async def one(self, request: web.Request, grant: Grant) -> web.Response:
        """202 once it is in the books, sent on its way or blocked; 409 with the new text where the script has changed."""
        campaign, action_id = await self._where(request, grant)
        press = decoded(_one, await json_body(request))
        volunteer = await self._parts.volunteers.acting(grant.actor, campaign, press.volunteer_id)
        word = header_key(request)
        with place(request, self._load):
            try:
                outcome = await _within_patience(
                    self._buckets.send(
                        campaign.campaign_id,
                        action_id,
                        volunteer,
                        _press(press),
                        key=None if word is None else Key(grant.actor.name, word),
                    )
                )
            except ScriptChanged as changed:
                return self._changed(campaign, changed)
            except NoContact as error:
                raise Refusal(HTTPStatus.NOT_FOUND, str(error)) from error
            except ActionOver as error:
                raise Refusal(HTTPStatus.CONFLICT, str(error)) from error
        where = f"/v1/messages/{campaign.campaign_id}/{outcome.message_id}"
        return json_answer(result_of(outcome), HTTPStatus.ACCEPTED, Location=where)

    async def many(self, request: web.Request, grant: Grant) -> web.Response:
        campaign, action_id = await self._where(request, grant)
        presses = decoded(_many, await json_body(request))
        volunteer = await self._parts.volunteers.acting(grant.actor, campaign, presses.volunteer_id)
        self._parts.admission.require_room(campaign.campaign_id, len(presses.sends))
        with place(request, self._load):
            results = await asyncio.gather(
                *(self._result(campaign, action_id, volunteer, grant, each) for each in presses.sends)
            )
        return json_answer(PressResults(results), HTTPStatus.ACCEPTED)

    async def _result(
        self, campaign: Campaign, action_id: int, volunteer: Volunteer, grant: Grant, press: KeyedPress
    ) -> PressResult:
        key = Key(grant.actor.name, press.idempotency_key)
        try:
            sent = self._buckets.send(campaign.campaign_id, action_id, volunteer, _press(press), key=key)
            outcome = await _within_patience(sent)
        except ScriptChanged as changed:
            row = row_of(changed.item, campaign, self._parts.clock.now())
            return PressResult(error=str(changed), row=row)
        except KeyUnderWay as error:
            return PressResult(error=str(error), under_way=True)
        except (KeyReused, NoContact, ActionOver) as error:
            return PressResult(error=str(error))
        except (NotNow, Refusal) as error:
            return PressResult(error=str(error), under_way=True)
        except Exception:  # noqa: BLE001 - it harms this press only
            _log.exception("a press met a defect")
            return PressResult(error="this press met a defect of ours; it is in the log")
        return PressResult(**msgspec.structs.asdict(result_of(outcome)))

    async def outcomes(self, request: web.Request, grant: Grant) -> web.Response:
        campaign = await campaign_of(self._known, request, grant)
        words = _keys(request.query.getall("key", ()))
        found = await self._parts.outcomes.of(grant.actor, campaign.campaign_id, words)
        return json_answer(OutcomeList([_keyed(each.word, each.outcome) for each in found]))

    async def _where(self, request: web.Request, grant: Grant) -> tuple[Campaign, int]:
        campaign = await campaign_of(self._known, request, grant)
        require_open(self._parts)
        return campaign, await action_of(self._buckets, request, campaign)

    def _changed(self, campaign: Campaign, changed: ScriptChanged) -> web.Response:
        status = HTTPStatus.CONFLICT
        return problem_answer(
            ChangedScript(
                title=title_of(status),
                status=status,
                detail=str(changed),
                type=SCRIPT_CHANGED,
                row=row_of(changed.item, campaign, self._parts.clock.now()),
            )
        )


def _press(press: NewPress) -> Press:
    return Press(press.contact_id, press.variant, press.hash)


def _keys(given: Sequence[str]) -> tuple[str, ...]:
    """Raises Refusal 422."""
    try:
        if "\x00" in "".join(given).encode().decode():
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "the query has the character U+0000; leave it out")
        return msgspec.convert({"key": given}, WhichKeys).key
    except UnicodeEncodeError as error:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "the query is not UTF-8") from error
    except msgspec.ValidationError as error:
        found = faults_in({"key": list(given)}, WhichKeys)
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error).replace("`", ""), found) from error


def _keyed(word: str, outcome: Outcome | None) -> KeyedResult:
    if outcome is None:
        return KeyedResult(key=word, under_way=True)
    return KeyedResult(key=word, **msgspec.structs.asdict(result_of(outcome)))


async def _within_patience(sent: "asyncio.Future[Outcome]") -> Outcome:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await sent
    except TimeoutError as error:
        raise outcome_is_open() from error
