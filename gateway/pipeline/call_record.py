"""What a call to the provider, once it has ended, tells the metrics and the log: its waits, its outcome, what it cost.

One of the promises is looked at here as well: no text is taken after the end of its lawful window. The road sees to it
long before; should it ever fail to, this counts it.
"""

from typing import Final

from gateway.core.sending.waiting import Lane
from gateway.core.text.segments import Encoding, measure
from gateway.metrics import Metrics
from gateway.pipeline.lease import Held
from gateway.pipeline.provider_outage import ProviderOutage
from gateway.providers.base import OutboundText

LANES: Final = tuple(lane.name.lower() for lane in Lane)
MAY_BE_OUT: Final = ("ok", "timeout")
"""Outcomes after which the text is, or may be, on its way to the person."""
UNANSWERED: Final = ("error", "timeout")


class CallRecord:
    """Of all calls of a worker to one provider."""

    def __init__(self, provider_name: str, metrics: Metrics) -> None:
        self.provider_name = provider_name
        self.metrics = metrics
        self.outage = ProviderOutage(provider_name)

    def lined_up(self) -> None:
        """A text's slot has come while all calls were under way."""
        self.metrics.rate_limit_waits("account")

    def ended(self, text: OutboundText, held: Held, outcome: str, began_at: float, took_s: float) -> None:
        """`began_at` (Unix seconds) is when the call began, `outcome` the metrics' word for its end."""
        metrics, lane = self.metrics, LANES[held.lane]
        metrics.queue_wait(lane, max(0.0, began_at - held.due_at))
        metrics.handed_over(lane, max(0.0, began_at - held.slot_at))
        metrics.provider_request(self.provider_name, outcome, took_s)
        if outcome in UNANSWERED:
            self.outage.failed(outcome)
        else:
            self.outage.answered()
        if outcome == "ok":
            self._segments(text, held)
        if began_at > held.not_after and outcome in MAY_BE_OUT:
            metrics.violated("quiet_hours")

    def _segments(self, text: OutboundText, held: Held) -> None:
        channel = "mms" if text.media else "sms"
        encoding = "GSM-7" if measure(text.body).encoding is Encoding.GSM7 else "UCS-2"
        pays_no_fee = held.pacer.limits.pays_no_fee(held.carrier)
        self.metrics.segments(held.carrier, encoding, text.segments, channel, pays_no_fee=pays_no_fee)
