"""Spans of time as people write them."""

import pytest

from gateway.core.bank.spans import span_s
from gateway.core.rules.errors import BadInput


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h", 3_600.0), ("30d", 2_592_000.0), ("8w", 4_838_400.0), ("99999h", 359_996_400.0)],
)
def test_a_span_in_seconds(text: str, seconds: float):
    assert span_s(text, "--expires") == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "d", "0d", "-1d", "1.5d", "1D", "30 d", "100000h", "1m", "\u0663d"]
)
def test_what_is_no_span_says_where_and_what_to_write(text: str):
    with pytest.raises(BadInput, match="--expires; write it as 12h, 30d or 8w"):
        span_s(text, "--expires")
