"""The provider's answers on their way into the books: a bounded number of them, and one that fails is told again."""

import asyncio
import functools
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from gateway.pipeline.delivery import Delivery, News

_log = structlog.get_logger("gateway.hand_over")
_TELL_AGAIN_S: Final = (1.0, 5.0, 15.0)
MOST_UNWRITTEN: Final = 20_000
"""Answers of one campaign that wait to be written: beyond that, nothing more of it is claimed."""


class WrittenAnswers:
    """`freed` is told when a campaign that was full has room again, for `spare()` answers at least."""

    def __init__(self, delivery: Delivery, freed: Callable[[], None], *, spare: Callable[[], int]) -> None:
        self._delivery = delivery
        self._freed = freed
        self._spare = spare
        self._unwritten: Counter[int] = Counter()

    def room(self, campaign_id: int) -> int:
        """How many more answers about a campaign's texts may wait to be written."""
        return MOST_UNWRITTEN - self._unwritten[campaign_id]

    def tell(self, news: News, tried: int = 0) -> None:
        self._unwritten[news.campaign_id] += 1
        told = self._delivery.answer(news)
        told.add_done_callback(functools.partial(self._told, news, tried))

    def _told(self, news: News, tried: int, told: "asyncio.Future[None]") -> None:
        """An answer that could not be written is told again; after that, recovery asks the provider."""
        self._unwritten[news.campaign_id] -= 1
        if self._unwritten[news.campaign_id] >= MOST_UNWRITTEN - self._spare():
            self._freed()  # whoever keeps places for replies waits for as many
        if told.cancelled() or (error := told.exception()) is None:
            return
        _log.error("an answer could not be written", message_id=news.message_id, tried=tried, why=str(error))
        if tried < len(_TELL_AGAIN_S):
            asyncio.get_running_loop().call_later(_TELL_AGAIN_S[tried], self.tell, news, tried + 1)
