"""What a span says. OpenTelemetry's names for messaging are still in development, so they stand here and nowhere else.

Ids of campaigns and messages go in, and what the metrics count by. No person's words, phone or name ever does.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from gateway.tracing.ids import SpanPlace

Kind = Literal["server", "producer", "client", "consumer", "internal"]
Value = str | int | float | bool
Attributes = Mapping[str, Value]

METHOD: Final = "http.request.method"
ROUTE: Final = "http.route"
STATUS: Final = "http.response.status_code"
SYSTEM: Final = "messaging.system"
OPERATION: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
MESSAGE_ID: Final = "messaging.message.id"
CAMPAIGN_ID: Final = "textbank.campaign_id"
ATTEMPT: Final = "textbank.attempt"
LANE: Final = "textbank.lane"
CARRIER: Final = "textbank.carrier"
SEGMENTS: Final = "textbank.segments"
OUTCOME: Final = "textbank.outcome"
STATE: Final = "textbank.state"
CODE: Final = "textbank.code"
MESSAGE_KIND: Final = "textbank.kind"
PROVIDER: Final = "textbank.provider"
PROVIDERS_STATUS: Final = "textbank.provider_status"
LATE_S: Final = "textbank.late_seconds"

_TYPES: Final = {
    "admit": "create",
    "wait": "settle",
    "send": "send",
    "receipt": "process",
    "reply": "receive",
}


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work that is over; instants in Unix seconds. `links`: spans that it is about, in other traces."""

    name: str
    kind: Kind
    place: SpanPlace
    parent: SpanPlace | None = None
    began_at: float
    ended_at: float
    attributes: Attributes
    links: tuple[SpanPlace, ...] = ()
    failed: bool = False


def about_message(operation: str, campaign_id: int, message_id: int, **more: Value | None) -> Attributes:
    """Of a span about a message: an operation of ours, and what more is known."""
    known = {name: value for name, value in more.items() if value is not None}
    return {
        SYSTEM: "sms",
        OPERATION: operation,
        OPERATION_TYPE: _TYPES[operation],
        CAMPAIGN_ID: campaign_id,
        MESSAGE_ID: str(message_id),
        **known,
    }
