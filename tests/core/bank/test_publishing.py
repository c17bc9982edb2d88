"""Whether an action may be published, what may change afterwards, and who sees it: tables."""

import msgspec
import pytest

from gateway.core.bank.actions import (
    ActionSettings,
    Audience,
    State,
    Viewer,
    frozen_after_publishing,
    may_see,
)
from gateway.core.bank.publishing import Plan, Wording, reasons_against, token_at
from gateway.core.bank.scripts import ScriptKind, ScriptText, frozen_fields, key_of, next_name
from gateway.core.rules.hours import CampaignHours, group_key
from gateway.core.text.scripts import Field

NOW = 1_773_154_800.0
STOP = "Hi {{first_name}}, will you vote? Reply STOP to unsubscribe."
WORDING = Wording(
    fields={"issue": Field("issue", "taxes")},
    campaign={"name": "Bank"},
    opt_out_suffix=False,
    contact_fallback="friend",
    sender_fallback="a volunteer",
)


def script(source: str = STOP, kind: ScriptKind = ScriptKind.INITIAL, name: str = "initial-1") -> ScriptText:
    return ScriptText(kind=kind, name=name, source=source)


READY = Plan(
    state=State.DRAFT,
    archived=False,
    scripts=[script()],
    wording=WORDING,
    sample=[{"first_name": "Ann"}],
    people=1,
    registered=True,
    hours=CampaignHours(),
    hours_groups=[group_key("PA", ["America/New_York"])],
)


def codes(**changed: object) -> list[str]:
    return [each.code for each in reasons_against(msgspec.structs.replace(READY, **changed), NOW)]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"scripts": []}, ["no-initial"]),  # F083
        ({"scripts": [script("Thanks", ScriptKind.RESPONSE)]}, ["no-initial"]),
        ({"scripts": [script("Hi {{first_name}}")]}, ["missing-opt-out"]),  # F093, F094, C10
        (
            {"scripts": [script("Hi")], "wording": msgspec.structs.replace(WORDING, opt_out_suffix=True)},
            [],
        ),
        ({"scripts": [script(STOP + " {{fist_name}}")]}, ["unknown-variable"]),
        ({"scripts": [script(STOP + " {{custom_field_issue}} {{issue}}")]}, []),  # C21
        ({"scripts": [script("Hi {% if %} Reply STOP to quit")]}, ["syntax"]),
        ({"scripts": [script(STOP + " bit.ly/x")]}, ["shortener"]),  # F092
        ({"scripts": [script(), script("See {{'vote'|trackable}}", ScriptKind.RESPONSE)]}, ["unknown-link"]),
        ({"people": 0}, ["no-contacts"]),
        ({"registered": False}, ["unregistered"]),
        ({"hours": CampaignHours(0, 60)}, ["empty-window"]),
        ({"state": State.PUBLIC}, ["published"]),
        ({"archived": True}, ["archived"]),
        ({"archived": True, "scripts": [], "people": 0}, ["archived", "no-initial", "no-contacts"]),
    ],
)
def test_every_reason_at_once(changed: dict[str, object], expected: list[str]):
    """F083, F091 to F094, C10."""
    assert codes(**changed) == expected


def test_a_reason_says_which_script_where_and_what_stands_there():
    source = "Hello,\nsee {{ fist_name }} now. Reply STOP to unsubscribe."
    [reason] = reasons_against(msgspec.structs.replace(READY, scripts=[script(source)]), NOW)
    assert (reason.script, reason.line, reason.column, reason.token) == (
        "initial-1", 2, 8, "fist_name",
    )  # fmt: skip
    assert "did you mean {{first_name}}" in reason.detail


@pytest.mark.parametrize(
    ("line", "column", "expected"), [(1, 4, "{{name}}"), (2, 1, "word"), (2, 5, None), (3, 1, None), (9, 1, None)]
)  # fmt: skip
def test_what_stands_at_a_place(line: int, column: int, expected: str | None):
    assert token_at("Hi {{name}}\nword ", line, column) == expected


# ---------------------------------------------------------------- who sees it

LIMITED = Audience(languages=("es",), zips=("191", "19004"))
MANUEL = Viewer(is_staff=False, language="es", zip="19121")


@pytest.mark.parametrize(
    ("state", "audience", "viewer", "expected"),
    [
        (State.DRAFT, Audience(), MANUEL, False),
        (State.SCHEDULED, Audience(), MANUEL, False),
        (State.DRAFT, Audience(), Viewer(is_staff=True), True),
        (State.PUBLIC, Audience(), MANUEL, True),
        (State.PUBLIC, LIMITED, MANUEL, True),  # F147, F148, C15
        (State.PUBLIC, LIMITED, msgspec.structs.replace(MANUEL, language="en"), False),
        (State.PUBLIC, LIMITED, msgspec.structs.replace(MANUEL, zip="19005"), False),
        (State.PUBLIC, LIMITED, msgspec.structs.replace(MANUEL, zip=None), False),
        (State.PUBLIC, LIMITED, Viewer(is_staff=False, invited=True), True),
        (State.PRIVATE, Audience(), MANUEL, False),  # F140, F146
        (State.PRIVATE, Audience(), msgspec.structs.replace(MANUEL, invited=True), True),  # F145, F150
        (State.PRIVATE, Audience(user_list_ids=(3,)), msgspec.structs.replace(MANUEL, user_list_ids=frozenset({3})), True),
        (State.PRIVATE, Audience(user_list_ids=(3,)), msgspec.structs.replace(MANUEL, user_list_ids=frozenset({4})), False),
    ],
)  # fmt: skip
def test_who_sees_an_action(state: State, audience: Audience, viewer: Viewer, expected: bool):
    """F140, F144 to F148, F150, C14, C15."""
    assert may_see(state, audience, viewer) is expected
    assert may_see(state, audience, viewer, archived=True) is viewer.is_staff


def test_what_may_not_change_once_it_is_published():
    """F149."""
    before = ActionSettings(audience=LIMITED)
    assert frozen_after_publishing(before, ActionSettings(audience=LIMITED, description="New")) == []
    after = ActionSettings(audience=Audience(languages=("en",), user_list_ids=(1,)))
    assert frozen_after_publishing(before, after) == ["audience.languages", "audience.zips"]


def test_of_a_published_script_a_responses_words_may_change():
    response = ScriptText(kind=ScriptKind.RESPONSE, name="Thanks", source="Thank you")
    assert frozen_fields(response, msgspec.structs.replace(response, source="Thanks!", tag_ids=(1,))) == []
    assert frozen_fields(response, msgspec.structs.replace(response, name="Other")) == ["name"]
    assert frozen_fields(script(), script("Other")) == ["source"]


def test_names_and_keys():
    """F086, F110: any number; the first ten responses have a key."""
    assert next_name(ScriptKind.INITIAL, ["initial-1", "initial-3"]) == "initial-2"
    assert [key_of(nth) for nth in (0, 8, 9, 10)] == ["1", "9", "0", None]
