"""What an inbound text asks for: stop, start, help, or just a reply (C6, features J).

The rules, in order:

1. The reply is folded: compatibility forms and accents resolved, lower case, apostrophes dropped, every other
   sign, emoji and blank a single blank. "S.T.O.P." and "s t o p" become "stop".
2. The whole folded reply is a START or HELP keyword -> START, HELP. Nothing is taken off: only the person's
   own plain word lifts a suppression (C5). YES is a reply: at Twilio it re-opens the pair, with us it doesn't.
3. The whole reply is a STOP keyword, or several, apart from courtesy words -> STOP. "Stop please" is one
   (47 CFR 64.1200(a)(10): any reasonable means), although Twilio ignores it.
4. Anything longer is a REPLY. If it still sounds like an opt-out it carries a suggestion, and a volunteer
   confirms it with one key. An opt-out is for good (C5), so doubt is decided by a person.

Words and phrases, English and Spanish, are data: data/opt-out-phrases.json.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib.resources import files

import msgspec
import regex


class Intent(StrEnum):
    """What the person asks for."""

    STOP = "stop"
    START = "start"
    HELP = "help"
    REPLY = "reply"


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One inbound text, understood. `keyword` is the canonical one, for the audit trail.

    `suggest_opt_out` asks a volunteer to confirm; `wrong_number` implies it (F124: only an opt-out stops texts).
    """

    intent: Intent
    keyword: str | None = None
    suggest_opt_out: bool = False
    wrong_number: bool = False


class _Phrases(msgspec.Struct, frozen=True):
    about: list[str]
    keywords: dict[str, str]
    courtesy: list[str]
    start: dict[str, str]
    help: dict[str, str]
    clauses: list[str]
    signs: list[str]
    phrases: dict[str, list[str]]
    wrong_number: dict[str, list[str]]


class _Patterns(dict[str, regex.Pattern[str]]):
    """Word -> what is looked for in a text that has it; compiled when one first does, for most words never come."""

    def __init__(self, by_word: Mapping[str, Sequence[str]]) -> None:
        self.by_word = by_word

    def __missing__(self, word: str) -> regex.Pattern[str]:
        pattern = self[word] = regex.compile("|".join(f"(?:{one})" for one in self.by_word[word]))
        return pattern


_DATA = msgspec.json.decode(
    (files("gateway.core") / "data" / "opt-out-phrases.json").read_bytes(), type=_Phrases
)

STOP_KEYWORDS: Mapping[str, str] = _DATA.keywords
"""Folded keyword -> canonical keyword; what a script may tell people to reply (C10)."""

_CERTAIN = {
    **{word: Reading(Intent.STOP, keyword) for word, keyword in _DATA.keywords.items()},
    **{word: Reading(Intent.START, keyword) for word, keyword in _DATA.start.items()},
    **{word: Reading(Intent.HELP, keyword) for word, keyword in _DATA.help.items()},
}
_REPLY = Reading(Intent.REPLY)
_SUGGESTED = Reading(Intent.REPLY, suggest_opt_out=True)
_WRONG_NUMBER = Reading(Intent.REPLY, suggest_opt_out=True, wrong_number=True)

_PHRASES = _Patterns(_DATA.phrases)
_WRONG = _Patterns(_DATA.wrong_number)
_CLAUSES = frozenset(_DATA.clauses)
# One telling word of each clause and keyword: a reply without any of these holds none of them.
_CLAUSE_TRIGGERS = frozenset(max(entry.split(), key=len) for entry in (*_DATA.clauses, *_DATA.keywords))
_TRIGGERS = _CLAUSE_TRIGGERS.union(_DATA.phrases, _DATA.wrong_number)
_LONGEST_KEYWORD_WORDS = max(len(keyword.split()) for keyword in STOP_KEYWORDS)
_LONGEST_COURTEOUS_REPLY_WORDS = 12
_APOSTROPHES = frozenset("'‘’ʼ′`´＇")


class _Folding(dict[int, str]):
    """str.translate's table, filled in as characters are met: rule 1 of this module, one character at a time."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _folded_character(chr(code))
        return folded


def _folded_character(character: str) -> str:
    category = unicodedata.category(character)
    if character in _APOSTROPHES or category[0] == "M" or category == "Cf":
        return ""
    # A symbol goes before its compatibility form is resolved: else "STOP™" would read "stoptm".
    if category[0] == "S":
        return " "
    plain = unicodedata.normalize("NFKD", character).casefold()
    letters = (one for one in plain if unicodedata.category(one)[0] != "M")
    return "".join(one if one.isalnum() else " " for one in letters)


_FOLDING = _Folding()
_CLAUSE_END = regex.compile(r"[.!?;,:\n\r]+|\s[-–—]+\s|[–—]|\p{So}+")
_COURTESY = regex.compile(r"\b(?:" + "|".join(sorted(_DATA.courtesy, key=len, reverse=True)) + r")\b")
# "don't stop" and "can't stop" ask for nothing; "can't unsubscribe" does.
_NEGATED = regex.compile(
    r"\b(?:dont|do not|never|wont|will not) (?:ever )?(?:stop|quit|end|cancel|remove|unsubscribe)\b"
    r"|\b(?:cant|cannot|can not|couldnt|didnt|did not|not|non|doesnt|wouldnt) stop\b"
)
_SHOUTED = regex.compile(r"(?<!\p{L})(?:STOP|STOPALL|UNSUBSCRIBE|OPTOUT)(?!\p{L})(?!\s+(?:sign|SIGN|light))")
# A phone shows a reaction to our text as a text that quotes it, opt-out wording and all.
_REACTION = regex.compile(
    r"""^\W*(?:liked|loved|disliked|laughed\ at|emphasi[sz]ed|questioned|reacted\ .{1,12}\ to
        |removed\ (?:a|an|the)\ .{1,24}\ from|le\ (?:gustó|encantó|dio\ risa)|(?:a\ .{1,40}\ )?le\ (?:gustó|encantó)
        |(?:te\ )?(?:gustó|encantó)|exclamó|reaccionó\ .{1,20}\ a|\p{So}\p{M}*\ to)\s*[“"«]""",
    regex.IGNORECASE | regex.VERBOSE | regex.DOTALL,
)


def read(text: str) -> Reading:
    """What an inbound text asks for (C6; the four rules of this module). Never raises."""
    words = text.translate(_FOLDING).split()
    certain = _CERTAIN.get(" ".join(words))
    if certain is not None:
        return certain
    if words and _TRIGGERS.isdisjoint(words) and (len(words) < 4 or len(words[0]) + len(words[1]) > 2):
        return _REPLY
    return _read_closely(text, words)


def _read_closely(text: str, words: list[str]) -> Reading:
    if not words:
        return _SUGGESTED if any(sign in text for sign in _DATA.signs) else _REPLY
    if len(words) > 3 and all(len(word) == 1 for word in words):
        return _CERTAIN.get("".join(words), _REPLY)
    keyword_possible = not _CLAUSE_TRIGGERS.isdisjoint(words)
    if keyword_possible and len(words) <= _LONGEST_COURTEOUS_REPLY_WORDS:
        keyword = _stop_keyword(" ".join(words))
        if keyword is not None:
            return Reading(Intent.STOP, keyword)
    suggestion = _suggestion(text, words, keyword_possible)
    return _REPLY if suggestion is not _REPLY and _REACTION.match(text) else suggestion


def _suggestion(text: str, words: list[str], keyword_possible: bool) -> Reading:
    folded = " ".join(words)
    if _matches(_WRONG, words, folded):
        return _WRONG_NUMBER
    asked = _NEGATED.sub(" ", folded) if keyword_possible else folded
    if _matches(_PHRASES, words, asked):
        return _SUGGESTED
    if not keyword_possible:
        return _REPLY
    if asked == folded and not text.isupper() and _SHOUTED.search(text):
        return _SUGGESTED
    return _SUGGESTED if any(map(_is_stop_clause, _CLAUSE_END.split(text))) else _REPLY


def _stop_keyword(folded: str) -> str | None:
    """The first keyword, if nothing but keywords and courtesy is said."""
    rest = _COURTESY.sub(" ", folded).split()
    keywords: list[str] = []
    while rest:
        for size in range(min(_LONGEST_KEYWORD_WORDS, len(rest)), 0, -1):
            keyword = STOP_KEYWORDS.get(" ".join(rest[:size]))
            if keyword is not None:
                keywords.append(keyword)
                rest = rest[size:]
                break
        else:
            return None
    return keywords[0] if keywords else None


def _is_stop_clause(clause: str) -> bool:
    folded = " ".join(clause.translate(_FOLDING).split())
    return (
        folded in _CLAUSES
        or " ".join(_COURTESY.sub(" ", folded).split()) in _CLAUSES
        or _stop_keyword(folded) is not None
    )


def _matches(patterns: _Patterns, words: list[str], folded: str) -> bool:
    return any(
        patterns[word].search(folded) is not None for word in dict.fromkeys(words) if word in patterns.by_word
    )
