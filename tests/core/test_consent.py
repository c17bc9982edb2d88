"""What an inbound text asks for: a table of real-looking replies, and laws (C6, features J)."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.text import consent
from gateway.core.text.consent import STOP_KEYWORDS, Intent, Reading, read

REPLIES = json.loads((Path(__file__).parent / "data" / "replies.json").read_text(encoding="utf-8"))
NOISE = [
    ".",
    "!",
    "?",
    ",",
    "…",
    " ",
    "\n",
    "\t",
    "\u00a0",
    "\u200b",
    "\ufe0f",
    '"',
    "“",
    "”",
    "¡",
    "-",
    "👍",
    "🙏🏽",
    "😡",
    "❤️",
    "™",
]
STOPS = [row["text"] for row in REPLIES if row["intent"] == "stop"]
STOP_WORDS = st.sampled_from([*STOP_KEYWORDS, *(word.upper() for word in STOP_KEYWORDS)])
noise = st.lists(st.sampled_from(NOISE), max_size=6).map("".join)


@pytest.mark.parametrize("row", REPLIES, ids=lambda row: repr(row["text"]))
def test_replies(row: dict[str, object]) -> None:
    assert read(str(row["text"])) == Reading(
        intent=Intent(str(row["intent"])),
        keyword=row["keyword"],
        suggest_opt_out=row["suggest_opt_out"],
        wrong_number=row["wrong_number"],
    )


def test_table_covers_every_intent_and_english_keyword() -> None:
    assert len(REPLIES) >= 80
    assert {row["intent"] for row in REPLIES} == set(Intent)
    assert {row["keyword"] for row in REPLIES} >= set(STOP_KEYWORDS.values())


@pytest.mark.parametrize(
    "word",
    [
        "STOP",
        "STOPALL",
        "UNSUBSCRIBE",
        "REMOVE",
        "CANCEL",
        "END",
        "QUIT",
        "REVOKE",
        "OPTOUT",
        "opt out",
        "opt-out",
    ],
)
def test_every_keyword_of_c6_opts_out(word: str) -> None:
    """F120, F128."""
    assert read(word).intent is Intent.STOP


@settings(max_examples=100)
@given(text=st.sampled_from(STOPS), before=noise, after=noise)
def test_signs_around_a_stop_change_nothing(text: str, before: str, after: str) -> None:
    assert read(before + text + after) == read(text)


@settings(max_examples=100)
@given(words=st.lists(STOP_WORDS, min_size=1, max_size=3))
def test_case_changes_nothing(words: list[str]) -> None:
    text = " ".join(words)
    assert read(text.upper()) == read(text.lower()) == read(text.title())
    assert read(text).intent is Intent.STOP


@settings(max_examples=100)
@given(
    keyword=STOP_WORDS,
    before=st.sampled_from(["", "please ", "por favor ", "ok ", "hi, "]),
    after=st.sampled_from(["", " please", " now!", ", thank you", " gracias", " ya"]),
)
def test_courtesy_around_a_stop_is_taken_off(keyword: str, before: str, after: str) -> None:
    assert read(before + keyword + after).intent is Intent.STOP


@settings(max_examples=100)
@given(keyword=STOP_WORDS, word=st.sampled_from(["potholes", "voting", "tuesday", "water", "maybe"]))
def test_anything_longer_is_never_an_opt_out_by_itself(keyword: str, word: str) -> None:
    for text in (f"{keyword} {word}", f"{word} {keyword}"):
        assert read(text).intent is Intent.REPLY


@settings(max_examples=100)
@given(
    word=st.sampled_from(["START", "UNSTOP", "HELP", "INFO", "AYUDA"]),
    courtesy=st.sampled_from(["please", "now", "ok"]),
)
def test_only_the_plain_word_starts_again_or_asks_for_help(word: str, courtesy: str) -> None:
    assert read(word).intent in {Intent.START, Intent.HELP}
    assert read(f"{word} {courtesy}") == Reading(Intent.REPLY)


@settings(max_examples=100)
@given(text=st.text(max_size=200))
def test_any_text_is_read_and_only_certain_readings_carry_a_keyword(text: str) -> None:
    reading = read(text)
    assert (reading.keyword is None) == (reading.intent is Intent.REPLY)
    assert reading.suggest_opt_out or not reading.wrong_number
    assert reading.intent is Intent.REPLY or not reading.suggest_opt_out


@pytest.mark.parametrize("patterns", [consent._PHRASES, consent._WRONG], ids=["opt-outs", "wrong numbers"])
def test_every_phrase_can_be_looked_for(patterns: consent._Patterns):
    """They are compiled when a text first has their word."""
    assert len(patterns.by_word) > 10
    for word in patterns.by_word:
        assert patterns[word].search("xyzzy") is None
