"""A contact list as the model reads it: whom the list marks as opted out, and what people are called.

The gateway's reader is the one that is judged, so this one shares nothing with it. It is the more careful of the two:
where a row can be read in two ways, it says nothing, and nobody is judged by it.
"""

import csv
import re
import unicodedata
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulator.model.arrays import distinct, is_among
from simulator.model.population import FIRST_NAMES, LAST_NAMES, Population
from simulator.model.wording import Names

UNKNOWN = -1  # a name that the model can't say for certain

_HEADER_WITHIN = 10  # rows: exports have a title above their header
_LONGEST_NAME = 60
_FIRST = frozenset({"first", "firstname", "fname", "givenname", "forename"})
_LAST = frozenset({"last", "lastname", "lname", "surname", "familyname"})
_WHOLE = frozenset({"name", "fullname", "displayname"})
_OPT_OUT = frozenset(
    """optout optedout optoutat optedoutat smsoptout smsoptedout textoptout textoptedout isoptedout donottext
    donotsms donotcontact unsubscribed""".split()  # noqa: SIM905
)
_OPT_IN = frozenset({"optin", "smsoptin", "textoptin", "mobileoptin"})
# Any other header with one of these may speak of consent too: a cell under it, and the row says nothing certain.
_OF_CONSENT = re.compile(
    r"opt|sub|stop|dnc|not|consent|permission|status|tag|flag|label|baja|list|revok", re.IGNORECASE
)
_YES = frozenset({"1", "y", "yes", "x", "t", "true", "opted out", "opt out", "opt-out", "unsubscribed"})
_NO = frozenset({"0", "n", "no", "f", "false"})
_LEFT = frozenset({"opted out", "opt out", "opt-out", "unsubscribed"})
_STAYED = frozenset({"opted in", "opt in", "opt-in", "subscribed"})
_NO_NAMES = frozenset({"nan", "null", "none", "n/a", "na"})
_PHONE = re.compile(r"(?<![a-z])(?:cell|mobile|phone|telephone|tel)", re.IGNORECASE)
_NOT_A_PHONE = re.compile(r"type|ext|carrier|status|date|landline|home|work|opt|text|flag", re.IGNORECASE)
_ABOUT = re.compile(r"landline|line.?type|phone.?type|\bext", re.IGNORECASE)
_TEXTABLE = frozenset({"", "mobile", "cell", "cellular", "wireless"})
_NUMBER = re.compile(r"\+?1?[\s.\-(]*([2-9]\d{2})[\s.\-)]*([2-9]\d{2})[\s.\-]*(\d{4})(?:\.0)?")
_PLAIN_NAME = re.compile(r"[^\W\d_]+(?:[ '’\-][^\W\d_]+)*")


class Roster:
    """People by phone: first and last names as codes into lists of words, and the list's own opt-outs."""

    def __init__(
        self,
        phones: NDArray[np.int64],
        first: NDArray[np.int32],
        last: NDArray[np.int32],
        words: tuple[Sequence[str], Sequence[str]],
        marked: NDArray[np.int64],
    ) -> None:
        order = np.argsort(phones, kind="stable")
        self._phones, self._first, self._last = phones[order], first[order], last[order]
        self.words = words
        self.marked = marked
        """Phones that a row of the list marks as opted out, ascending."""

    @classmethod
    def of_population(cls, population: Population) -> "Roster":
        """Invented people, who are called what the list says, and of whom nobody has opted out."""
        first, last = population.name_codes()
        nobody = np.empty(0, np.int64)
        return cls(population.phones, first, last, ((*FIRST_NAMES, ""), LAST_NAMES), nobody)

    def codes(self, phones: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """First and last names of some phones, as codes into `words`; UNKNOWN where the model can't say."""
        unknown = np.full(len(phones), UNKNOWN, np.int32)
        if not len(self._phones):
            return unknown, unknown
        place = np.minimum(np.searchsorted(self._phones, phones), len(self._phones) - 1)
        is_here = self._phones[place] == phones
        return (
            np.where(is_here, self._first[place], UNKNOWN).astype(np.int32),
            np.where(is_here, self._last[place], UNKNOWN).astype(np.int32),
        )

    def has(self, phones: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Who is on the list for certain, in rows that mark nobody as opted out."""
        return is_among(phones, self._phones)

    def names(self, first: int, last: int) -> Names:
        """The names behind two codes."""
        return Names(
            *(words[code] if code >= 0 else "" for words, code in zip(self.words, (first, last), strict=True))
        )

    def first_name(self, phone: int) -> str:
        """What a volunteer calls a person; "" when the list does not say."""
        [first], [last] = self.codes(np.array([phone], np.int64))
        return self.names(int(first), int(last)).first


class _Columns:
    """Where a list has what; -1: nowhere."""

    def __init__(self, header: Sequence[str]) -> None:
        keys = [_key(name) for name in header]
        self.names = [name.strip().casefold() for name in header]
        self.width = len(header)
        self.phones = [
            place
            for place, name in enumerate(header)
            if _PHONE.search(name) and not _NOT_A_PHONE.search(name)
        ]
        self.other_phones = [
            place for place, name in enumerate(header) if _PHONE.search(name) and place not in self.phones
        ]
        self.about = [place for place, name in enumerate(header) if _ABOUT.search(name)]
        self.first = _place(keys, _FIRST)
        self.last = _place(keys, _LAST)
        self.has_whole_name = not _WHOLE.isdisjoint(keys)
        self.opt_outs = [place for place, key in enumerate(keys) if key in _OPT_OUT]
        self.opt_ins = [place for place, key in enumerate(keys) if key in _OPT_IN]
        known = {*self.opt_outs, *self.opt_ins}
        self.consents = [
            place for place, name in enumerate(header) if _OF_CONSENT.search(name) and place not in known
        ]

    def read_as(self, answers: Mapping[str, str]) -> None:
        """As the list's owner says: opt-out, opt-in or nothing, by header."""
        said = {header.strip().casefold(): says for header, says in answers.items()}
        for place, name in enumerate(self.names):
            if name in said:
                for places in (self.opt_outs, self.opt_ins, self.consents):
                    places[:] = [each for each in places if each != place]
                {"opt-out": self.opt_outs, "opt-in": self.opt_ins}.get(said[name], []).append(place)


def read_roster(path: Path, answers: Mapping[str, str] | None = None) -> Roster | None:
    """A CSV as the model reads it; None when it finds no column of phones in it.

    `answers` are its owner's about columns that look like consent: opt-out, opt-in or nothing, by header.
    """
    text = _decoded(path.read_bytes())
    found = _header(text)
    if found is None:
        return None
    delimiter, skipped, columns = found
    columns.read_as(answers or {})
    return _read(_rows(text, delimiter, skipped), columns)


def _read(rows: Iterator[Sequence[str]], columns: _Columns) -> Roster:
    phones, first, last, marked = array("q"), array("i"), array("i"), array("q")
    words: tuple[dict[str, int], dict[str, int]] = (
        {"": 0},
        {"": 0},
    )  # code 0: no name, and none that a text asks for
    for row in rows:
        phone = _phone(row, columns)
        if not phone:
            continue
        wishes = _wishes(row, columns)
        if wishes == {True}:
            marked.append(phone)
        if wishes:
            continue
        phones.append(phone)
        first.append(_code(row, columns.first, words[0], columns.has_whole_name))
        last.append(_code(row, columns.last, words[1], columns.has_whole_name))
    return Roster(
        *_first_rows(np.array(phones, np.int64), np.array(first, np.int32), np.array(last, np.int32)),
        (list(words[0]), list(words[1])),
        distinct(np.array(marked, np.int64)),
    )


def _wishes(row: Sequence[str], columns: _Columns) -> set[bool | None]:
    """What the row's columns say: True that the person has left, None what nobody can be sure of; nothing: nothing."""
    said: set[bool | None] = set()
    for places, yes, no in (
        (columns.opt_outs, _YES, _NO),
        (columns.opt_ins, _NO | _LEFT, _YES - _LEFT | _STAYED),
    ):
        for place in places:
            cell = row[place].strip().casefold()
            if cell and cell not in no:
                said.add(True if cell in yes else None)
    if any(row[place].strip() for place in columns.consents):
        said.add(None)
    return said


def _first_rows(
    phones: NDArray[np.int64], first: NDArray[np.int32], last: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Of a phone that comes again only its first row; its names, if the rows differ, are nobody's to say."""
    people, place, whose = np.unique(phones, return_index=True, return_inverse=True)
    differs = np.zeros(len(people), np.bool_)
    differs[whose[(first != first[place][whose]) | (last != last[place][whose])]] = True
    return (
        people,
        np.where(differs, UNKNOWN, first[place]).astype(np.int32),
        np.where(differs, UNKNOWN, last[place]).astype(np.int32),
    )


def _phone(row: Sequence[str], columns: _Columns) -> int:
    """The one number of a row, as 12155550123; 0 when there is none, more than one, or a row of another width."""
    if len(row) != columns.width:
        return 0
    if any(row[place].strip() for place in columns.other_phones):
        return 0  # which of them is texted is the gateway's business
    if any(row[place].strip().casefold() not in _TEXTABLE for place in columns.about):
        return 0
    found = {number for place in columns.phones if (number := _number(row[place]))}
    strange = any(row[place].strip() and not _number(row[place]) for place in columns.phones)
    return found.pop() if len(found) == 1 and not strange else 0


def _number(cell: str) -> int:
    found = _NUMBER.fullmatch(cell.strip())
    return int("1" + "".join(found.groups())) if found else 0


def _code(row: Sequence[str], place: int, words: dict[str, int], has_whole_name: bool) -> int:
    """A name's code; only what looks like a name, and nothing where it may stand in another column, is certain."""
    cell = " ".join(row[place].split()) if place >= 0 else ""
    is_certain = bool(_PLAIN_NAME.fullmatch(cell)) if cell else not has_whole_name
    if not is_certain or len(cell) > _LONGEST_NAME or cell.casefold() in _NO_NAMES:
        return words.setdefault("", len(words)) if not cell and is_certain else UNKNOWN
    return words.setdefault(cell, len(words))


def _header(text: str) -> tuple[str, int, _Columns] | None:
    """Delimiter, rows up to and with the header, and its columns: the most columns that say something."""
    best: tuple[int, str, int, _Columns] | None = None
    for delimiter in ",;\t|":
        rows = _until_error(csv.reader(text[:200_000].splitlines(), delimiter=delimiter))
        for place, row in enumerate(islice(rows, _HEADER_WITHIN)):
            columns = _Columns(row)
            told = bool(columns.phones) * (
                len(columns.phones) + len(columns.opt_outs) + len(columns.opt_ins) + (columns.first >= 0)
            )
            if told and (best is None or told > best[0]):
                best = told, delimiter, place + 1, columns
    return None if best is None else best[1:]


def _rows(text: str, delimiter: str, skipped: int) -> Iterator[Sequence[str]]:
    """Rows of one line each; one that goes over several has perhaps swallowed others, so it says nothing."""
    lines = text.splitlines()
    reader = csv.reader(lines, delimiter=delimiter)
    before = 0
    for place, row in enumerate(_until_error(reader)):
        if place >= skipped and reader.line_num == before + 1:
            yield row
        before = reader.line_num


def _until_error(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from rows
    except csv.Error:
        return


def _decoded(content: bytes) -> str:
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if content.startswith(mark):
            return content.decode(encoding, errors="replace")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _key(header: str) -> str:
    plain = unicodedata.normalize("NFKD", header).casefold()
    return "".join(re.findall("[a-z0-9]+", plain))


def _place(keys: Sequence[str], wanted: frozenset[str]) -> int:
    return next((place for place, key in enumerate(keys) if key in wanted), -1)
