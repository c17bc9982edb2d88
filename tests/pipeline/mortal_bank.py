"""A bank of fifty texts, people who answer and leave, and a gateway that dies wherever it is told to.

Volunteers and people live outside the gateway: who gets no answer asks again, with the same idempotency key or the
same sid, as clients and Twilio do. The verdict knows only what the provider was handed, what was answered, and, of
texts that were acknowledged and never handed over, what the books say of them.
"""

import asyncio
from asyncio import Future
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.core.rules.safeguards import Kind
from gateway.providers.base import Accepted, Found, InboundText, NotSent, OutboundText
from tests.pipeline.scripted_provider import Lost, ScriptedProvider, reference
from tests.pipeline.world import SETTINGS, SETTLED_S, WatchedDatabase, World, number_phone, phone

PEOPLE = 42
LEAVING = range(3, PEOPLE + 1, 5)  # say STOP, some before and some after their text
ASKING = range(1, PEOPLE + 1, 3)  # have a question when they have had their text, and get an answer
FEW_CALLS = msgspec.structs.replace(
    SETTINGS, dispatch=msgspec.structs.replace(SETTINGS.dispatch, concurrency=5)
)
TEN_PER_S = CampaignSettings(registration=Registration(total_per_s=10))
SLOW_EACH = 5  # of so many calls one takes six seconds
ANSWER_WITHIN_S = 20.0
ASKED_AGAIN_AFTER_S = 2.0
ASKED_UNTIL_S = 400.0


class Death:
    """Counts the steps of a gateway, and ends it at those of `at`, each counted from the start before it.

    A step is a statement or a call to the provider, and there are two moments in each: before it is carried out,
    and after, before the gateway knows.
    """

    def __init__(self, world: World, at: Sequence[int] = ()) -> None:
        self._world = world
        self._at = list(at)
        self.count = 0
        self.died: Future[None] = asyncio.get_running_loop().create_future()

    def watch(self, database: WatchedDatabase) -> None:
        for hooks in (database.before, database.after):
            hooks.append((lambda _sql, _count: True, self.step))

    async def step(self) -> None:
        if self.died.done():
            raise asyncio.CancelledError  # the dead do not go on
        self.count += 1
        if self._at and self.count == self._at[0]:
            self._world.crash()
            self.died.set_result(None)
            raise asyncio.CancelledError

    def again(self) -> None:
        """The next life, with the next death."""
        self._at, self.count = self._at[1:], 0
        self.died = asyncio.get_running_loop().create_future()


class MortalProvider(ScriptedProvider):
    """Each call is two steps: the request may never leave, and its answer may never come."""

    death: Death
    find_lags_s = 5.0

    async def send(self, text: OutboundText) -> Accepted:
        await self.death.step()
        self.takes_s = 6.0 if len(self.calls) % SLOW_EACH == 0 else 0.2
        work = asyncio.ensure_future(super().send(text))
        await asyncio.sleep(0)  # taken, or not: the answer is on its way
        await self.death.step()
        return await work

    async def find(self, text: OutboundText, since: float, others: Collection[str] = ()) -> Found | None:
        await self.death.step()
        found = await super().find(text, since, others)
        if found and self._clock.now() - self._taken_at(text) < self.find_lags_s / 2:
            found = None  # the list lags
        await self.death.step()
        return found

    def _taken_at(self, text: OutboundText) -> float:
        return max(each.at for each in self.taken if reference(each.text) == reference(text))


class MortalBank:
    """`acknowledged`: contact and words of each text that was, by message id; `left`: who left, and when it was answered."""

    def __init__(self, world: World, deaths: Sequence[int] = (), *, down_s: float = 1.0) -> None:
        self.world = world
        self.death = Death(world, deaths)
        self.acknowledged: dict[int, tuple[int, str]] = {}
        self.left: dict[int, float] = {}
        self.steps = 0  # of the last life, until everybody had said and heard everything
        self._down_s = down_s
        self._is_up = True
        self._deaths = len(deaths)

    async def run(self) -> dict[str, object]:
        """The bank to its end, with as many restarts as deaths; what was promised and not kept."""
        self._put_provider()
        self.death.watch(self.world.database)
        life = asyncio.ensure_future(self._supervise())
        await self._everybody()
        self.steps = self.death.count
        await self.world.wait(4 * SETTLED_S)
        life.cancel()
        return await self.wrongs()

    def _put_provider(self) -> None:
        provider = self.world.provider
        assert isinstance(provider, MortalProvider)
        provider.death = self.death
        provider.answers.extend([None, Lost(taken=True), NotSent(), None, Lost(taken=False)])

    # ------------------------------------------------------------ the gateway

    async def _supervise(self) -> None:
        """Starts the gateway anew whenever it has died, in the middle of its start perhaps."""
        for _ in range(self._deaths):
            await self.death.died
            self._is_up = False
            await self.world.bury()
            await self.world.wait(self._down_s)
            self.death.again()
            starting = asyncio.ensure_future(self.world.start(self.death.watch))
            await asyncio.wait([starting, self.death.died], return_when=asyncio.FIRST_COMPLETED)
            self._is_up = not self.death.died.done()
            starting.cancel()

    # ------------------------------------------------------------ people and volunteers

    async def _everybody(self) -> None:
        people = [self._person(each) for each in range(1, PEOPLE + 1)]
        await asyncio.gather(*people)

    async def _person(self, contact_id: int) -> None:
        await self.world.wait(0.02 * contact_id)
        leaves_at_once = contact_id in LEAVING and contact_id % 2 == 0
        if leaves_at_once:
            await asyncio.gather(self._leave(contact_id), self._text(contact_id, "Hello"))
            return
        await self._text(contact_id, "Hello")
        if contact_id in LEAVING:
            await self.world.wait(contact_id % 9)
            await self._leave(contact_id)
        elif contact_id in ASKING:
            await self._write(contact_id, "Where do I vote?")
            await self._text(contact_id, "At the school", Kind.REPLY)

    async def _text(self, contact_id: int, words: str, kind: Kind = Kind.INITIAL) -> None:
        """A volunteer's; asked again with the same key until it is answered."""
        body = f"{words}, {contact_id}"

        async def ask() -> Any:
            return await self.world.submit(contact_id, body, kind=kind, key=body)

        outcome = await self._until_answered(ask)
        if outcome.admitted:
            self.acknowledged[outcome.message_id] = (contact_id, body)

    async def _leave(self, contact_id: int) -> None:
        await self._write(contact_id, "STOP")
        self.left[contact_id] = self.world.clock.now()

    async def _write(self, contact_id: int, words: str) -> None:
        sid = f"IN{contact_id}{words[:4].strip()}"
        text = InboundText(sid, phone(contact_id), number_phone(1), words, self.world.clock.now())
        await self._until_answered(lambda: self.world.provider.write(text))

    async def _until_answered(self, ask: Any) -> Any:
        """Asks a gateway that is up, again and again until it answers."""
        until = self.world.clock.now() + ASKED_UNTIL_S
        while self.world.clock.now() < until:
            if self._is_up and not self.death.died.done():
                death = self.death.died
                asked = asyncio.ensure_future(ask())
                await asyncio.wait(
                    [asked, death], timeout=ANSWER_WITHIN_S, return_when=asyncio.FIRST_COMPLETED
                )
                if asked.done() and not asked.cancelled() and not death.done():
                    return asked.result()
                asked.cancel()
            await self.world.wait(ASKED_AGAIN_AFTER_S)
        raise AssertionError(f"nobody answered for {ASKED_UNTIL_S} s")

    # ------------------------------------------------------------ the verdict

    async def wrongs(self) -> dict[str, object]:
        found = {
            "twice": self._twice(),
            "after a STOP": self._after_a_stop(),
            "lost": await self._lost(),
            "not settled": await self._not_settled(),
        }
        return {name: wrong for name, wrong in found.items() if wrong}

    def _twice(self) -> list[tuple[str, str]]:
        times = Counter((each.text.phone, each.text.body) for each in self.world.provider.taken)
        return [what for what, count in times.items() if count > 1]

    def _after_a_stop(self) -> list[tuple[int, float]]:
        """Calls that began after the 2xx, and how long after."""
        left = {phone(contact): at for contact, at in self.left.items()}
        return [
            (each.text.message_id, round(each.at - left[each.text.phone], 3))
            for each in self.world.provider.calls
            if each.at > left.get(each.text.phone, float("inf"))
        ]

    async def _lost(self) -> dict[int, object]:
        """Acknowledged, never handed over, and neither its person's leaving nor a queue says why."""
        had = {(each.text.phone, each.text.body) for each in self.world.provider.taken}
        missing = {
            message_id
            for message_id, (contact, body) in self.acknowledged.items()
            if (phone(contact), body) not in had
        }
        rows = {message_id: await self.world.message(message_id) for message_id in sorted(missing)}
        return {
            message_id: (row["state"], row["code"], row["reason"])
            for message_id, row in rows.items()
            if not (row["state"] == "blocked" and self.acknowledged[message_id][0] in self.left)
        }

    async def _not_settled(self) -> dict[int, str]:
        states = await self.world.states()
        return {
            message_id: state
            for message_id, state in states.items()
            if state in ("sending", "unknown", "queued")
        }
