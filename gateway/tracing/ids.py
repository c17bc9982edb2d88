"""How traces are named, and which are kept: worked out from a message's id, so that nothing is stored to find them again.

Whatever worker admits, hands over or hears of a message names the same trace, the same parent, and decides the same about
keeping it. A request has ids of its own, drawn at random.
"""

import hashlib
from typing import Final

import msgspec

_HALF: Final = 2**64
ADMISSION: Final = 0
"""In an attempt's place: the span under which all others of its message stand."""


class SpanPlace(msgspec.Struct, frozen=True, gc=False):
    """Where a span stands: W3C's trace id and span id, as numbers that are not 0."""

    trace_id: int
    span_id: int


def message_trace(service: str, campaign_id: int, message_id: int) -> int:
    """A message's trace. Services have traces of their own for the same ids, as a test system beside production does."""
    whose = f"{service}\n{campaign_id}\n{message_id}".encode()
    return int.from_bytes(hashlib.blake2b(whose, digest_size=16).digest()) or 1


def message_place(trace_id: int, attempt: int = ADMISSION) -> SpanPlace:
    """The span of a message's admission, or of the call that is its n-th attempt."""
    span = hashlib.blake2b(b"%d" % attempt, key=trace_id.to_bytes(16), digest_size=8).digest()
    return SpanPlace(trace_id, int.from_bytes(span) or 1)


def drawn_place(drawn: bytes) -> SpanPlace:
    """A place at random, of 24 bytes."""
    return SpanPlace(int.from_bytes(drawn[:16]) or 1, int.from_bytes(drawn[16:]) or 1)


def is_kept(trace_id: int, share: float) -> bool:
    """Whether a trace is among the `share` that is kept; by the lower half of its id, as OpenTelemetry's own sampler."""
    return trace_id % _HALF < share * _HALF


def callers_place(traceparent: str) -> SpanPlace | None:
    """Whose span asked us, as W3C's header names it; None for what isn't one."""
    version, _, rest = traceparent.partition("-")
    trace, _, rest = rest.partition("-")
    span, _, flags = rest.partition("-")
    if (len(version), len(trace), len(span), len(flags[:2])) != (2, 32, 16, 2) or version == "ff":
        return None
    if not set(trace + span) <= set("0123456789abcdef"):
        return None
    place = SpanPlace(int(trace, 16), int(span, 16))
    return place if place.trace_id and place.span_id else None
