"""What a catalogue holds, what a report shows and what it may say."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bank.labels import (
    CustomField,
    Form,
    Marks,
    Tag,
    check_kind,
    check_marks,
    clean_label,
    clean_slug,
    form,
)
from gateway.core.rules.errors import BadFields, BadInput


def tag(tag_id: int, place: int = 0, **more: object) -> Tag:
    return Tag(tag_id=tag_id, name=f"tag {tag_id}", label=f"Tag {tag_id}", place=place, **more)


def field(field_id: int, slug: str, place: int = 0, **more: object) -> CustomField:
    return CustomField(field_id=field_id, slug=slug, label=slug, place=place, **{"kind": "text", **more})


TAGS = [
    tag(1, 30),
    tag(2, 20, by_default=True),
    tag(3, 10, by_default=True),
    tag(4, 5, by_default=True, archived_at=1.0),
]
WARD = field(2, "ward", kind="choice", options=("First", "Second"), by_default=True)
FIELDS = [field(1, "pet", by_default=False), WARD]


@pytest.mark.parametrize(
    ("tag_ids", "field_ids", "tags", "fields"),
    [
        ((), (), [3, 2], [2]),  # F135: nothing chosen
        ((1,), (), [1], [2]),  # tags chosen, fields fall back by themselves
        ((), (1,), [3, 2], [1]),
        ((1, 2, 99), (1, 2), [2, 1], [1, 2]),  # F137: in the catalogue's order, whatever the action's is
        ((4,), (), [], [2]),  # an archived one is not offered, and the action did choose
    ],
)
def test_a_report_shows_what_its_action_chose_or_else_the_defaults(
    tag_ids: tuple[int, ...], field_ids: tuple[int, ...], tags: list[int], fields: list[int]
) -> None:
    """F134, F135, F136 and F137."""
    shown = form(TAGS, FIELDS, tag_ids, field_ids)
    assert [each.tag_id for each in shown.tags] == tags
    assert [each.field_id for each in shown.fields] == fields


@given(
    st.lists(
        st.builds(tag, st.integers(1, 9), st.integers(0, 3), by_default=st.booleans()),
        unique_by=lambda one: one.tag_id,
    ),
    st.frozensets(st.integers(1, 9)),
)
def test_what_is_shown_is_part_of_the_catalogue_each_once(tags: list[Tag], chosen: frozenset[int]) -> None:
    shown = form(tags, [], chosen).tags
    assert [each.tag_id for each in shown] == [
        each.tag_id for each in sorted(tags, key=lambda one: (one.place, one.tag_id)) if each in shown
    ]
    assert {each.tag_id for each in shown} == {
        each.tag_id for each in tags if (each.tag_id in chosen if chosen else each.by_default)
    }


@dataclass
class Fault:
    marks: Marks
    fields: list[str]


@pytest.mark.parametrize(
    "case",
    [
        Fault(Marks(tags=(9,), removed_tags=(8,)), ["tags[0]", "removed_tags[0]"]),
        Fault(Marks(tags=(2,), removed_tags=(2,)), ["removed_tags"]),
        Fault(Marks(fields={"ward": "Third", "pet": "x" * 501}), ["fields.ward", "fields.pet"]),
        Fault(
            Marks(fields={"nothing": "x", "p2p_messaged_at": "now"}),
            ["fields.nothing", "fields.p2p_messaged_at"],
        ),
        Fault(Marks(tags=(3, 1)), ["tags[1]"]),  # of the catalogue, and not on this report
    ],
)
def test_each_field_that_can_not_stand_is_told(case: Fault) -> None:
    """F139: nor can the time that is kept by itself."""
    shown = Form(form(TAGS, FIELDS).tags, FIELDS)
    with pytest.raises(BadFields) as refused:
        check_marks(shown, case.marks)
    assert [field for field, _ in refused.value.faults] == case.fields


def test_a_part_of_a_report_is_enough() -> None:
    """F132."""
    for marks in (Marks(), Marks(tags=(2,)), Marks(fields={"ward": "First"}), Marks(fields={"ward": None})):
        check_marks(form(TAGS, FIELDS), marks)


@pytest.mark.parametrize(
    "slug", ["Ward", "1st", "", "a-b", "a" * 51, "p2p_messaged_at", "first_name", "wärd"]
)
def test_a_slug_that_no_script_could_name_is_refused(slug: str) -> None:
    with pytest.raises(BadInput):
        clean_slug(slug)
    assert clean_slug("ward_2") == "ward_2"


def test_a_label_is_on_one_line() -> None:
    assert clean_label("  Wrong \n number ", "label") == "Wrong number"
    for text in ("", "  ", "x" * 101, "a\x00b"):
        with pytest.raises(BadInput):
            clean_label(text, "label")


@pytest.mark.parametrize(
    ("kind", "options", "default"),
    [("text", ("a",), None), ("choice", (), None), ("choice", ("a", "a"), None), ("choice", ("a",), "b")],
)
def test_a_kind_and_its_options_fit(kind: str, options: tuple[str, ...], default: str | None) -> None:
    with pytest.raises(BadInput):
        check_kind(kind, options, default)
    check_kind("choice", ("a", "b"), "b")
