"""Which message a sid is, as far as this process has learned it; and which of several texts is ours."""

from collections.abc import Sequence

from gateway.providers.base import AnswerLost, OutboundText
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


def which(candidates: Sequence[Message], text: OutboundText, known: Known) -> Message | None:
    """The candidate that is this attempt; None when there is none.

    A text we remember the words of is told by them, the earliest first, since two lost answers are asked about
    one by one. Without words, several candidates can't be told apart: AnswerLost.
    """
    free = [message for message in candidates if not known.is_another(message.sid, text)]
    for message in free:
        if known.is_this(message.sid, text):
            return message
    if not free:
        return None
    if text.body:
        free = [message for message in free if same_text(text.body, message.body or "")]
    elif len(free) > 1:
        free = []
    if not free:
        raise AnswerLost(text="other texts between the same two numbers may be this one")
    return min(free, key=lambda message: (message.created_at, message.sid))


def _reference(text: OutboundText) -> Reference:
    return text.campaign_id, text.message_id, text.attempt
