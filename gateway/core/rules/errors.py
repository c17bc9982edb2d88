"""Errors the gateway raises, and the catalogue of message codes with their consequences.

Codes of four digits are our own safeguards, codes above 10000 are Twilio's, three digits are an HTTP status
that came without a code (F067). Code that reacts to an error asks `consequence`, never a list of its own.
"""

import tomllib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import msgspec


class TextbankError(Exception):
    """Root of every error the gateway raises on purpose."""


class NotNow(TextbankError):
    """What was asked can't be done now; what was acknowledged is not lost, and the same may be asked again."""

    @property
    def told(self) -> str:
        """What a caller may read of it."""
        return str(self)


class BadInput(TextbankError):
    """Something a person gave us is unusable; reads as one line, "what: where; do"."""

    def __init__(self, what: str, where: str = "", do: str = "") -> None:
        self.what = what
        self.where = where
        self.do = do
        super().__init__(what, where, do)

    def __str__(self) -> str:
        line = f"{self.what}: {self.where}" if self.where else self.what
        line = f"{line}; {self.do}" if self.do else line
        return " ".join(line.split())


class BadFields(BadInput):
    """Several things of a record are unusable: `faults` are the fields, by path, each with what is wrong and what to do."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{field}: {detail}" for field, detail in self.faults))


class Kind(StrEnum):
    """What sort of trouble a code is."""

    # Ours
    RECORD = "record"
    PERMISSION = "permission"
    DUPLICATE = "duplicate"
    HOURS = "hours"
    NO_NUMBER = "no_number"
    FAILURE_MEMORY = "failure_memory"
    LOCK = "lock"
    # The provider's and the carriers'
    ACCOUNT = "account"
    AUTH = "auth"
    BAD_NUMBER = "bad_number"
    BAD_SENDER = "bad_sender"
    BENIGN = "benign"
    BLOCKED = "blocked"
    BUG = "bug"
    CONTENT = "content"
    DAILY_CAP = "daily_cap"
    EXPIRED = "expired"
    FILTERED = "filtered"
    FRAUD_GUARD = "fraud_guard"
    GEO = "geo"
    INBOUND = "inbound"
    LANDLINE = "landline"
    LOOP = "loop"
    MMS = "mms"
    OBSOLETE = "obsolete"
    OPT_OUT = "opt_out"
    PURCHASE = "purchase"
    QUEUE_FULL = "queue_full"
    REGISTRATION = "registration"
    SERVICE = "service"
    STATE = "state"
    SYSTEM = "system"
    THROTTLE = "throttle"
    TOLL_FREE_VERIFICATION = "toll_free_verification"
    TRANSIENT = "transient"
    UNKNOWN = "unknown"
    UNREACHABLE = "unreachable"
    WEBHOOK = "webhook"


class Retry(StrEnum):
    """Whether the same text may go to the same person again."""

    NEVER = "never"
    SAME = "same"  # it certainly did not reach the phone: the same again, later
    ONCE = "once"  # one more try; after `undelivered` the phone may already have it
    FIX = "fix"  # after somebody acted, or from another number when the number is to blame
    ALTERNATE = "alternate"  # once, from another number
    RECONCILE = "reconcile"  # the outcome is not known: ask the provider, never resend


class Scope(StrEnum):
    """How far the trouble reaches: what to stop."""

    MESSAGE = "message"
    RECIPIENT = "recipient"
    SENDER = "sender"
    CARRIER = "carrier"
    CAMPAIGN = "campaign"
    ACCOUNT = "account"


class Actor(StrEnum):
    """Who must act."""

    NOBODY = "nobody"
    SYSTEM = "system"
    VOLUNTEER = "volunteer"
    AUTHOR = "author"
    LIST_OWNER = "list_owner"
    ADMIN = "admin"
    COMPLIANCE = "compliance"
    OPERATOR = "operator"
    DEVELOPER = "developer"


class Billing(StrEnum):
    """What the provider charges (C17): nothing, its fee per failed message, or all segments."""

    FREE = "free"
    FEE = "fee"
    FULL = "full"


class Box(StrEnum):
    """The box of the results page that counts it (F065, F067, F071)."""

    SAFEGUARD = "safeguard"
    PROVIDER = "provider"
    FILTERING = "filtering"


class Reason(StrEnum):
    """Classes of a final state for metrics; with "none" for success, twelve label values."""

    BAD_NUMBER = "bad_number"
    LANDLINE = "landline"
    UNREACHABLE = "unreachable"
    OPTED_OUT = "opted_out"
    FILTERED = "filtered"
    THROTTLED = "throttled"
    SETUP = "setup"
    CONTENT = "content"
    RULE = "rule"
    SYSTEM = "system"
    UNKNOWN = "unknown"


class SubReason(StrEnum):
    """Which of a code's several meanings applies."""

    IDENTICAL_TEXT = "identical_text"  # 1001 a, F037
    OUTBOUND_LOCK = "outbound_lock"  # 1001 b, F038
    CAMPAIGN_HOURS = "campaign_hours"  # 1202, C1
    RECIPIENT_HOURS = "recipient_hours"  # 1202, C1
    EXPIRED_IN_QUEUE = "expired_in_queue"  # 1202
    PAUSED = "paused"  # 1202
    LOCK_TRUE = "message_locked_lock_true"  # 9001, F063, C19
    LOCK_FALSE = "message_locked_lock_false"  # 9001, F063, C19
    BLANK_NUMBER = "blank_number"  # 9000, F062
    WRONG_FORMAT = "wrong_format"  # 9000, F062
    LANDLINE = "landline"  # 9000, F062


class Consequence(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """Everything that follows from a code. Times are seconds; `memory_s` is 0 (none) … inf (for good)."""

    code: int
    title: str
    volunteer_reads: str
    what_to_do: str
    kind: Kind
    retry: Retry
    scope: Scope
    actor: Actor
    billing: Billing
    box: Box
    reason: Reason
    memory_s: float = 0.0  # how long the recipient is held: 1204, or 1205 when inf (C16)
    retry_after_s: float = 0.0  # the least wait before another attempt
    blames_number: bool = False  # counts against the sending number (F023)
    unsettles_number: bool = (
        False  # carriers don't know the sending number (yet): it waits, the text costs nothing
    )
    opts_out: bool = False  # the recipient joins our own opt-out list (C6)
    fee_exempt: bool = False  # no fee although `failed`
    alert: bool = False  # somebody must look, also at a single case


Row = Mapping[str, Any]


def _box(code: int, kind: Kind) -> Box:
    if kind is Kind.FILTERED:
        return Box.FILTERING
    return Box.SAFEGUARD if 1000 <= code <= 9999 else Box.PROVIDER


def _build(code: int, row: Row) -> Consequence:
    box = _box(code, Kind(row["kind"]))
    return msgspec.convert({**row, "code": code, "box": box}, Consequence)


def _families() -> dict[str, dict[str, Any]]:
    text = files("gateway.core").joinpath("data/errors.toml").read_text(encoding="utf-8")
    families: dict[str, dict[str, Any]] = tomllib.loads(text)
    return families


def _shared(family: Row) -> dict[str, Any]:
    """What all codes of a family have in common."""
    return {name: value for name, value in family.items() if name not in ("codes", "sub_reasons")}


def _catalogue(families: Mapping[str, Row]) -> dict[int, Consequence]:
    built: dict[int, Consequence] = {}
    for family in families.values():
        for code, row in family.get("codes", {}).items():
            if int(code) in built:
                raise ValueError(f"errors.toml: code {code} stands in two families")
            built[int(code)] = _build(int(code), {**_shared(family), **row})
    return built


def _sub_reasons(families: Mapping[str, Row]) -> dict[tuple[int, SubReason], Consequence]:
    rows = [row for family in families.values() for row in family.get("sub_reasons", {}).items()]
    return {
        (row["code"], SubReason(name)): msgspec.structs.replace(CATALOGUE[row["code"]], **row)
        for name, row in rows
    }


_FAMILIES: Final = _families()
CATALOGUE: Final[Mapping[int, Consequence]] = MappingProxyType(_catalogue(_FAMILIES))
_BY_SUB_REASON: Final = _sub_reasons(_FAMILIES)


def consequence(code: int, sub_reason: SubReason | None = None) -> Consequence:
    """What follows from a code; a sub-reason gives its own title and texts.

    A code we have never seen is permanent for this attempt, and an alert; an HTTP 5xx leaves the outcome open.
    """
    if sub_reason is not None:
        return _BY_SUB_REASON.get((code, sub_reason)) or consequence(code)
    return CATALOGUE.get(code) or _unknown(code)


@lru_cache(maxsize=1024)  # codes come from outside: bounded
def _unknown(code: int) -> Consequence:
    if 500 <= code <= 599:
        return msgspec.structs.replace(CATALOGUE[500], code=code)
    name = "unknown_delivery" if 30000 <= code <= 30999 else "unknown_refusal"
    return _build(code, {**_shared(_FAMILIES[name]), "title": f"Unknown code {code}"})


def billed(code: int | None, status: str) -> Billing:
    """What the provider charges for a message that ended with this state and code (C17).

    A refusal at creation and a block of ours are free: pass "refused" or "blocked".
    """
    if status in ("sent", "delivered", "undelivered"):
        return Billing.FULL
    if status != "failed" or (code is not None and consequence(code).fee_exempt):
        return Billing.FREE
    return Billing.FEE
