"""The ordered rules that every message passes before any provider is called (F036).

The first rule that fails answers. The order is by what a person must know first: what the message is, who may
send it, whether the recipient wants it, whether it can arrive, whether now is the time, whether it is a repeat.

| #  | code | rule                | kinds                 | source         | fails when                           |
|----|------|---------------------|-----------------------|----------------|--------------------------------------|
|  1 | 1106 | contact             | all                   | F046 F045 F049 | no contact of the campaign           |
|  2 | 9000 | recipient_number *  | all                   | F062           | no, malformed or landline number     |
|  3 | 1002 | blank               | all                   | F040           | nothing to read                      |
|  4 | 1201 | broadcast_set_up    | broadcast             | F052           | the campaign has not set it up       |
|  5 | 1103 | users_own_contact   | broadcast             | F043           | somebody is to text them by hand     |
|  6 | 1302 | opt_out *           | all but confirmation  | F058 F121 F128 | opted out; of broadcasts alone       |
|  7 | 1301 | consent *           | broadcast             | F057           | never agreed to broadcasts           |
|  8 | 1205 | valid_mobile *      | all                   | F056 C16       | cannot be texted, or failed for good |
|  9 | 1204 | failure_memory *    | all                   | F055 C16       | failed lately                        |
| 10 | 1202 | hours *             | all                   | F053 F032 C1   | paused, or outside a window          |
| 11 | 1303 | assignment          | initial, reply        | F059 F184 F193 | somebody else's contact              |
| 12 | 1304 | already_canvassed   | initial, broadcast    | F060 C23       | has this action's message            |
| 13 | 1001 | identical_text      | all but confirmation  | F037 C2        | same text within 24 h                |
| 14 | 1001 | outbound_lock       | initial, broadcast    | F038 F039 C2   | texted within 6 h                    |
| 15 | 9001 | message_lock        | all                   | F063 C19       | another send holds the lock          |

The confirmation of an opt-out answers the person's own text, so it is no repeat and no solicitation; nothing else
may follow an opt-out. An administrator's phone skips the outbound lock alone (C12). A broadcast is a first text that the
gateway sends by itself: whoever gets one has agreed to it in writing, and nobody's own contacts do. A reply without an open thread is an initial
(`counted_as`). 1203 (F054) is the dispatcher's: only it knows the numbers.

Rules with a star are looked at again at hand-over, since a message may have waited: `second_look`. The claim itself
holds back what they refuse (gateway/store/messages.py has a condition for each), and this table says why. A pause
blocks nobody at the second look: the message waits until the campaign goes on.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from math import inf
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from gateway.core.rules.errors import SubReason, consequence


class Kind(StrEnum):
    """What sort of message it is."""

    INITIAL = "initial"
    REPLY = "reply"  # a follow-up in an open thread
    CONFIRMATION = "confirmation"  # the one text that may follow an opt-out (47 CFR 64.1200(a)(12))
    BROADCAST = (
        "broadcast"  # a first text that nobody presses; in the books an initial whose sender is the gateway
    )


GATEWAY: Final = -1
"""Who sends broadcasts, and has the people of whom nobody has taken charge yet; ids of people are never negative."""


def in_books(kind: Kind) -> Kind:
    """As what messages are stored and counted: a broadcast is the first text of its action as any other."""
    return Kind.INITIAL if kind is Kind.BROADCAST else kind


def of_books(kind: str, sender_id: int | None) -> Kind:
    """What a stored message is to the rules."""
    return Kind.BROADCAST if kind == Kind.INITIAL and sender_id == GATEWAY else Kind(kind)


class Consent(StrEnum):
    """What a contact has said to broadcasts (F057, F058)."""

    NONE = "none"
    GIVEN = "given"
    WITHDRAWN = "withdrawn"


class Request(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One message somebody wants to send. `body` is the rendered text."""

    campaign_id: int
    contact_id: int
    kind: Kind
    body: str
    action_id: int | None = None
    sender_id: int | None = None
    media: tuple[str, ...] = ()  # addresses of pictures: with one it is an MMS (F013)


class Facts(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What the store knows that the rules need. Instants are Unix seconds; None: never."""

    phone: str | None  # E.164; None: no contact of the campaign
    line_type: str | None = None  # as a number look-up names it
    is_admin_phone: bool = False
    opted_out: bool = False
    assignee_id: int | None = None
    keep_assignments: bool = False
    last_initial_at: float | None = None
    last_outbound_at: float | None = None
    same_text_at: float | None = None  # when exactly this text, trimmed, last went to this phone
    failure_until: float | None = None  # inf: for good
    already_sent_action: bool = False
    locked: bool = False  # the person changed under our hands too often
    hours_shut: SubReason | None = None  # CAMPAIGN_HOURS, RECIPIENT_HOURS or EXPIRED_IN_QUEUE
    paused: bool = False
    broadcasts: bool = False  # the campaign has set them up
    is_users_own: bool = False  # somebody of the campaign is to text this contact by hand
    consent: Consent = Consent.NONE  # to broadcasts


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign's settings that the rules need (C2). Durations are seconds."""

    lock_enabled: bool = True
    lock_scope: Literal["initial", "any"] = "initial"
    lock_s: float = 6 * 3600.0
    same_text_s: float = 24 * 3600.0
    admin_bypass: bool = True

    def __post_init__(self) -> None:
        if self.lock_s < 0 or self.same_text_s < 0:
            raise ValueError("lock_s and same_text_s must not be negative")


class Admitted(msgspec.Struct, frozen=True):
    """No rule objects."""


class Blocked(msgspec.Struct, frozen=True):
    """The first rule that objects, as a volunteer may read it. Never on the wire, never billed."""

    code: int
    sub_reason: SubReason | None
    volunteer_reads: str
    what_to_do: str


Fails = Callable[[Request, Facts, Policy, float], bool | SubReason | None]


class Rule(msgspec.Struct, frozen=True):
    """One safeguard. `fails` is truthy when it objects; a SubReason says which way."""

    code: int
    name: str
    applies_to: frozenset[Kind]
    fails: Fails
    sub_reason: SubReason | None = None
    at_hand_over: bool = False


# Names as number look-ups spell them, in lower case without blanks, dashes and underscores.
LANDLINES: Final = frozenset({"landline", "fixed", "fixedline"})
NOT_MOBILE: Final = frozenset({"tollfree", "premium", "sharedcost", "uan", "voicemail", "pager", "invalid"})
# str.isspace does not know these; a text of nothing else is blank to its reader.
_INVISIBLE: Final = "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2800\u3164\ufe0f\ufeff"
_BLANKS: Final = "".join(chr(point) for point in range(0x3001) if chr(point).isspace()) + _INVISIBLE


def _line(line_type: str) -> str:
    return line_type.lower().replace("_", "").replace("-", "").replace(" ", "")


def _contact(_request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return facts.phone is None  # whoever's contact it is elsewhere


def _recipient_number(_request: Request, facts: Facts, _policy: Policy, _now: float) -> SubReason | None:
    phone = facts.phone
    if phone is None:
        return None  # no contact: the rule before
    if not phone or phone.isspace():
        return SubReason.BLANK_NUMBER
    if len(phone) != 12 or not phone.startswith("+1") or not phone[1:].isdecimal():
        return SubReason.WRONG_FORMAT
    if facts.line_type is not None and _line(facts.line_type) in LANDLINES:
        return SubReason.LANDLINE
    return None


def _blank(request: Request, _facts: Facts, _policy: Policy, _now: float) -> bool:
    return not request.body.strip(_BLANKS) and not request.media


def _broadcast_set_up(_request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return not facts.broadcasts


def _users_own_contact(_request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return facts.is_users_own


def _opt_out(request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return facts.opted_out or (request.kind is Kind.BROADCAST and facts.consent is Consent.WITHDRAWN)


def _consent(_request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return facts.consent is not Consent.GIVEN


def _valid_mobile(_request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    if facts.failure_until == inf:
        return True
    return facts.line_type is not None and _line(facts.line_type) in NOT_MOBILE


def _failure_memory(_request: Request, facts: Facts, _policy: Policy, now: float) -> bool:
    return facts.failure_until is not None and now < facts.failure_until


def _hours(_request: Request, facts: Facts, _policy: Policy, _now: float) -> SubReason | None:
    return SubReason.PAUSED if facts.paused else facts.hours_shut


def _assignment(request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    """Kept assignments admit the assignee alone; else a free contact is anybody's, a taken one is not."""
    if facts.assignee_id is None:
        return facts.keep_assignments
    return facts.assignee_id != request.sender_id


def _already_canvassed(_request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return facts.already_sent_action


def _identical_text(_request: Request, facts: Facts, policy: Policy, now: float) -> bool:
    return facts.same_text_at is not None and now - facts.same_text_at < policy.same_text_s


def _outbound_lock(_request: Request, facts: Facts, policy: Policy, now: float) -> bool:
    if not policy.lock_enabled or (facts.is_admin_phone and policy.admin_bypass):
        return False
    last_at = facts.last_outbound_at if policy.lock_scope == "any" else facts.last_initial_at
    return last_at is not None and now - last_at < policy.lock_s


def _message_lock(_request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return facts.locked


_ALL: Final = frozenset(Kind)
_PRESSED: Final = frozenset({Kind.INITIAL, Kind.REPLY})
_BROADCAST: Final = frozenset({Kind.BROADCAST})
FIRST_TEXTS: Final = frozenset({Kind.INITIAL, Kind.BROADCAST})
_TALK: Final = _PRESSED | _BROADCAST

RULES: Final[tuple[Rule, ...]] = (
    Rule(1106, "contact", _ALL, _contact),
    Rule(9000, "recipient_number", _ALL, _recipient_number, at_hand_over=True),
    Rule(1002, "blank", _ALL, _blank),
    Rule(1201, "broadcast_set_up", _BROADCAST, _broadcast_set_up),
    Rule(1103, "users_own_contact", _BROADCAST, _users_own_contact),
    Rule(1302, "opt_out", _TALK, _opt_out, at_hand_over=True),
    Rule(1301, "consent", _BROADCAST, _consent, at_hand_over=True),
    Rule(1205, "valid_mobile", _ALL, _valid_mobile, at_hand_over=True),
    Rule(1204, "failure_memory", _ALL, _failure_memory, at_hand_over=True),
    Rule(1202, "hours", _ALL, _hours, at_hand_over=True),
    Rule(1303, "assignment", _PRESSED, _assignment),
    Rule(1304, "already_canvassed", FIRST_TEXTS, _already_canvassed),
    Rule(1001, "identical_text", _TALK, _identical_text, SubReason.IDENTICAL_TEXT),
    Rule(1001, "outbound_lock", FIRST_TEXTS, _outbound_lock, SubReason.OUTBOUND_LOCK),
    Rule(9001, "message_lock", _ALL, _message_lock, SubReason.LOCK_TRUE),
)

_BY_KIND: Final[Mapping[Kind, tuple[Rule, ...]]] = MappingProxyType(
    {kind: tuple(rule for rule in RULES if kind in rule.applies_to) for kind in Kind}
)
_AT_HAND_OVER: Final[Mapping[Kind, tuple[Rule, ...]]] = MappingProxyType(
    {kind: tuple(rule for rule in rules if rule.at_hand_over) for kind, rules in _BY_KIND.items()}
)
# The second look asks nothing of the text itself and nothing that a campaign may set.
_WAITED: Final[Mapping[Kind, Request]] = MappingProxyType(
    {kind: Request(campaign_id=0, contact_id=0, kind=kind, body="") for kind in Kind}
)
_ANY_POLICY: Final = Policy()
_ADMITTED: Final = Admitted()


def check(request: Request, facts: Facts, policy: Policy, now: float) -> Admitted | Blocked:
    """The first look, at admission: the first rule that fails answers. `now` is Unix seconds."""
    return _first(_BY_KIND[request.kind], request, facts, policy, now)


def second_look(kind: Kind, facts: Facts, now: float) -> Blocked | None:
    """The second look, at hand-over: why a message that waited is blocked; None: it may go, or still waits.

    Of `facts` the phone, line type, opt-out, consent, failure and hours are looked at.
    """
    answer = _first(_AT_HAND_OVER[kind], _WAITED[kind], facts, _ANY_POLICY, now)
    return answer if isinstance(answer, Blocked) else None


def counted_as(kind: Kind, last_inbound_at: float | None) -> Kind:
    """A thread is open once the person has written to the campaign; a reply to anybody else is an initial."""
    return Kind.INITIAL if kind is Kind.REPLY and last_inbound_at is None else kind


def blocked(code: int, sub_reason: SubReason | None = None) -> Blocked:
    """A block with the catalogue's texts; for the stations that find one by themselves (1202, 1203)."""
    means = consequence(code, sub_reason)
    return Blocked(code, sub_reason, means.volunteer_reads, means.what_to_do)


def _first(
    rules: tuple[Rule, ...], request: Request, facts: Facts, policy: Policy, now: float
) -> Admitted | Blocked:
    for rule in rules:
        if failed := rule.fails(request, facts, policy, now):
            return blocked(rule.code, failed if isinstance(failed, SubReason) else rule.sub_reason)
    return _ADMITTED
