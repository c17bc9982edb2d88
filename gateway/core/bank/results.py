"""What an action came to: every figure of it, its exact definition, and what stands behind it (F151 to F170).

Figures of messages are sums over the counts, so each message is in exactly one: it went out (initials, follow-ups, other
texts), is under way, or stands in one of the three failure boxes (F065). None of them is worked out anywhere else.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec

from gateway.core.bank.rates import Rate, rate
from gateway.core.rules.errors import CATALOGUE, Actor, Billing, Box, Kind, Retry, consequence
from gateway.core.rules.lifecycle import State


class FigureName(StrEnum):
    """The figures, in the order in which people read them."""

    SENT_TO = "sent_to"
    SEEN = "seen"
    STARTED = "started"
    COMPLETED = "completed"
    PERFORMS = "performs"
    REPORTS = "reports"
    REPORTS_FILLED = "reports_filled"
    INITIALS = "initials"
    RESPONSES = "responses"
    FOLLOW_UPS = "follow_ups"
    OTHER_TEXTS = "other_texts"
    OPT_OUTS = "opt_outs"
    REMAINING = "remaining"
    UNDER_WAY = "under_way"
    NEEDS_ATTENTION = "needs_attention"
    TWILIO_ERRORS = "twilio_errors"
    CARRIER_FILTERING = "carrier_filtering"
    SAFEGUARDS = "safeguards"
    CLICKS = "clicks"


class Lists(StrEnum):
    """What stands behind a figure, row by row."""

    PEOPLE = "people"
    MESSAGES = "messages"
    REPLIES = "replies"
    REPORTS = "reports"
    OPT_OUTS = "opt_outs"
    CONTACTS = "contacts"
    CLICKS = "clicks"


class Definition(NamedTuple):
    """A figure: its name to people, its row in the map of features, what it says exactly, and what it lists."""

    title: str
    row: str
    means: str
    lists: Lists


DEFINITIONS: Final[Mapping[FigureName, Definition]] = MappingProxyType(
    {
        FigureName.SENT_TO: Definition(
            "Sent to",
            "F151",
            "People of the campaign for whom the action is: who was invited, came by its link or is of its audience; of a"
            " public one without an audience everybody with a place in the campaign.",
            Lists.PEOPLE,
        ),
        FigureName.SEEN: Definition("Seen", "F152", "People who opened it.", Lists.PEOPLE),
        FigureName.STARTED: Definition("Started", "F153", "People who began with it.", Lists.PEOPLE),
        FigureName.COMPLETED: Definition("Completed", "F154", "People who completed it.", Lists.PEOPLE),
        FigureName.PERFORMS: Definition(
            "Performs", "F155", "How often it was completed, repeats included.", Lists.PEOPLE
        ),
        FigureName.REPORTS: Definition(
            "Reports",
            "F156",
            "Reports that were filed in it, further ones about the same person included.",
            Lists.REPORTS,
        ),
        FigureName.REPORTS_FILLED: Definition(
            "Available reports filled",
            "F157",
            "People about whom there is a report, each once; available is one for everybody who answered.",
            Lists.REPORTS,
        ),
        FigureName.INITIALS: Definition(
            "Initial messages",
            "F158",
            "First texts that went out: the carrier has them, or the phone (sent, delivered).",
            Lists.MESSAGES,
        ),
        FigureName.RESPONSES: Definition(
            "Responses",
            "F159",
            "Texts that people wrote after a text of the action, opt-outs included.",
            Lists.REPLIES,
        ),
        FigureName.FOLLOW_UPS: Definition(
            "Follow-ups", "F160", "Replies of volunteers that went out (sent, delivered).", Lists.MESSAGES
        ),
        FigureName.OTHER_TEXTS: Definition(
            "Other texts",
            "",
            "What else went out in it, such as confirmations of opt-outs.",
            Lists.MESSAGES,
        ),
        FigureName.OPT_OUTS: Definition(
            "Opt-outs",
            "F161",
            "People who left: by a text of their own, or noted by a volunteer. The list has those that are in force.",
            Lists.OPT_OUTS,
        ),
        FigureName.REMAINING: Definition(
            "Messages remaining", "F162", "Contacts of the action whom nobody has yet.", Lists.CONTACTS
        ),
        FigureName.UNDER_WAY: Definition(
            "Under way",
            "",
            "Texts that are queued, with the provider without an answer, or not known of.",
            Lists.MESSAGES,
        ),
        FigureName.NEEDS_ATTENTION: Definition(
            "Needs attention", "F163", "People last texted in it who wait for an answer (C9).", Lists.CONTACTS
        ),
        FigureName.TWILIO_ERRORS: Definition(
            "Twilio errors",
            "F164",
            "Texts that the provider refused or could not deliver, by any code but the carriers' filters' (F066).",
            Lists.MESSAGES,
        ),
        FigureName.CARRIER_FILTERING: Definition(
            "Carrier filtering",
            "F165",
            "Texts that a carrier's filter stopped: code 30007 and its like (F071).",
            Lists.MESSAGES,
        ),
        FigureName.SAFEGUARDS: Definition(
            "Safeguards",
            "F166",
            "Texts that a rule of ours stopped before anything was sent: never billed.",
            Lists.MESSAGES,
        ),
        FigureName.CLICKS: Definition(
            "Link clicks", "F167", "Presses of tracked links, repeats included.", Lists.CLICKS
        ),
    }
)
UNDER_WAY: Final = "under_way"
"""The state that the counts give to what has not ended: queued, sending or unknown."""
WENT_OUT: Final = (State.SENT.value, State.DELIVERED.value)
_UNDER_WAY_STATES: Final = (State.QUEUED.value, State.SENDING.value, State.UNKNOWN.value)
_FAILED: Final = (State.BLOCKED.value, State.FAILED.value, State.UNDELIVERED.value)
_OF_BOX: Final = {
    Box.PROVIDER: FigureName.TWILIO_ERRORS,
    Box.FILTERING: FigureName.CARRIER_FILTERING,
    Box.SAFEGUARD: FigureName.SAFEGUARDS,
}
_NO_MESSAGES: Final = ("response", "responder", "opted_out", "report")
OPTED_OUT: Final = "opted_out"


class Counted(Protocol):
    """A line of the counts: of what, in which state, with which code, how many, and how many segments."""

    @property
    def name(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def code(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def segments(self) -> int: ...


Line = TypeVar("Line", bound=Counted)


def failure_box(state: str, code: int | None) -> FigureName | None:
    """In which of the three failure boxes a text stands (F065); None: it didn't fail.

    What we blocked is a safeguard's. Else the code says which; without one it is the provider's.
    """
    if state not in _FAILED:
        return None
    if state == State.BLOCKED:
        return FigureName.SAFEGUARDS
    box = Box.PROVIDER if not code else consequence(code).box
    return _OF_BOX[Box.PROVIDER if box is Box.SAFEGUARD else box]


def result_of(what: str, state: str, code: int | None) -> FigureName | None:
    """The one figure in which a text of ours stands; None: what is counted is no text of ours."""
    if what in _NO_MESSAGES:
        return None
    if failed := failure_box(state, code):
        return failed
    if state in WENT_OUT:
        return {"initial": FigureName.INITIALS, "reply": FigureName.FOLLOW_UPS}.get(
            what, FigureName.OTHER_TEXTS
        )
    return FigureName.UNDER_WAY


def tallied(counts: Iterable[Counted]) -> dict[FigureName, int]:
    """The figures that the counts give; those that are counted elsewhere are missing."""
    found = dict.fromkeys(_FROM_COUNTS, 0)
    for line in counts:
        result = result_of(line.what, line.state, line.code)
        if result is not None:
            found[result] += line.number
        elif line.what == "response":
            found[FigureName.RESPONSES] += line.number
        elif line.what == "report":
            found[FigureName.REPORTS] += line.number
        if line.what == OPTED_OUT or (line.what == "response" and line.state == OPTED_OUT):
            found[FigureName.OPT_OUTS] += line.number
    return found


_FROM_COUNTS: Final = (
    FigureName.REPORTS,
    FigureName.INITIALS,
    FigureName.RESPONSES,
    FigureName.FOLLOW_UPS,
    FigureName.OTHER_TEXTS,
    FigureName.OPT_OUTS,
    FigureName.UNDER_WAY,
    FigureName.TWILIO_ERRORS,
    FigureName.CARRIER_FILTERING,
    FigureName.SAFEGUARDS,
)


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """How first texts did. `delivered`: of those whose end the carriers told. `replied` and `opted_out`: of those that
    went out."""

    delivered: Rate
    replied: Rate
    opted_out: Rate


def rates_of(counts: Iterable[Counted]) -> Rates:
    """Of the first texts among the counts, and of the people whom they reached."""
    by_state: dict[str, int] = {}
    people: dict[str, int] = {"responder": 0, OPTED_OUT: 0}
    for line in counts:
        if line.what == "initial":
            by_state[line.state] = by_state.get(line.state, 0) + line.number
        elif line.what == "responder":
            people["responder"] += line.number
        elif line.what == OPTED_OUT or (line.what == "response" and line.state == OPTED_OUT):
            people[OPTED_OUT] += line.number
    delivered = by_state.get(State.DELIVERED, 0)
    told = delivered + sum(by_state.get(state, 0) for state in (State.UNDELIVERED, State.FAILED))
    out = sum(by_state.get(state, 0) for state in WENT_OUT)
    return Rates(
        delivered=rate(delivered, told),
        replied=rate(min(people["responder"], out), out),
        opted_out=rate(min(people[OPTED_OUT], out), out),
    )


def by_name(counts: Iterable[Line]) -> dict[str, list[Line]]:
    """The lines of each script, or of each volunteer."""
    found: dict[str, list[Line]] = {}
    for line in counts:
        found.setdefault(line.name, []).append(line)
    return found


def used(counts: Iterable[Counted]) -> int:
    """How often a script was sent: texts by it that the provider took, whatever became of them (F118)."""
    states = (*WENT_OUT, State.UNDELIVERED, State.FAILED)
    return sum(
        line.number
        for line in counts
        if line.what not in _NO_MESSAGES and line.state in states and not _was_refused(line)
    )


REFUSED_AT_ONCE: Final = range(20_000, 30_000)
"""Codes with which the provider answers a request for a text: it took nothing."""


def _was_refused(line: Counted) -> bool:
    return line.state == State.FAILED and line.code in REFUSED_AT_ONCE


class ErrorLine(msgspec.Struct, frozen=True, kw_only=True):
    """A code, how many texts it stopped, what it means and what to do (F170, N16). `box`: the figure it is part of.

    `may_text_again`: the same text may be sent to the same people; `actor`: who must do something.
    """

    code: int | None
    box: FigureName
    kind: Kind | None
    title: str
    cure: str
    actor: Actor | None
    billing: Billing | None
    number: int
    may_text_again: bool


def errors_of(counts: Iterable[Counted]) -> list[ErrorLine]:
    """What failed by its code, the most frequent first."""
    found: dict[tuple[FigureName, int], int] = {}
    for line in counts:
        box = None if line.what in _NO_MESSAGES else failure_box(line.state, line.code)
        if box is not None:
            found[box, line.code] = found.get((box, line.code), 0) + line.number
    lines = [_error(box, code, number) for (box, code), number in found.items() if number]
    return sorted(lines, key=lambda each: (-each.number, each.code or 0, each.box))


def _error(box: FigureName, code: int, number: int) -> ErrorLine:
    if not code:
        return ErrorLine(
            code=None,
            box=box,
            kind=None,
            title="The provider gave no code",
            cure="Open one of its messages at the provider.",
            actor=None,
            billing=None,
            number=number,
            may_text_again=False,
        )
    means = consequence(code)
    return ErrorLine(
        code=code,
        box=box,
        kind=means.kind,
        title=means.title,
        cure=means.what_to_do,
        actor=means.actor,
        billing=means.billing,
        number=number,
        may_text_again=may_text_again(code),
    )


def may_text_again(code: int) -> bool:
    """Whether people whom this code stopped may get the same text later: now, or when its cause is settled.

    Only where it certainly did not reach the phone: perhaps never beats perhaps twice.
    """
    return consequence(code).retry in (Retry.SAME, Retry.FIX)


class Stored(NamedTuple):
    """Which messages of the books stand in a figure; None: whichever. `but_…`: and none of these."""

    states: Sequence[str]
    kinds: Sequence[str] | None = None
    but_kinds: Sequence[str] = ()
    codes: Sequence[int] | None = None
    but_codes: Sequence[int] = ()

    def has(self, kind: str, state: str, code: int | None) -> bool:
        """Whether this message is one of them."""
        return (
            state in self.states
            and (self.kinds is None or kind in self.kinds)
            and kind not in self.but_kinds
            and (self.codes is None or code in self.codes)
            and code not in self.but_codes
        )


_FILTERING: Final = tuple(sorted(code for code, means in CATALOGUE.items() if means.box is Box.FILTERING))
_NOT_DELIVERED: Final = (State.FAILED.value, State.UNDELIVERED.value)
STORED: Final[Mapping[FigureName, Stored]] = MappingProxyType(
    {
        FigureName.INITIALS: Stored(WENT_OUT, kinds=("initial",)),
        FigureName.FOLLOW_UPS: Stored(WENT_OUT, kinds=("reply",)),
        FigureName.OTHER_TEXTS: Stored(WENT_OUT, but_kinds=("initial", "reply")),
        FigureName.UNDER_WAY: Stored(_UNDER_WAY_STATES),
        FigureName.TWILIO_ERRORS: Stored(_NOT_DELIVERED, but_codes=_FILTERING),
        FigureName.CARRIER_FILTERING: Stored(_NOT_DELIVERED, codes=_FILTERING),
        FigureName.SAFEGUARDS: Stored((State.BLOCKED.value,)),
    }
)
"""How the messages of each figure are found in the books: the same ones that `result_of` counts."""
