"""What came with a person's text is fetched from the provider when somebody wants to see it, within limits."""

import asyncio
from typing import Final

from gateway.core.rules.errors import TextbankError
from gateway.providers.base import MediaSource, ProviderError, Refused

MOST_BYTES: Final = 5_000_000
"""What carriers let through; a larger one is not shown."""
_AT_ONCE: Final = 4  # of a worker: so much of its memory they may take
_TURN_S: Final = 5.0
_LONGEST_S: Final = 15.0


class MediaGone(TextbankError):
    """The provider has no such picture for us (any more)."""

    def __init__(self, why: str = "") -> None:
        super().__init__(f"the picture can't be shown: {why or 'the provider has it no more'}")


class MediaAway(TextbankError):
    """The provider can't hand the picture out now; ask again later."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__ or "")


class ReceivedMedia:
    """Fetches from a provider that keeps what people sent; any other has nothing."""

    def __init__(self, provider: object) -> None:
        self._source = provider if isinstance(provider, MediaSource) else None
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def fetch(self, provider_sid: str, place: int, url: str) -> bytes:
        """Raises MediaGone, and MediaAway when there is no answer in time."""
        if self._source is None:
            raise MediaGone
        try:
            async with asyncio.timeout(_TURN_S):
                await self._turns.acquire()
        except TimeoutError:
            raise MediaAway from None
        try:
            async with asyncio.timeout(_LONGEST_S):
                return await self._source.fetch_media(provider_sid, place, url, MOST_BYTES)
        except Refused as error:
            raise MediaGone(str(error)) from error
        except (ProviderError, TimeoutError) as error:
            raise MediaAway from error
        finally:
            self._turns.release()
