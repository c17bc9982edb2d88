"""Who takes what a campaign's endpoints are told: a signed POST, or the API of VAN."""

from collections.abc import Callable
from typing import Final

from gateway.config import Settings
from gateway.core.bank.webhooks import Answered, Package, networks
from gateway.providers.outside import Outside
from gateway.providers.van import Van
from gateway.providers.webhook import Webhook


class Couriers:
    """One way out for all endpoints of a worker, each kind by its courier. `now` tells Unix seconds."""

    def __init__(self, settings: Settings, now: Callable[[], float]) -> None:
        webhooks = settings.webhooks
        self._outside = Outside(
            allowed=networks(webhooks.allowed_networks),
            timeout_s=webhooks.timeout_s,
            at_once=webhooks.at_once,
        )
        self._by_kind: Final = {
            "webhook": Webhook(self._outside, now).hand_over,
            "van": Van(self._outside).hand_over,
        }

    async def hand_over(self, package: Package) -> Answered:
        courier = self._by_kind.get(package.kind)
        if courier is None:
            return Answered(is_taken=False, why=f"this release has no courier for the kind {package.kind}")
        return await courier(package)

    async def close(self) -> None:
        await self._outside.close()
