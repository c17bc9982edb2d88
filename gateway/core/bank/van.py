"""What is told, as VAN (EveryAction) writes it down: one canvass response a delivery, with codes of the campaign's own.

Its API takes either a result code, or responses (activist codes, answers to survey questions), never both
(https://docs.ngpvan.com/reference/peoplevanidcanvassresponses).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.core.bank.webhooks import VanSettings


class VanContact(msgspec.Struct, frozen=True):
    """Whom a delivery is about."""

    phone: str
    first_name: str = ""
    last_name: str = ""
    fields: dict[str, str | None] = {}


class VanData(msgspec.Struct, frozen=True):
    """What of a delivery VAN may want."""

    contact: VanContact | None = None
    tags: tuple[str, ...] = ()
    removed_tags: tuple[str, ...] = ()
    fields: dict[str, str | None] = {}


class VanTold(msgspec.Struct, frozen=True):
    """A delivery's body."""

    type: str
    at: float
    data: VanData


def canvass_response(told: VanTold, settings: VanSettings) -> dict[str, Any] | None:
    """The body of the call; None when nothing of this is written down in VAN."""
    context = {
        "contactTypeId": settings.contact_type_id,
        "inputTypeId": settings.input_type_id,
        "dateCanvassed": datetime.fromtimestamp(told.at, UTC).isoformat(timespec="seconds"),
    }
    if responses := _responses(told, settings):
        return {"canvassContext": context, "resultCodeId": None, "responses": responses}
    results = {
        "replied": settings.replied_result_id,
        "opted_out": settings.opted_out_result_id,
        "reported": settings.reported_result_id,
    }
    result = results.get(told.type)
    return None if result is None else {"canvassContext": context, "resultCodeId": result, "responses": None}


def _responses(told: VanTold, settings: VanSettings) -> list[dict[str, Any]]:
    if told.type == "tagged":
        return [
            *_activist_codes(told.data.tags, "Apply", settings.activist_codes),
            *_activist_codes(told.data.removed_tags, "Remove", settings.activist_codes),
        ]
    if told.type != "reported":
        return []
    answers = (
        settings.survey_answers.get(slug, {}).get(value or "") for slug, value in told.data.fields.items()
    )
    return [
        {"type": "SurveyResponse", "surveyQuestionId": each.question_id, "surveyResponseId": each.response_id}
        for each in answers
        if each is not None
    ]


def _activist_codes(tags: Sequence[str], action: str, codes: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {"type": "ActivistCode", "action": action, "activistCodeId": codes[tag]}
        for tag in tags
        if tag in codes
    ]


def van_id(contact: VanContact, settings: VanSettings) -> int | None:
    """The contact's VAN id, as the list had it; None: look for the phone."""
    text = (contact.fields.get(settings.person_field) or "").strip()
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) < 2**31 else None


def person_sought(contact: VanContact) -> dict[str, Any]:
    """The body that asks VAN who it is."""
    sought: dict[str, Any] = {"phones": [{"phoneNumber": contact.phone.removeprefix("+1")}]}
    if contact.first_name:
        sought["firstName"] = contact.first_name
    if contact.last_name:
        sought["lastName"] = contact.last_name
    return sought
