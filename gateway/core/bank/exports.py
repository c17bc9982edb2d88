"""What can be taken out of a campaign, and what each column of it means: one table for files, reference and tests.

Columns are stable: they are added at the end, never renamed, moved or given another meaning.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from gateway.core.bank.billing import Billed, HandedOver, attempts_of, bill
from gateway.core.bank.wording import STATE_WORDS
from gateway.core.rules.errors import SubReason, consequence
from gateway.core.rules.lifecycle import State
from gateway.core.rules.registration import Limits


class Subject(StrEnum):
    """What a file is about. The first column of each is the key by which an export that broke off goes on."""

    MESSAGES = "messages"
    REPLIES = "replies"
    CONTACTS = "contacts"
    REPORTS = "reports"
    OPT_OUTS = "opt-outs"
    CLICKS = "clicks"


class Form(StrEnum):
    """How a file is written."""

    CSV = "csv"
    PARQUET = "parquet"


class Kind(Enum):
    """What a column holds; any cell may be blank."""

    INTEGER = "integer"
    TEXT = "text"
    TIME = "time"
    DOLLARS = "dollars"
    FLAG = "true or false"


class Column(NamedTuple):
    """A column: its name in the file, what it holds, and what that means."""

    name: str
    kind: Kind
    means: str


_ID, _TEXT, _TIME = Kind.INTEGER, Kind.TEXT, Kind.TIME
_PERSON: Final = (
    Column("contact_id", _ID, "The person."),
    Column("phone", _TEXT, "Their phone, E.164."),
    Column("first_name", _TEXT, ""),
    Column("last_name", _TEXT, ""),
)
_ACTION: Final = (
    Column("action_id", _ID, "The action; blank: of none."),
    Column("action", _TEXT, "Its title."),
)
_VOLUNTEER: Final = (
    Column("volunteer_id", _ID, "Who did it; blank: nobody in particular, such as an API key."),
    Column("volunteer", _TEXT, "Their name."),
)
_FIELDS: Final = Column("fields", _TEXT, "Custom fields by their slug, a JSON object.")

COLUMNS: Final[Mapping[Subject, tuple[Column, ...]]] = MappingProxyType(
    {
        Subject.MESSAGES: (
            Column("message_id", _ID, "The text of ours."),
            Column("requested_at", _TIME, "When it was asked for."),
            *_PERSON,
            *_ACTION,
            Column("kind", _TEXT, "initial, reply or confirmation."),
            Column("script", _TEXT, "Which of the action's scripts; blank: own words."),
            *_VOLUNTEER,
            Column("sender_number", _TEXT, "The number of ours that it went out from, E.164 (F021)."),
            Column("body", _TEXT, "The text as it was sent."),
            Column("media_urls", _TEXT, "Addresses of its pictures, a blank between them."),
            Column("segments", _ID, "Of how many parts the text is; an MMS is one (C3)."),
            Column(
                "twilio_segments",
                _ID,
                "How many parts were billed in full, further attempts included (F009).",
            ),
            Column("state", _TEXT, "Where it stands: see the life of a message."),
            Column(
                "twilio_status",
                _TEXT,
                "What the provider last said of it: sent, delivered, undelivered or failed; blank: nothing, or it was"
                " never handed over (F073).",
            ),
            Column("error_code", _ID, "Why it did not arrive: four digits ours, five Twilio's (F066, F067)."),
            Column("aasm_message", _TEXT, "The same in words (F068): the code's title, else the state."),
            Column("cure", _TEXT, "What to do about the code."),
            Column("attempts", _ID, "How often it was handed to the provider."),
            Column("twilio_sid", _TEXT, "The provider's id of the last attempt."),
            Column("handed_over_at", _TIME, "The slot of the last attempt."),
            Column("sent_at", _TIME, "When the carrier took it."),
            Column("final_at", _TIME, "When it came to its last state."),
            Column("carrier", _TEXT, "The person's carrier, where it is known."),
            Column("cost_usd", Kind.DOLLARS, "What all its attempts cost (F010, F011)."),
            Column("story", _TEXT, "Where its whole life can be read."),
        ),
        Subject.REPLIES: (
            Column("reply_id", _ID, "The person's text."),
            Column("received_at", _TIME, "When it came."),
            *_PERSON,
            Column("action_id", _ID, "In which action they had been texted last; blank: in none."),
            Column("action", _TEXT, "Its title."),
            Column("volunteer_id", _ID, "Who had the conversation then; blank: nobody."),
            Column("volunteer", _TEXT, "Their name."),
            Column("number", _TEXT, "The number of ours that they wrote to."),
            Column("body", _TEXT, "What they wrote."),
            Column("read_as", _TEXT, "As what it was read: stop, start, help or reply."),
            Column("opted_out", Kind.FLAG, "Whether it opted them out."),
            Column("suggests_opt_out", Kind.FLAG, "Whether it may mean that they want no texts (F122)."),
            Column("wrong_number", Kind.FLAG, "Whether it says that somebody else has the phone."),
        ),
        Subject.CONTACTS: (
            *_PERSON,
            Column("email", _TEXT, ""),
            Column("zip", _TEXT, ""),
            Column("state", _TEXT, "Two letters."),
            Column("line_type", _TEXT, "mobile, landline, voip; blank: not known."),
            Column("carrier", _TEXT, ""),
            _FIELDS,
            Column("last_text_at", _TIME, "When we last texted them."),
            Column("last_reply_at", _TIME, "When they last wrote."),
            Column("waits_since", _TIME, "Since when they have waited for an answer (C9)."),
            Column("opted_out_at", _TIME, "Since when they get no texts."),
            Column("opt_out_source", _TEXT, "keyword, manual, provider or import."),
            Column("failure_code", _ID, "The code of a failure that still holds them (1204, 1205)."),
            Column("tags", _TEXT, "Names of their tags, sorted, '; ' between them."),
            Column("assignee_id", _ID, "The volunteer who should text them (F185)."),
        ),
        Subject.REPORTS: (
            Column("report_id", _ID, "The report."),
            Column("reported_at", _TIME, "When it was filed."),
            *_PERSON,
            *_ACTION,
            *_VOLUNTEER,
            Column("tags", _TEXT, "Names of the tags that it gave, '; ' between them."),
            _FIELDS,
            Column("removed_tags", _TEXT, "Names of the tags that it took away, '; ' between them."),
        ),
        Subject.OPT_OUTS: (
            Column("phone", _TEXT, "Who gets no texts, E.164."),
            Column("opted_out_at", _TIME, "Since when."),
            Column("source", _TEXT, "keyword (their own text), manual, provider or import."),
            Column("words", _TEXT, "Their own, where there are any."),
            Column("contact_id", _ID, "The campaign's contact with this phone; blank: none."),
            Column("first_name", _TEXT, ""),
            Column("last_name", _TEXT, ""),
            *_VOLUNTEER,
        ),
        Subject.CLICKS: (
            Column("click_id", _ID, "The press."),
            Column("clicked_at", _TIME, "When."),
            *_PERSON,
            *_ACTION,
            *_VOLUNTEER,
            Column("message_id", _ID, "The text that carried the link; blank: it is deleted."),
            Column("script", _TEXT, "By which script it was sent."),
            Column("link", _TEXT, "The link's slug."),
            Column("url", _TEXT, "Where it leads."),
        ),
    }
)


class MessageRow(msgspec.Struct, frozen=True, gc=False):
    """A message as the store reads it out. `past`: its attempts that are over, JSON, None where there are none."""

    message_id: int
    requested_at: datetime
    contact_id: int
    phone: str | None
    first_name: str | None
    last_name: str | None
    action_id: int | None
    action: str | None
    kind: str
    script: str | None
    volunteer_id: int | None
    volunteer: str | None
    sender_number: str | None
    body: str
    media: list[str] | None
    segments: int
    state: str
    code: int | None
    reason: str | None
    attempt: int
    provider_sid: str | None
    slot_at: datetime | None
    sent_at: datetime | None
    final_at: datetime | None
    carrier: str | None
    past: str | None


_past = msgspec.json.Decoder(list[HandedOver])
_SUB_REASONS: Final = {each.value: each for each in SubReason}
_SAID: Final = frozenset({State.SENT, State.DELIVERED, State.UNDELIVERED, State.FAILED})


@lru_cache(maxsize=1024)  # codes come from outside: bounded
def _means(code: int, reason: str | None) -> tuple[str, str]:
    """A code in words, and its cure."""
    means = consequence(code, _SUB_REASONS.get(reason or ""))
    return means.title, means.what_to_do


class _Outcome(NamedTuple):
    """What became of a message: of a bank's texts there are few different ones."""

    billed: Billed
    said: str | None
    words: str
    cure: str | None


@lru_cache(maxsize=4096)
def _outcome(
    now: HandedOver,
    reason: str | None,
    past: str | None,
    attempt: int,
    segments: int,
    carrier: str | None,
    is_mms: bool,
    pays_no_fee: bool,
) -> _Outcome:
    before = _past.decode(past) if past is not None else []
    billed = bill(
        attempts_of(before, attempt, now), segments, carrier, is_mms=is_mms, pays_no_fee=pays_no_fee
    )
    words, cure = (STATE_WORDS[State(now.state)], None) if now.code is None else _means(now.code, reason)
    said = next((each.state for each in reversed([*before, now]) if each.state in _SAID), None)
    return _Outcome(billed, said, words, cure)


def message_cells(row: MessageRow, limits: Limits, story: str) -> Sequence[object]:
    """A message's cells, in the order of its columns. `story`: the address under which messages' stories are read."""
    is_mms = bool(row.media)
    billed, said, words, cure = _outcome(
        HandedOver(row.state, row.code, row.provider_sid is not None),
        row.reason,
        row.past,
        row.attempt,
        row.segments,
        row.carrier,
        is_mms,
        limits.pays_no_fee(row.carrier),
    )
    return (
        row.message_id,
        row.requested_at,
        row.contact_id,
        row.phone,
        row.first_name,
        row.last_name,
        row.action_id,
        row.action,
        row.kind,
        row.script,
        row.volunteer_id,
        row.volunteer,
        row.sender_number,
        row.body,
        " ".join(row.media) if row.media else None,
        1 if is_mms else row.segments,
        billed.mms if is_mms else billed.segments,
        row.state,
        said,
        row.code,
        words,
        cure,
        row.attempt,
        row.provider_sid,
        row.slot_at if row.attempt else None,
        row.sent_at,
        row.final_at,
        row.carrier,
        billed.usd,
        f"{story}/{row.message_id}/story",
    )
