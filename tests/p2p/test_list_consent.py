"""Columns of consent: those of the usual exports, each with its own values; what isn't understood is asked about."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.core.rules.errors import BadInput
from gateway.p2p.list_cells import words_of
from gateway.p2p.list_consent import EXPORTS, Sense, sense_of
from gateway.p2p.list_questions import UnclearConsent
from gateway.p2p.lists import ListReader, read_list
from tests.patience import no_longer_than

PHONE = "215-555-0100"


def listed(folder: Path, header: str, *cells: str) -> ListReader:
    """A list with that column, a row a cell."""
    path = folder / "list.csv"
    rows = (f"215-555-01{nth:02},{cell}\n" for nth, cell in enumerate(cells))
    path.write_text(f"phone,{header}\n{''.join(rows)}", encoding="utf-8")
    return read_list(path)


def texted(reader: ListReader) -> int:
    return sum(len(batch) for batch in reader)


@pytest.mark.parametrize("export", EXPORTS, ids=lambda each: each.header)
def test_every_export_is_read_as_its_product_means_it(export) -> None:  # type: ignore[no-untyped-def]
    assert sense_of(words_of(export.header)) is export.sense


@pytest.mark.parametrize(
    ("header", "cell", "is_texted"),
    [
        ("mobile_opt_in", "false", False),
        ("mobile_opt_in", "true", True),
        ("mobile_opt_in", "", True),
        ("do_not_contact", "true", False),
        ("SMS Opt In Status", "Opt-Out", False),
        ("SMS Opt In Status", "Opted Out", False),
        ("SMS Opt In Status", "Unknown", True),
        ("SMS Opt In Status", "Opt-In", True),
        ("Phone Opt In Status", "Opt-Out", False),
        ("Phone Opt In Status", "Unknown", True),
        ("HasOptedOutOfSms__c", "1", False),
        ("HasOptedOutOfSms__c", "TRUE", False),
        ("HasOptedOutOfSms__c", "0", True),
        ("smagicinteract__SMSOptOut__c", "true", False),
        ("mobile_status", "unsubscribed", False),
        ("mobile_status", "subscribed", True),
        ("mobile_status", "bouncing", True),
        ("sms opt in status", "OPTED_OUT", False),
        ("sms opt in status", "UNSPECIFIED", True),
        ("Is Opted Out", "TRUE", False),
        ("Is Opted Out", "FALSE", True),
        ("global opt out", "yes", False),
        ("subscription_status", "unsubscribed", False),
        ("subscription_status", "never", True),
        ("DNC", "x", False),
        ("Do Not Text", "Y", False),
        ("STOP", "1", False),
        ("STOP", "", True),
        ("Opt In", "N", False),
        ("Opt In", "0", False),
        ("Opt In", "0.0", False),
        ("Opt In", "Yes", True),
        ("Consent", "no", False),
        ("Consent", "none", False),
        ("Consent", "2026-01-05", True),
        ("Baja", "sí", False),
        ("Baja", "no", True),
        ("Opt-Out Date", "1/5/2026 10:30 AM", False),
        ("Opt-Out Date", "0000-00-00 00:00:00", True),
        ("opted_out_at", "1767225600", False),
        ("Opted Out", "Revoked", False),
        ("Status", "Active", True),
        ("Tags", "volunteer; donor", True),
        ("Email Opt In", "false", True),
        ("HasOptedOutOfEmail", "1", True),
        ("do_not_mail", "true", True),
        ("Party Option", "no", True),
        ("custom_field_consent", "no", True),
    ],
)
def test_what_a_cell_of_consent_does(tmp_path: Path, header: str, cell: str, is_texted: bool) -> None:
    reader = listed(tmp_path, header, cell)
    assert texted(reader) == is_texted
    assert reader.opted_out == ([] if is_texted else ["+12155550100"])
    assert reader.summary.rejected == ({} if is_texted else {"opted_out": 1})


@pytest.mark.parametrize(
    ("header", "cell"),
    [
        ("Consent", "maybe"),
        ("Opted Out", "ask Mary"),
        ("mobile_status", "1"),
        ("Consent Source", "web form"),
        ("federal_donotcall", "true"),
        ("Email/SMS Opt In", "yes"),
        ("not opted out", "yes"),
        ("Opt In / Opt Out", "yes"),
        ("sms_opt", "1"),
        ("Status", "Opted Out"),
        ("Tags", "volunteer, do not text"),
        ("Contact Preference", "no texts"),
        ("Opt-In Phone", "215-555-0199"),
    ],
)
def test_what_looks_like_consent_and_is_not_understood_stops_the_import(
    tmp_path: Path, header: str, cell: str
) -> None:
    with pytest.raises(UnclearConsent) as stopped:
        listed(tmp_path, header, "", f'"{cell}"', f'"{cell}"')
    (question,) = stopped.value.questions
    assert (question.column, question.values, question.line, question.rows) == (header, (cell,), 3, 2)
    line = str(stopped.value)
    assert all(each in line for each in (header, cell, "line 3", "'Opted Out'", "'custom_field_"))


def test_the_answers_that_the_question_names_are_taken(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'custom_field_consent_source'"):
        listed(tmp_path, "Consent Source", "web")
    assert texted(listed(tmp_path, "custom_field_consent_source", "web")) == 1
    assert texted(listed(tmp_path, "Opted Out", "no", "yes")) == 1


def test_a_column_that_looks_like_consent_and_is_blank_asks_nothing(tmp_path: Path) -> None:
    assert texted(listed(tmp_path, "Consent Source", "", "N/A")) == 2


def test_of_many_questions_a_few_are_told_and_all_can_be_had(tmp_path: Path) -> None:
    headers = [f"consent {word}" for word in ("form", "source", "medium", "officer")]
    path = tmp_path / "list.csv"
    path.write_text(f"phone,{','.join(headers)}\n{PHONE},a,b,c,d\n")
    reader = ListReader(path)  # sniffed; its rows are looked through when they are read
    with pytest.raises(UnclearConsent, match=r"4 columns look like consent.*and 1 more"):
        list(reader)
    assert [each.column for each in reader.summary.questions] == headers


@pytest.fixture
def within_a_minute() -> Iterator[None]:
    with no_longer_than(60.0, "a pattern tries for ever"):
        yield


@pytest.mark.usefixtures("within_a_minute")
def test_a_list_that_begins_with_ids_is_read(tmp_path: Path) -> None:
    """Each of the first rows might be the header, in any of the formats: cells of many digits, and whole rows of them."""
    rows = "\n".join(f"10023456{n:02},215555010{n % 10},19104,Ann" for n in range(20))
    path = tmp_path / "list.csv"
    path.write_text(f"voter_id,phone,zip,first_name\n{rows}\n", encoding="utf-8")
    assert texted(read_list(path)) == 10  # each phone once


@pytest.mark.usefixtures("within_a_minute")
@pytest.mark.parametrize(
    "part", ["1", "yn", "datetime", "cellphone", "timestamp", "no", "text s", "opt out "]
)
def test_no_header_takes_long_to_understand(part: str) -> None:
    sense_of([*(part * 500).split(), "unheard-of"])


def test_any_column_that_says_opted_out_counts(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("phone,Opt In,Opted Out\n215-555-0100,yes,yes\n215-555-0101,no,no\n215-555-0102,yes,no\n")
    reader = read_list(path)
    assert [row.phone for batch in reader for row in batch] == ["+12155550102"]
    assert reader.summary.columns == {"phone": "phone", "Opt In": "opt_in", "Opted Out": "opt_out"}


def test_a_known_field_never_takes_a_column_of_consent(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("phone,consent\n215-555-0100,no\n")
    reader = read_list(path, custom_fields={"consent"})
    assert (texted(reader), reader.opted_out) == (0, ["+12155550100"])


def test_senses_and_meanings_have_the_same_words() -> None:
    from gateway.p2p.list_columns import CONSENTS

    assert {meaning.value for meaning in CONSENTS} == {sense.value for sense in Sense} - {Sense.HINT.value}


VAN = (
    "Voter File VANID,LastName,FirstName,MiddleName,Suffix,mAddress,mCity,mState,mZip5,mZip4,Preferred Phone,"
    "CellPhone,CellPhoneDialingPrefix,CellPhoneCountryCode,Is Cell,SMS Opt In Status\n"
    "1001,Doe,Ana,,,1 Main St,Philadelphia,PA,19104,1234,215-555-0100,215-555-0101,1,1,Verified Cell,Opt-In\n"
    "1002,Roe,Bo,,,2 Main St,Philadelphia,PA,19104,,215-555-0102,,,,Not a Cell,Unknown\n"
    "1003,Poe,Cy,,,3 Main St,Philadelphia,PA,19104,,215-555-0103,215-555-0104,1,1,Likely Cell,Opt-Out\n"
)


def test_an_export_of_van(tmp_path: Path) -> None:
    path = tmp_path / "van.csv"
    path.write_text(VAN)
    reader = read_list(path)
    assert [(row.phone, row.zip, row.state) for batch in reader for row in batch] == [
        ("+12155550101", "19104", "PA")
    ]
    summary = reader.summary
    assert summary.rejected == {"landline": 1, "opted_out": 1}
    assert summary.ignored == (
        "Voter File VANID", "MiddleName", "Suffix", "mAddress", "mCity", "mZip4", "CellPhoneDialingPrefix",
        "CellPhoneCountryCode",
    )  # fmt: skip
