"""A delivery to a campaign's own endpoint: one signed POST."""

from collections.abc import Callable
from typing import Final

from gateway.core.bank.webhooks import Answered, Package, headers
from gateway.providers.outside import NotReached, Outside, Reached

_GONE: Final = 410
_LONGEST_WAIT_S: Final = 3600


class Webhook:
    """Signed as Standard Webhooks say (gateway/core/bank/webhooks.py). `now` tells Unix seconds."""

    def __init__(self, outside: Outside, now: Callable[[], float]) -> None:
        self._outside = outside
        self._now = now

    async def hand_over(self, package: Package) -> Answered:
        """Taken is what was answered with a 2xx."""
        body = package.body.encode()
        signed = headers(package.secrets, package.word, int(self._now()), body)
        try:
            answer = await self._outside.call(
                "POST", package.url, {"Content-Type": "application/json", **signed}, body
            )
        except NotReached as error:
            return Answered(is_taken=False, why=str(error))
        return answered(answer)


def answered(answer: Reached) -> Answered:
    """What an answer means. A redirect is not followed, and 410 wants nothing more."""
    if answer.is_taken:
        return Answered(is_taken=True, status=answer.status)
    why = "a redirect is not followed" if 300 <= answer.status < 400 else f"it answered {answer.status}"
    return Answered(
        is_taken=False,
        status=answer.status,
        why=why,
        is_gone=answer.status == _GONE,
        wait_s=min(answer.wait_s, _LONGEST_WAIT_S),
    )
