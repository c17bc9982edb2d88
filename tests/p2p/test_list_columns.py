"""Headers in any case, order and spelling."""

import pytest

from gateway.p2p.list_columns import Meaning, field_slug, meaning_of, read_header


@pytest.mark.parametrize(
    ("header", "meaning"),
    [
        ("phone", Meaning.PHONE),
        (" PHONE ", Meaning.PHONE),
        ("Cell", Meaning.PHONE),
        ("mobile", Meaning.PHONE),
        ("Mobile Number", Meaning.PHONE),
        ("CellPhone", Meaning.PHONE),
        ("Phone (cell)", Meaning.PHONE),
        ("phone1", Meaning.PHONE),
        ("vb_voterbase_phone", Meaning.PHONE),
        ("VoterTelephones_CellPhoneFormatted", Meaning.PHONE),
        ("Contact Number", Meaning.PHONE),
        ("Teléfono", Meaning.PHONE),
        ("home_phone", Meaning.PHONE),
        ("line_type", Meaning.LINE_TYPE),
        ("Phone Type", Meaning.LINE_TYPE),
        ("carrier_type", Meaning.LINE_TYPE),
        ("TYPE", Meaning.LINE_TYPE),
        ("is_landline", Meaning.LANDLINE_FLAG),
        ("Carrier Name", Meaning.CARRIER),
        ("phone_ext", Meaning.EXTENSION),
        ("First Name", Meaning.FIRST_NAME),
        ("FIRSTNAME", Meaning.FIRST_NAME),
        ("fname", Meaning.FIRST_NAME),
        ("Voters_FirstName", Meaning.FIRST_NAME),
        ("Surname", Meaning.LAST_NAME),
        ("last-name", Meaning.LAST_NAME),
        ("Contact Name", Meaning.FULL_NAME),
        ("E-mail", Meaning.EMAIL),
        ("PreferredEmail", Meaning.EMAIL),
        ("ZIP Code", Meaning.ZIP),
        ("zip/postal", Meaning.ZIP),
        ("Mailing State", Meaning.STATE),
        ("state_abbrev", Meaning.STATE),
        ("Assigned To", Meaning.ASSIGNEE),
        ("volunteer_email", Meaning.ASSIGNEE),
        ("do_not_text", Meaning.OPT_OUT),
        ("custom_field_issue", Meaning.CUSTOM_FIELD),
        ("Custom Field: Polling Place", Meaning.CUSTOM_FIELD),
        ("phone_consent", Meaning.OPT_IN),
        ("area code", None),
        ("Phone Bank", None),
        ("cell_opt_in", Meaning.OPT_IN),
        ("work address", None),
        ("County Name", None),
        ("mZip5", Meaning.ZIP),
        ("mState", Meaning.STATE),
        ("vZip5", Meaning.ZIP),
        ("Preferred Phone", Meaning.PHONE),
        ("Is Cell", Meaning.LINE_TYPE),
        ("Device Type", Meaning.LINE_TYPE),
        ("CellPhoneDialingPrefix", None),
        ("CellPhoneCountryCode", None),
        ("Voter File VANID", None),
        ("mZip4", None),
        ("State House District", None),
        ("Contact", None),
        ("custom_field_", None),
        ("", None),
    ],
)
def test_headers(header: str, meaning: Meaning | None) -> None:
    assert meaning_of(header) is meaning


@pytest.mark.parametrize(
    ("header", "known", "slug"),
    [
        ("custom_field_issue_ID", (), "issue_ID"),
        ("CUSTOM_FIELD_ISSUE_ID", (), "issue_id"),
        ("Custom Field Polling Place", (), "polling_place"),
        ("CUSTOM_FIELD_ISSUE_ID", ("issue_ID",), "issue_ID"),
        ("Issue ID", ("issue_ID",), "issue_ID"),
        ("issue_ID", (), ""),
    ],
)
def test_custom_field_slugs(header: str, known: tuple[str, ...], slug: str) -> None:
    assert field_slug(header, known) == slug


def test_attributes_are_bound_to_their_own_phone() -> None:
    headers = ["cell", "home_phone", "phone", "home_phone_type", "cell carrier", "line_type"]
    phones = {phone.header: phone for phone in read_header(headers).phones}
    assert list(phones) == ["cell", "phone", "home_phone"]
    assert (phones["home_phone"].line_type, phones["cell"].carrier, phones["phone"].line_type) == (3, 4, 5)
    assert (phones["cell"].line_type, phones["phone"].carrier) == (-1, -1)
