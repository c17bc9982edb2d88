"""What is wrong with a body is told field by field, all of it at once."""

from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.rules.hours import CampaignHours
from gateway.http.faults import MOST_FAULTS, faults_in
from gateway.http.problems import FieldFault
from tests.http.house import CAMPAIGN, House

PATH = f"/v1/campaigns/{CAMPAIGN}"


class Row(msgspec.Struct, forbid_unknown_fields=True):
    phone: str
    age: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Body(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    rows: tuple[Row, ...] = ()
    hours: CampaignHours = CampaignHours()


def fields(faults: list[FieldFault]) -> list[str]:
    return [each.field for each in faults]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "a"}, []),
        ({}, ["name"]),
        ([], ["body"]),
        ({"name": "", "rows": [{"phone": 1}, {"age": -1, "old": 1}], "more": 2},
         ["name", "rows[0].phone", "rows[1].phone", "rows[1].age", "rows[1].old", "more"]),
        ({"name": "a", "hours": {"zone": "EST"}}, ["hours"]),
        ({"name": "a", "hours": {"zone": 1, "start_minute": "9"}}, ["hours.start_minute", "hours.zone"]),
        ({"name": "a", "rows": {}}, ["rows"]),
    ],
)  # fmt: skip
def test_every_field_that_is_wrong_is_named(value: object, expected: list[str]) -> None:
    assert fields(faults_in(value, Body)) == expected


def test_a_long_list_of_faults_has_an_end() -> None:
    assert len(faults_in({"name": "a", "rows": [{}] * 5000}, Body)) == MOST_FAULTS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "EST"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "rows", "hours", "phone", "age", "zone", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_faults_are_found_in_exactly_what_is_refused(value: object) -> None:
    try:
        msgspec.convert(value, Body)
        is_right = True
    except msgspec.ValidationError:
        is_right = False
    assert (faults_in(value, Body) == []) is is_right


async def test_a_save_of_settings_names_each_wrong_field(house: House) -> None:
    """F215: one page of settings, all of its faults in one answer."""
    wrong = {
        "pool": {"preferred_area_codes": ["267", "000", "xyz"]},
        "wording": {"contact_fallback": "my\nfriend"},
        "registration": {"score": 101},
    }
    answer = await house.call("PATCH", PATH, {"settings": wrong})
    assert answer.status == 422
    assert [each["field"] for each in answer.body["errors"]] == [
        "settings.registration.score",
        "settings.pool.preferred_area_codes[1]",
        "settings.pool.preferred_area_codes[2]",
        "settings.wording.contact_fallback",
    ]
    assert all(each["detail"] for each in answer.body["errors"])


async def test_types_and_unknown_fields_are_told_together(house: House) -> None:
    wrong = {"settings": {"bucket_size": 501, "hours": {"zone": 5}, "colour": "red"}, "paused": "yes"}
    answer = await house.call("PATCH", PATH, wrong)
    assert sorted(each["field"] for each in answer.body["errors"]) == [
        "paused",
        "settings.bucket_size",
        "settings.colour",
        "settings.hours.zone",
    ]


async def test_a_query_is_told_in_the_same_way(house: House) -> None:
    answer = await house.call("GET", f"{PATH}/conversations?limit=0&colour=red")
    assert [each["field"] for each in answer.body["errors"]] == ["limit", "colour"]


async def test_what_a_use_case_refuses_names_its_field(house: House) -> None:
    answer = await house.call("GET", f"{PATH}/audit?cursor=nonsense")
    assert (answer.status, [each["field"] for each in answer.body["errors"]]) == (422, ["cursor"])
