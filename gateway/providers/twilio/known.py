"""Which message a sid is, as far as this process has learned it; and which of several texts is ours."""

from collections.abc import Sequence

from gateway.providers.base import OutboundText
from gateway.providers.twilio.records import Message, same_text

Reference = tuple[int, int, int]

_REMEMBERED = 50_000


class Known:
    """The last sids and their (campaign, message, attempt), in two generations: the older is dropped whole."""

    __slots__ = ("_newer", "_older")

    def __init__(self) -> None:
        self._newer: dict[str, Reference] = {}
        self._older: dict[str, Reference] = {}

    def learn(self, sid: str, text: OutboundText) -> None:
        if len(self._newer) >= _REMEMBERED // 2:
            self._newer, self._older = {}, self._newer
        self._newer[sid] = _reference(text)

    def is_this(self, sid: str, text: OutboundText) -> bool:
        return self._learned(sid) == _reference(text)

    def is_another(self, sid: str, text: OutboundText) -> bool:
        return self._learned(sid) not in (None, _reference(text))

    def _learned(self, sid: str) -> Reference | None:
        return self._newer.get(sid) or self._older.get(sid)


def which(candidates: Sequence[Message], text: OutboundText, known: Known, since: float) -> Message | None:
    """The candidate that is this attempt; None when none can be: it was never sent.

    Candidates are texts between the same two phones that nobody knows to be another one. One with other words can't
    be this one. Of several with its words each may be it, and it does not matter which: the rest are its likes, of
    which the books ask one by one. The first since the hand-over is taken, else the last before it.
    """
    free = [message for message in candidates if not known.is_another(message.sid, text)]
    for message in free:
        if known.is_this(message.sid, text):
            return message
    like = [message for message in free if _is_like(text, message)]
    after = [message for message in like if message.created_at >= since]
    if after:
        return min(after, key=lambda message: (message.created_at, message.sid))
    return max(like, key=lambda message: (message.created_at, message.sid), default=None)


def _is_like(text: OutboundText, message: Message) -> bool:
    """Words decide, if we remember any; a picture without words is told from a text."""
    if text.body:
        return same_text(text.body, message.body or "")
    return not text.media or str(message.num_media or "0") != "0"


def _reference(text: OutboundText) -> Reference:
    return text.campaign_id, text.message_id, text.attempt
