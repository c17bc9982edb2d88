"""Names, addresses, ZIPs, passwords and codes as people write them."""

import pytest

from gateway.core.bank.people import (
    SHORTEST_PASSWORD,
    check_new_password,
    clean_email,
    clean_name,
    clean_zip,
    is_join_code,
    join_code,
    normal_password,
)
from gateway.core.rules.errors import BadInput

LONG = "x" * 300


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ann@example.org", "ann@example.org"),
        (" Ann.O'Hara+bank@Example.ORG ", "ann.o'hara+bank@example.org"),
        ("ＡＮＮ@example.org", "ann@example.org"),
        ("jörg@xn--mller-kva.example", "jörg@xn--mller-kva.example"),
    ],
)
def test_an_address_is_found_however_it_is_written(text: str, expected: str) -> None:
    assert clean_email(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "ann@",
        "@elsewhere.example",
        "ann@example",
        "a nn@example.org",
        "ann@example.org\nBcc: all@example.org",
        "Ann <ann@example.org>",
        "ann@exa_mple.org",
        "ann@example..org",
        f"{LONG}@example.org",
        f"ann@{LONG}.org",
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        clean_email(text)
    assert not text or text not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "expected"), [("  Ann   Li ", "Ann Li"), ("Ann\tLi", "Ann Li"), ("José", "José")]
)
def test_a_name_is_on_one_line(text: str, expected: str) -> None:
    assert clean_name(text) == expected


@pytest.mark.parametrize("text", ["", "   ", "Ann\x07", LONG])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="name"):
        clean_name(text)


@pytest.mark.parametrize(("text", "expected"), [("15201", "15201"), (" 15201-1234 ", "15201")])
def test_a_zip_is_five_digits(text: str, expected: str) -> None:
    assert clean_zip(text) == expected


@pytest.mark.parametrize("text", ["", "1520", "152011", "O5201", "１５２０１"])
def test_what_is_no_zip_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="zip"):
        clean_zip(text)


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("123456789", "fewer than 10"),
        (LONG, "more than 200"),
        ("ﷺ" * 20, "more than 200"),  # one character that becomes eighteen
        ("aaaaaaaaaaaa", "guess"),
        ("Ann.Li@Example.org", "guess"),
        ("annabella.li", "guess"),
        ("Annabella Li", "guess"),
    ],
)
def test_a_password_that_others_would_find_is_refused(password: str, said: str) -> None:
    email = "annabella.li@example.org" if password.startswith("annabella") else "ann.li@example.org"
    with pytest.raises(BadInput, match=said) as refused:
        check_new_password(password, email=email, name="Annabella Li")
    assert password not in str(refused.value)


@pytest.mark.parametrize("password", ["correct horse", "x" * (SHORTEST_PASSWORD - 1) + "y", "пароль пароль"])
def test_length_is_enough(password: str) -> None:
    check_new_password(password, email="ann@example.org", name="Ann")


def test_a_password_is_the_same_from_every_keyboard() -> None:
    assert normal_password("e\u0301clair") == normal_password("\u00e9clair")


@pytest.mark.parametrize(("number", "code"), [(0, "000000"), (7, "000007"), (123_456_789, "456789")])
def test_a_code_has_six_digits(number: int, code: str) -> None:
    assert join_code(number) == code
    assert is_join_code(code)


@pytest.mark.parametrize("word", ["", "12345", "1234567", "12345a", "１２３４５６", "0" * 32])
def test_another_word_is_no_code(word: str) -> None:
    assert not is_join_code(word)
