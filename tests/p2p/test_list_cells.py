"""What single cells say."""

import pytest

from gateway.p2p.list_cells import carrier, clean, line_type, split_name, state_code, zip_code


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("8540", "08540"),
        ("08540", "08540"),
        ("601", "00601"),
        ("8540.0", "08540"),
        ("08540-1234", "08540-1234"),
        ("8540-1234", "08540-1234"),
        ("085401234", "08540-1234"),
        ("85401234", "08540-1234"),
        ("08540-", "08540"),
        (" '08540 ", "08540"),
        ('="08540"', "08540"),
        ("K1A 0B1", ""),
        ("12", ""),
        ("1234567890", ""),
        ("", ""),
    ],
)
def test_zip_codes(cell: str, read: str) -> None:
    assert zip_code(cell) == read


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("PA", "PA"),
        ("pa", "PA"),
        ("N.J.", "NJ"),
        ("New Jersey", "NJ"),
        ("NEW  YORK", "NY"),
        ("Penn.", "PA"),
        ("Calif.", "CA"),
        ("W. Va.", "WV"),
        ("Washington, D.C.", "DC"),
        ("Washington State", "WA"),
        ("Puerto Rico", "PR"),
        ("US-OH", "OH"),
        ("Iowa", "IA"),
        ("Ontario", ""),
        ("", ""),
    ],
)
def test_states(cell: str, read: str) -> None:
    assert state_code(cell) == read


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Ana Doe", "Ana", "Doe"),
        ("Doe, Ana", "Ana", "Doe"),
        ("Doe, Ana Maria", "Ana", "Doe"),
        ("Ana", "Ana", ""),
        ("Ana de la Cruz", "Ana", "de la Cruz"),
        ("Dr. Ana Doe", "Ana", "Doe"),
        ("Ana Doe, Jr.", "Ana", "Doe, Jr."),
        ("Miss", "Miss", ""),
        ("", "", ""),
    ],
)
def test_full_names(name: str, first: str, last: str) -> None:
    assert split_name(name) == (first, last)


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("  Ana \u00a0 Maria\n", "Ana Maria"),
        ("\ufeffAna\u200b", "Ana"),
        ("An\x00a\x07", "Ana"),
        ("NULL", ""),
        ("Null", "Null"),
        ("#N/A", ""),
        ("-", ""),
        ("Zoë", "Zoë"),
    ],
)
def test_cleaning(cell: str, read: str) -> None:
    assert clean(cell) == read


def test_line_types_and_carriers() -> None:
    assert [line_type(cell) for cell in ("Mobile", "L", "nonFixedVoip", "FIXED_LINE", "Home", "")] == [
        "mobile",
        "landline",
        "voip",
        "landline",
        None,
        None,
    ]
    brands = (
        "T-Mobile USA, Inc.",
        "Verizon Wireless",
        "AT&T",
        "U.S. Cellular",
        "Google Voice",
        "C Spire",
        "Acme",
    )
    assert [carrier(brand) for brand in brands] == [
        "tmobile",
        "verizon",
        "att",
        "uscellular",
        "voip",
        "regional",
        None,
    ]
