"""What the provider's answer to a call means, as one word for delivery."""

from gateway.core.rules.errors import Kind, Retry, consequence
from gateway.core.rules.lifecycle import State
from gateway.core.rules.retry import Ended
from gateway.pipeline.delivery import News
from gateway.providers.base import OutboundText, Refused

_SLOWER = frozenset({Kind.THROTTLE, Kind.QUEUE_FULL})


def accepted(text: OutboundText, provider_sid: str, now: float) -> News:
    return _news(text, State.SENT, now, provider_sid=provider_sid)


def lost(text: OutboundText, now: float) -> News:
    """The text may be on its way: to be asked about, never to be sent again."""
    return _news(text, State.UNKNOWN, now, reason="the answer was lost")


def refused(text: OutboundText, error: Refused, now: float) -> News:
    """The catalogue says whether the code leaves open what was done, or asks for a slower pace."""
    means = None if error.code is None else consequence(error.code)
    if means is not None and means.retry is Retry.RECONCILE:
        return lost(text, now)
    slower = means is not None and means.kind in _SLOWER
    return _news(text, State.FAILED, now, code=error.code, ended=Ended.THROTTLED if slower else Ended.REFUSED)


def not_sent(text: OutboundText, now: float) -> News:
    """Certainly never on the wire."""
    return _news(text, State.FAILED, now, ended=Ended.NOT_SENT)


def recalled(text: OutboundText, now: float) -> News:
    """Given back before the wire."""
    return _news(text, State.FAILED, now, ended=Ended.RECALLED)


def _news(
    text: OutboundText,
    state: State,
    now: float,
    *,
    code: int | None = None,
    ended: Ended | None = None,
    reason: str | None = None,
    provider_sid: str | None = None,
) -> News:
    return News(
        text.campaign_id,
        text.message_id,
        text.attempt,
        state,
        now,
        code=code,
        reason=reason,
        provider_sid=provider_sid,
        ended=ended,
        is_answer=True,
    )
