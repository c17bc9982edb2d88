"""What a script costs and how it travels, over the people who would get it (F006 to F008, C3)."""

from collections import Counter
from typing import Final

import msgspec

from gateway.core.text.scripts import position
from gateway.core.text.segments import cost_usd, culprits, legacy_segments, measure, normalise

MOST_CULPRITS: Final = 10
SAMPLED: Final = 200
"""People looked at when not all are."""


class Culprit(msgspec.Struct, frozen=True, kw_only=True):
    """A character that makes texts travel as UCS-2, with 70 to a segment instead of 160.

    `position`: in the first text that has it, from 0. `line` and `column`: where the script itself has it; None: it
    comes from a person's value. `people`: how many of those looked at it makes dearer.
    """

    character: str
    position: int
    people: int
    line: int | None = None
    column: int | None = None


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Segments over the people looked at; `typical` is the median, `legacy` the median by the documented 160/67 rule."""

    min: int
    typical: int
    max: int
    legacy: int


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `cost_cents`: for all `people`, by the price table, from those `looked_at`."""

    people: int
    looked_at: int
    segments: Spread
    ucs2: int
    culprits: list[Culprit]
    cost_cents: float


class Tally:
    """Rendered texts of one script, counted as they come: memory does not grow with the people."""

    def __init__(self, source: str, *, mms: bool = False) -> None:
        self._source = normalise(source)
        self._mms = mms
        self._segments: Counter[int] = Counter()
        self._legacy: Counter[int] = Counter()
        self._characters: Counter[str] = Counter()
        self._first: dict[str, int] = {}
        self._ucs2 = 0
        self._usd = 0.0

    def add(self, text: str, carrier: str | None) -> None:
        """One person's text, and the person's carrier as the price table names it."""
        text = normalise(text)
        segments = 1 if self._mms else measure(text).segments
        self._segments[segments] += 1
        self._legacy[legacy_segments(text)] += 1
        self._usd += cost_usd(segments, carrier, "full", mms=self._mms)
        guilty = culprits(text)
        self._ucs2 += bool(guilty)
        for character in {each for _, each in guilty}:
            self._characters[character] += 1
        for index, character in guilty:
            if len(self._first) < MOST_CULPRITS:
                self._first.setdefault(character, index)

    def told(self, people: int) -> Checked:
        """What they come to for so many people."""
        looked_at = self._segments.total()
        return Checked(
            people=people,
            looked_at=looked_at,
            segments=Spread(
                min=min(self._segments, default=0),
                typical=_median(self._segments),
                max=max(self._segments, default=0),
                legacy=_median(self._legacy),
            ),
            ucs2=self._ucs2,
            culprits=[self._culprit(each, index) for each, index in self._first.items()],
            cost_cents=round(100 * self._usd * people / looked_at, 2) if looked_at else 0.0,
        )

    def _culprit(self, character: str, index: int) -> Culprit:
        place = self._source.find(character)
        line, column = (None, None) if place < 0 else position(self._source, place)
        return Culprit(
            character=character, position=index, people=self._characters[character], line=line, column=column
        )


def _median(counted: Counter[int]) -> int:
    """The lower of two in the middle; 0 of none."""
    left = (counted.total() + 1) // 2
    for value in sorted(counted):
        left -= counted[value]
        if left <= 0:
            return value
    return 0
