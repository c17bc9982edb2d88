"""A storm on two workers over one database: claims, double presses, stops and reloads, and each person is texted once."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.core.bank.permissions import Role
from gateway.p2p.bank import Scripts
from gateway.serve import running, webhook_doors
from tests.http.house import CAMPAIGN, PUBLIC_URL, SETTINGS, House, a_house
from tests.http.signing_provider import SigningProvider

ACTION, PEOPLE, VOLUNTEERS, SIZE = 5, 240, 24, 10
PATH = f"/v1/campaigns/{CAMPAIGN}/actions/{ACTION}"


class Progress:
    """Whoever finds that others have everybody waits until one of them has pressed, or given back."""

    def __init__(self) -> None:
        self.steps = 0
        self._moved = asyncio.Condition()

    async def step(self) -> None:
        async with self._moved:
            self.steps += 1
            self._moved.notify_all()

    async def after(self, steps: int) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self.steps > steps)


class Volunteer:
    """Texts until there is nobody left for them; at either worker, whichever the luck says."""

    def __init__(self, house: House, urls: list[str], progress: Progress, number: int) -> None:
        self.house = house
        self.progress = progress
        self.urls = urls
        self.number = number
        self.luck = random.Random(number)
        self.sizes: list[int] = []
        self.after: int | None = None

    async def ask(self, path: str, body: dict[str, Any]) -> Any:
        """As a phone does it: what a busy worker did not take is asked again, of whichever worker."""
        status = 503
        while status == 503:
            answer = await self.house.call(
                "POST",
                PATH + path,
                {"volunteer_id": self.number, **body},
                key=Role.KEY_SENDER,
                url=self.luck.choice(self.urls),
            )
            status = answer.status
        assert status in (200, 202), answer.body
        return answer.body

    async def text(self) -> None:
        while True:
            steps = self.progress.steps
            wanted = {"size": SIZE, "after": self.after}
            both = await asyncio.gather(*(self.ask("/buckets", wanted) for _ in range(2)))
            found = [
                each for each in both if each["rows"]
            ]  # one may have come before somebody gave people back
            assert len({tuple(row["contact_id"] for row in each["rows"]) for each in found}) <= 1
            bucket = found[0] if found else both[0]
            if not bucket["rows"]:
                if bucket["left"]["nobody"]:
                    return
                await self.progress.after(steps)
                self.after = None
                continue
            self.after = bucket["bucket_id"]
            await self.press(bucket["rows"])

    async def press(self, rows: list[Any]) -> None:
        """Each of them, some twice at once; now and then the rest is given back."""
        for place, row in enumerate(rows):
            if self.luck.random() < 0.02:
                left = [each["contact_id"] for each in rows[place:]]
                await self.ask("/buckets:done", {"contact_ids": left})
                self.after = None
                await self.progress.step()
                return
            press = {"contact_id": row["contact_id"], "variant": row["variant"], "hash": row["hash"]}
            times = 2 if self.luck.random() < 0.2 else 1
            await asyncio.gather(*(self.ask("/sends", press) for _ in range(times)))
            await self.progress.step()


@pytest.fixture
async def storm(dsn: str) -> AsyncIterator[tuple[House, list[str]]]:
    """A house, and the doors of its two workers."""
    async with a_house(dsn, people=PEOPLE) as house:
        provider = SigningProvider()
        doors = webhook_doors(provider, PUBLIC_URL)
        async with running(SETTINGS, dsn, provider, doors, house.worker.clock) as second:
            yield house, [house.worker.url, second.url]


async def test_each_person_is_texted_once(storm: tuple[House, list[str]]) -> None:
    """C23: whatever comes at once, from wherever."""
    house, urls = storm
    await house.worker.gateway.bank.publish(CAMPAIGN, ACTION, "Polls", Scripts(initials=("Hi",)), seed=1)
    progress = Progress()
    volunteers = [Volunteer(house, urls, progress, number) for number in range(1, VOLUNTEERS + 1)]
    async with asyncio.timeout(120):
        await asyncio.gather(*(each.text() for each in volunteers))
    rows = await house.store.fetch(
        """
        SELECT m.contact_id, m.sender_id, a.volunteer_id FROM messages m
        JOIN assignments a ON a.contact_id = m.contact_id AND a.action_id = m.action_id WHERE m.state <> 'blocked'
        """
    )
    assert Counter(row[0] for row in rows) == Counter(range(1, PEOPLE + 1))
    assert all(row[1] == row[2] for row in rows)
    assert {row[1] for row in rows} > {1}
