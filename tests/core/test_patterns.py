"""What a pattern of the API lets in, as Python and as a browser read it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gateway.core.text.patterns import URL, whole

A_URL = re.compile(whole(URL))


@pytest.mark.parametrize(
    "url", ["http://a", "https://a.example/b?c=d#e", "https://a.example?x", "https://é.example/ü"]
)
def test_addresses_of_the_web(url: str) -> None:
    assert A_URL.search(url)


@given(some.from_regex(A_URL), some.sampled_from("\n\r\t \x00\x01\x1f\x7f\u2028"), some.integers(0))
def test_no_blank_and_no_control_character_is_in_one(url: str, odd: str, place: int) -> None:
    at = place % (len(url) + 1)
    assert A_URL.search(url)
    assert A_URL.search(url[:at] + odd + url[at:]) is None


def test_nothing_stands_after_the_whole() -> None:
    assert re.search(whole("[0-9]|ab"), "ab")
    for text in ("ab\n", "1\n", "1b", "\nab"):
        assert re.search(whole("[0-9]|ab"), text) is None
