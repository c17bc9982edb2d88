"""The ordered rules that every message passes before any provider is called (F036).

The first rule that fails answers. The order is by what a person must know first: what the message is, who may
send it, whether the recipient wants it, whether it can arrive, whether now is the time, whether it is a repeat.

| #  | code | rule                | kinds                      | source         | fails when                         |
|----|------|---------------------|----------------------------|----------------|------------------------------------|
|  1 | 9000 | recipient_number    | all                        | F062           | no, malformed or landline number   |
|  2 | 1101 | direction           | all                        | F041           | a contact sends; broadcast to other|
|  3 | 1111 | user_to_user        | all but broadcast          | F051           | receiver a user, sender not        |
|  4 | 1102 | actor               | invitation                 | F042           | sender is not a user               |
|  5 | 1108 | canvasser           | canvass                    | F048           | sender is not a user               |
|  6 | 1104 | channel_actor       | initial, reply             | F044           | Twilio channel, sender not a user  |
|  7 | 1107 | pairing             | all but broadcast, conf.   | F047           | not a user to a contact            |
|  8 | 1105 | campaign_match      | all but canvass            | F045           | sender's campaign is another       |
|  9 | 1106 | channel_recipient   | initial, reply             | F046           | Twilio channel, not our contact    |
| 10 | 1109 | canvass_recipient   | canvass                    | F049           | not a contact of the campaign      |
| 11 | 1110 | ownership           | invitation                 | F050           | not the user's own contact         |
| 12 | 1201 | broadcast_set_up    | broadcast                  | F052           | broadcasts not set up              |
| 13 | 1103 | broadcast_target    | broadcast                  | F043           | a user's own contact               |
| 14 | 1002 | blank               | all                        | F040           | nothing to read                    |
| 15 | 1302 | opt_out *           | all but confirmation       | F058 F121 F128 | opted out; broadcast unsubscribed  |
| 16 | 1301 | broadcast_consent   | broadcast                  | F057           | never opted in to broadcasts       |
| 17 | 1205 | valid_mobile *      | all                        | F056 C16       | cannot be texted, or failed for good |
| 18 | 1204 | failure_memory *    | all                        | F055 C16       | failed lately                      |
| 19 | 1202 | hours *             | all                        | F053 F032 C1   | paused, or outside a window        |
| 20 | 1303 | assignment          | initial, reply             | F059 F184 F193 | somebody else's contact            |
| 21 | 1304 | already_canvassed   | initial, canvass           | F060 C23       | has this action's message          |
| 22 | 1305 | already_invited     | invitation                 | F061           | has an invitation                  |
| 23 | 1001 | identical_text      | all but confirmation       | F037 C2        | same text within 24 h              |
| 24 | 1001 | outbound_lock       | all but reply, conf.       | F038 F039 C2   | texted within 6 h                  |
| 25 | 9001 | message_lock        | all                        | F063 C19       | another send holds the lock        |

The confirmation of an opt-out answers the person's own text, so it is no repeat and no solicitation; nothing else
may follow an opt-out. An administrator's phone skips rule 24 alone (C12). Rules with a star are looked at again at hand-over, since a
message may have waited (`check_again`). 1203 (F054) is the dispatcher's: only it knows the numbers.
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
    REPLY = "reply"  # a follow-up in an open conversation
    BROADCAST = "broadcast"
    CANVASS = "canvass"
    INVITATION = "invitation"
    CONFIRMATION = "confirmation"  # the one text that may follow an opt-out (47 CFR 64.1200(a)(12))


class PartyKind(StrEnum):
    """Who stands at an end of a message."""

    USER = "user"
    CONTACT = "contact"
    CAMPAIGN = "campaign"  # the system on the campaign's behalf


class Request(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One message somebody wants to send. `body` is the rendered text."""

    campaign_id: int
    contact_id: int
    kind: Kind
    body: str
    action_id: int | None = None
    sender_kind: PartyKind = PartyKind.USER
    sender_id: int | None = None
    sender_campaign_id: int | None = None  # None: the request's campaign
    channel: Literal["twilio", "broadcast"] = "twilio"
    receiver_kind: PartyKind = PartyKind.CONTACT
    media: tuple[str, ...] = ()  # addresses of pictures: with one it is an MMS (F013)


class Facts(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What the store knows that the rules need. Instants are Unix seconds; None: never."""

    phone: str | None  # E.164
    contact_campaign_id: int | None  # None: no contact of any campaign
    line_type: str | None = None  # as a number look-up names it
    is_admin_phone: bool = False
    is_users_own_contact: bool = False
    opted_out: bool = False
    broadcast_enabled: bool = False
    broadcast_consent: bool = False
    broadcast_unsubscribed: bool = False
    assignee_id: int | None = None
    keep_assignments: bool = False
    last_initial_at: float | None = None
    last_outbound_at: float | None = None
    same_text_at: float | None = None  # when exactly this text, trimmed, last went to this phone
    failure_code: int | None = None
    failure_until: float | None = None  # inf: for good
    already_sent_action: bool = False
    already_invited: bool = False
    lock: Literal["free", "held", "unobtainable"] = "free"
    hours_shut: SubReason | None = None  # CAMPAIGN_HOURS, RECIPIENT_HOURS or EXPIRED_IN_QUEUE
    paused: bool = False


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


# Names as number look-ups spell them, folded by `_line`.
_LANDLINES: Final = frozenset({"landline", "fixed", "fixedline"})
_NOT_MOBILE: Final = frozenset({"tollfree", "premium", "sharedcost", "uan", "voicemail", "pager", "invalid"})
# str.isspace does not know these; a text of nothing else is blank to its reader.
_INVISIBLE: Final = "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2800\u3164\ufe0f\ufeff"
_BLANKS: Final = "".join(chr(point) for point in range(0x3001) if chr(point).isspace()) + _INVISIBLE


def _line(line_type: str) -> str:
    return line_type.lower().replace("_", "").replace("-", "").replace(" ", "")


def _recipient_number(_request: Request, facts: Facts, _policy: Policy, _now: float) -> SubReason | None:
    phone = facts.phone
    if not phone or phone.isspace():
        return SubReason.BLANK_NUMBER
    if len(phone) != 12 or not phone.startswith("+1") or not phone[1:].isdecimal():
        return SubReason.WRONG_FORMAT
    if facts.line_type is not None and _line(facts.line_type) in _LANDLINES:
        return SubReason.LANDLINE
    return None


def _direction(request: Request, _facts: Facts, _policy: Policy, _now: float) -> bool:
    if request.sender_kind is PartyKind.CONTACT:
        return True
    return request.kind is Kind.BROADCAST and request.receiver_kind is not PartyKind.CONTACT


def _user_to_user(request: Request, _facts: Facts, _policy: Policy, _now: float) -> bool:
    return request.receiver_kind is PartyKind.USER and request.sender_kind is not PartyKind.USER


def _sender_is_no_user(request: Request, _facts: Facts, _policy: Policy, _now: float) -> bool:
    return request.sender_kind is not PartyKind.USER


def _channel_actor(request: Request, _facts: Facts, _policy: Policy, _now: float) -> bool:
    return request.channel == "twilio" and request.sender_kind is not PartyKind.USER


def _pairing(request: Request, _facts: Facts, _policy: Policy, _now: float) -> bool:
    return request.sender_kind is not PartyKind.USER or request.receiver_kind is not PartyKind.CONTACT


def _campaign_match(request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    """A stranger to every campaign is left to the rules about recipients."""
    senders = request.sender_campaign_id
    senders = request.campaign_id if senders is None else senders
    return facts.contact_campaign_id is not None and senders != facts.contact_campaign_id


def _channel_recipient(request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return request.channel == "twilio" and facts.contact_campaign_id != request.campaign_id


def _canvass_recipient(request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return facts.contact_campaign_id != request.campaign_id


def _ownership(_request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return not facts.is_users_own_contact


def _broadcast_set_up(_request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return not facts.broadcast_enabled


def _broadcast_target(_request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return facts.is_users_own_contact


def _blank(request: Request, _facts: Facts, _policy: Policy, _now: float) -> bool:
    return not request.body.strip(_BLANKS) and not request.media


def _opt_out(request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return facts.opted_out or (request.kind is Kind.BROADCAST and facts.broadcast_unsubscribed)


def _broadcast_consent(_request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return not facts.broadcast_consent


def _valid_mobile(_request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    if facts.failure_until == inf:
        return True
    return facts.line_type is not None and _line(facts.line_type) in _NOT_MOBILE


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


def _already_invited(_request: Request, facts: Facts, _policy: Policy, _now: float) -> bool:
    return facts.already_invited


def _identical_text(_request: Request, facts: Facts, policy: Policy, now: float) -> bool:
    return facts.same_text_at is not None and now - facts.same_text_at < policy.same_text_s


def _outbound_lock(request: Request, facts: Facts, policy: Policy, now: float) -> bool:
    if not policy.lock_enabled or (facts.is_admin_phone and policy.admin_bypass):
        return False
    if policy.lock_scope == "any":
        last_at = facts.last_outbound_at
    else:
        last_at = facts.last_initial_at if request.kind is Kind.INITIAL else None
    return last_at is not None and now - last_at < policy.lock_s


def _message_lock(_request: Request, facts: Facts, _policy: Policy, _now: float) -> SubReason | None:
    if facts.lock == "free":
        return None
    return SubReason.LOCK_TRUE if facts.lock == "held" else SubReason.LOCK_FALSE


_ALL: Final = frozenset(Kind)
_P2P: Final = frozenset({Kind.INITIAL, Kind.REPLY})
_BROADCAST: Final = frozenset({Kind.BROADCAST})
_CANVASS: Final = frozenset({Kind.CANVASS})
_INVITATION: Final = frozenset({Kind.INVITATION})
_CONFIRMATION: Final = frozenset({Kind.CONFIRMATION})

RULES: Final[tuple[Rule, ...]] = (
    Rule(9000, "recipient_number", _ALL, _recipient_number),
    Rule(1101, "direction", _ALL, _direction),
    Rule(1111, "user_to_user", _ALL - _BROADCAST, _user_to_user),
    Rule(1102, "actor", _INVITATION, _sender_is_no_user),
    Rule(1108, "canvasser", _CANVASS, _sender_is_no_user),
    Rule(1104, "channel_actor", _P2P, _channel_actor),
    Rule(1107, "pairing", _ALL - _BROADCAST - _CONFIRMATION, _pairing),
    Rule(1105, "campaign_match", _ALL - _CANVASS, _campaign_match),
    Rule(1106, "channel_recipient", _P2P, _channel_recipient),
    Rule(1109, "canvass_recipient", _CANVASS, _canvass_recipient),
    Rule(1110, "ownership", _INVITATION, _ownership),
    Rule(1201, "broadcast_set_up", _BROADCAST, _broadcast_set_up),
    Rule(1103, "broadcast_target", _BROADCAST, _broadcast_target),
    Rule(1002, "blank", _ALL, _blank),
    Rule(1302, "opt_out", _ALL - _CONFIRMATION, _opt_out, at_hand_over=True),
    Rule(1301, "broadcast_consent", _BROADCAST, _broadcast_consent),
    Rule(1205, "valid_mobile", _ALL, _valid_mobile, at_hand_over=True),
    Rule(1204, "failure_memory", _ALL, _failure_memory, at_hand_over=True),
    Rule(1202, "hours", _ALL, _hours, at_hand_over=True),
    Rule(1303, "assignment", _P2P, _assignment),
    Rule(1304, "already_canvassed", frozenset({Kind.INITIAL, Kind.CANVASS}), _already_canvassed),
    Rule(1305, "already_invited", _INVITATION, _already_invited),
    Rule(1001, "identical_text", _ALL - _CONFIRMATION, _identical_text, SubReason.IDENTICAL_TEXT),
    Rule(1001, "outbound_lock", _ALL - _CONFIRMATION - {Kind.REPLY}, _outbound_lock, SubReason.OUTBOUND_LOCK),
    Rule(9001, "message_lock", _ALL, _message_lock),
)

_BY_KIND: Final[Mapping[Kind, tuple[Rule, ...]]] = MappingProxyType(
    {kind: tuple(rule for rule in RULES if kind in rule.applies_to) for kind in Kind}
)
_AT_HAND_OVER: Final[Mapping[Kind, tuple[Rule, ...]]] = MappingProxyType(
    {kind: tuple(rule for rule in rules if rule.at_hand_over) for kind, rules in _BY_KIND.items()}
)
_ADMITTED: Final = Admitted()


def check(request: Request, facts: Facts, policy: Policy, now: float) -> Admitted | Blocked:
    """The first look, at admission: the first rule that fails answers. `now` is Unix seconds."""
    return _first(_BY_KIND[request.kind], request, facts, policy, now)


def check_again(request: Request, facts: Facts, policy: Policy, now: float) -> Admitted | Blocked:
    """The second look, at hand-over: opt-out, reachability, pause and hours may have changed since."""
    return _first(_AT_HAND_OVER[request.kind], request, facts, policy, now)


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
