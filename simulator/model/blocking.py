"""The provider's own opt-out handling: one keyword, alone in a text, blocks or opens a pair.

Published behaviour of the provider's default long-code handling; free-text wishes never reach this list.
"""

from enum import StrEnum

STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START_WORDS = frozenset({"START", "UNSTOP", "YES"})


class BlockScope(StrEnum):
    """What a STOP closes."""

    PAIR = "pair"  # this person and this number
    SERVICE = "service"  # this person and every number of the campaign's service
    NOTHING = "nothing"  # the provider leaves opt-outs to its customer


class BlockList:
    """Who has texted STOP to whom, as the provider sees it; 21610 refuses further texts."""

    def __init__(self, scope: BlockScope) -> None:
        self._by_campaign = scope is BlockScope.SERVICE
        self._refuses = scope is not BlockScope.NOTHING
        self._blocked: dict[tuple[int, int], float] = {}

    def __len__(self) -> int:
        return len(self._blocked)

    def hear(self, person: int, number: int, campaign: int, text: str, now: float) -> bool:
        """Take in an inbound text; whether it newly blocked the person."""
        word = text.strip().upper()
        key = (person, campaign if self._by_campaign else number)
        if word in START_WORDS:
            self._blocked.pop(key, None)
        elif word in STOP_WORDS and key not in self._blocked:
            self._blocked[key] = now
            return True
        return False

    def blocks(self, person: int, number: int, campaign: int) -> bool:
        """Whether a text from `number` of `campaign` to `person` is refused."""
        if not self._refuses or not self._blocked:
            return False
        return (person, campaign if self._by_campaign else number) in self._blocked
