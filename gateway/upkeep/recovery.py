"""Recovery: what a crash or a lost answer left behind is settled by asking, never by sending again.

A message is `sending` or `unknown` when we cannot know whether the provider has it. Once its request can no
longer be on the wire, the provider is asked: it has the message (then its word counts), or it never had it
(then nothing was sent, and the message queues again). "Never" is believed at once only of a provider whose list
is exact; of one whose list lags, when it is said twice, as far apart as it may lag (`find_lags_s`).
"""

import asyncio
from collections.abc import Iterator, Sequence

from gateway.clock import Clock
from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.lifecycle import State
from gateway.core.rules.retry import Ended
from gateway.pipeline.delivery import Delivery, News
from gateway.pipeline.hand_over import HandOver, Unsettled
from gateway.providers.base import OutboundText, Provider, ProviderError, StatusReport
from gateway.store import receipts
from gateway.store.database import Database
from gateway.upkeep.periodic import repeatedly

_AT_ONCE = 16  # questions: an outage leaves thousands of messages to ask about, and the bank needs its places


class Recovery:
    """Asks about unsettled messages every `ask_every_s`, not before `on_the_wire_s` after their hand-over."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        provider: Provider,
        delivery: Delivery,
        hand_over: HandOver,
        *,
        on_the_wire_s: float,
        ask_every_s: float = 30.0,
    ) -> None:
        self._database = database
        self._clock = clock
        self._provider = provider
        self._delivery = delivery
        self._hand_over = hand_over
        self._not_found_at: dict[int, float] = {}  # message -> when the provider first did not know it
        self._look_again_at: dict[CampaignKey, float] = {}
        self._on_the_wire_s = on_the_wire_s
        self._ask_every_s = ask_every_s

    async def adopt(self, key: CampaignKey) -> int:
        """Takes over what an earlier owner left unsettled; returns how many messages.

        Looks once more when the earlier owner's last statements must have ended.
        """
        self._look_again_at[key] = self._clock.now() + self._on_the_wire_s
        return await self._take_over(key)

    async def _take_over(self, key: CampaignKey) -> int:
        now = self._clock.now()
        left = [
            each
            for each in await receipts.unsettled(self._database, key)
            if each.message_id not in self._hand_over.unsettled
            and not self._hand_over.knows(each.message_id, each.attempt)
        ]
        for each in left:
            text = OutboundText(
                key.campaign_id,
                each.message_id,
                each.attempt,
                each.phone,
                each.number_phone,
                each.body,
                0,
                0.0,
            )
            # its request left at its slot, or just before the crash
            self._hand_over.unsettled[each.message_id] = Unsettled(text, min(each.slot_at, now), now)
        return len(left)

    async def run(self) -> None:
        await asyncio.sleep(self._ask_every_s)
        await repeatedly(self.run_once, lambda _: self._ask_every_s, "settling what was left")

    async def run_once(self) -> None:
        """Settles what can be settled now."""
        now = self._clock.now()
        for key, look_at in list(self._look_again_at.items()):
            if look_at <= now:
                await self._take_over(key)
                del self._look_again_at[key]
        unsettled = self._hand_over.unsettled.values()
        due = [each for each in unsettled if each.latest_at <= now - self._on_the_wire_s]
        for some in _at_once(due):
            await asyncio.gather(*(self._ask(each) for each in some))

    async def _ask(self, unsettled: Unsettled) -> None:
        if await self._settle(unsettled):
            self._hand_over.unsettled.pop(unsettled.text.message_id, None)
            self._not_found_at.pop(unsettled.text.message_id, None)

    async def _settle(self, unsettled: Unsettled) -> bool:
        text = unsettled.text
        try:
            found = await self._provider.find(text, since=unsettled.earliest_at - self._on_the_wire_s)
        except ProviderError:
            return False
        now = self._clock.now()
        if found is None:
            if now - self._not_found_at.setdefault(text.message_id, now) < self._provider.find_lags_s:
                return False
            never = News(
                text.campaign_id,
                text.message_id,
                text.attempt,
                State.FAILED,
                now,
                ended=Ended.NOT_SENT,
                is_answer=True,
            )
            await self._delivery.answer(never)
            return True
        await self._delivery.status(
            StatusReport(
                text.campaign_id,
                text.message_id,
                text.attempt,
                found.status,
                found.code,
                now,
                found.provider_sid,
            )
        )
        return True


def _at_once(due: Sequence[Unsettled]) -> Iterator[list[Unsettled]]:
    """Some at a time, of one person one: two texts are told apart by what is known of the first."""
    by_person: dict[str, list[Unsettled]] = {}
    for each in due:
        by_person.setdefault(each.text.phone, []).append(each)
    for nth in range(max(map(len, by_person.values()), default=0)):
        people = [texts[nth] for texts in by_person.values() if nth < len(texts)]
        for first in range(0, len(people), _AT_ONCE):
            yield people[first : first + _AT_ONCE]
