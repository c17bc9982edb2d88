"""Streams of counts: all first, then what is new; for whom it is, and no longer than they may read it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

import gateway.http.live as door
import gateway.p2p.live as hub
from gateway.core.bank.permissions import Role
from tests.http.house import CAMPAIGN, SETTINGS, House, a_house
from tests.http.persons import somebody

EVENTS = f"/v1/campaigns/{CAMPAIGN}/events"
ACTION = "action:5"


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "EVERY_S", 0.05)


class Reader:
    """A browser's side of a stream: `numbers` by topic, as they are after what was read."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self._response = response
        self.numbers: dict[str, dict[str, int]] = {}
        self.kinds: list[str] = []
        self.id: str | None = None
        self.comments = 0

    async def event(self) -> dict[str, Any] | None:
        """The next one; None at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(60):
            while line := (await self._response.content.readline()).decode():
                if line == "\n" and "data" in fields:
                    return self._take(fields)
                name, _, value = line.rstrip("\n").partition(": ")
                self.comments += line.startswith(":")
                fields[name] = value
        return None

    def _take(self, fields: dict[str, str]) -> dict[str, Any]:
        told: dict[str, Any] = msgspec.json.decode(fields["data"])
        self.id = fields["id"]
        self.kinds.append(fields["event"])
        if fields["event"] == "snapshot":
            self.numbers[told["topic"]] = {}
        self.numbers.setdefault(told["topic"], {}).update(told["counts"])
        return told

    async def until(self, topic: str, name: str, number: int) -> None:
        while self.numbers.get(topic, {}).get(name) != number:
            assert await self.event() is not None


@asynccontextmanager
async def reading(
    house: House, topics: str, *, key: str | Role = Role.KEY_ADMIN, since: str | None = None, more: str = ""
) -> AsyncIterator[Reader]:
    headers = {"Authorization": f"Bearer {house.keys[key] if isinstance(key, Role) else key}"}
    if since is not None:
        headers["Last-Event-ID"] = since
    url = f"{house.worker.url}{EVENTS}?topics={topics}{more}"
    async with house.session.get(url, headers=headers) as response:
        yield Reader(response)


async def test_all_first_and_then_what_is_new(house: House) -> None:
    await house.send(1, action_id=5)
    async with reading(house, f"{ACTION},inbox:all") as reader:
        first, second = await reader.event(), await reader.event()
        assert first is not None
        assert second is not None
        assert reader.kinds == ["snapshot", "snapshot"]
        assert second["counts"] == {"all": 0, "unread": 0, "needs_attention": 0, "archived": 0}
        await reader.until(
            ACTION, "segments", 1
        )  # at once, unless somebody else's transaction is open just now
        await house.send(2, action_id=5)
        await house.writes(1, "Yes")
        await reader.until("inbox:all", "unread", 1)
        await reader.until(ACTION, "response.reply", 1)
        await reader.until(ACTION, "segments", 2)
        assert set(reader.kinds[2:]) == {"delta"}


async def test_what_is_asked_for_once_ends(house: House) -> None:
    async with reading(house, "inbox", more="&once=true") as reader:
        assert await reader.event() is not None
        assert await reader.event() is None


async def test_whoever_comes_back_gets_what_has_changed_since_or_all_of_it(house: House) -> None:
    async with reading(house, "inbox:all") as reader:
        await reader.event()
    await house.send(1, action_id=5)
    await house.writes(1, "Yes")
    async with reading(house, "inbox:all", since=reader.id) as again:
        told = await again.event()
        assert told is not None
        assert (again.kinds, told["counts"]) == (["delta"], {"all": 1, "unread": 1, "needs_attention": 1})
    for unknown in ("other.1", f"{house.worker._parts.live.epoch}.x", "", "1.2.3"):
        async with reading(house, "inbox:all", since=unknown) as again:
            await again.event()
            assert again.kinds == ["snapshot"]


async def test_volunteers_watch_their_own_inbox_and_nothing_else(house: House) -> None:
    ann, ann_id = await somebody(house, "volunteer", "ann@example.org")
    ben, _ = await somebody(house, "volunteer", "ben@example.org")
    await house.send(1, action_id=5, sender_id=ann_id)
    async with reading(house, "inbox", key=ann) as anns, reading(house, "inbox", key=ben) as bens:
        await anns.event()
        await bens.event()
        await house.writes(1, "Yes")
        await anns.until("inbox", "unread", 1)
        read = await house.call("GET", f"/v1/campaigns/{CAMPAIGN}/conversations/1", key=ann)
        revision = read.body["conversation"]["revision"]
        done = await house.call(
            "POST", f"/v1/campaigns/{CAMPAIGN}/conversations/1/archive", {"revision": revision}, key=ann
        )
        assert done.status == 200
        await anns.until("inbox", "archived", 1)
        assert bens.kinds == ["snapshot"]
    for forbidden in (ACTION, "inbox:all", f"inbox,{ACTION}"):
        async with reading(house, forbidden, key=ann) as refused:
            assert refused.status == 403


async def test_what_one_worker_writes_is_on_the_streams_of_the_other(houses: tuple[House, House]) -> None:
    """Its place is no place at the other worker: whoever comes back there gets everything."""
    one, other = houses
    async with reading(other, f"{ACTION},inbox:all") as reader:
        assert await reader.event() is not None
        assert (await one.send(1, action_id=5)).status == 202
        await one.writes(1, "Yes")
        await reader.until(ACTION, "response.reply", 1)
        await reader.until("inbox:all", "unread", 1)
    async with reading(one, "inbox:all", since=reader.id) as again:
        await again.until("inbox:all", "unread", 1)
        assert again.kinds == ["snapshot"]


async def test_topics_that_there_are_not(house: House) -> None:
    many = ",".join(f"action:{each}" for each in range(30))
    for wrong in ("nothing", "action:x", "action:", f"action:{2**63}", "inbox:7", "", many):
        async with reading(house, wrong) as refused:
            assert refused.status == 422, wrong


async def test_a_stream_ends_with_its_session(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "QUIET_S", 0.05)
    ann, _ = await somebody(house)
    async with reading(house, "inbox", key=ann) as reader:
        await reader.event()
        assert (await house.call("DELETE", "/v1/sessions/current", key=ann)).status in (200, 204)
        assert await reader.event() is None
        assert reader.comments > 0


async def test_so_many_and_no_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MOST_OF_ONE", 2)
    async with reading(house, "inbox") as one, reading(house, "inbox") as two:
        assert (one.status, two.status) == (200, 200)
        async with reading(house, "inbox") as refused:
            assert refused.status == 429
        monkeypatch.setattr(door, "MOST_STREAMS", 2)
        async with reading(house, "inbox", key=Role.KEY_READER) as refused:
            assert refused.status == 503
    async with asyncio.timeout(door.QUIET_S / 2):  # who is gone is noticed before the next word
        while True:
            async with reading(house, "inbox", more="&once=true") as again:
                if again.status == 200:
                    break


async def test_streams_do_not_hold_up_a_stop(dsn: str) -> None:
    loop = asyncio.get_running_loop()
    async with a_house(dsn, settings=SETTINGS) as house:
        readers = []
        for number in range(50):
            context = reading(house, "inbox", key=list(house.keys)[number % 3])
            readers.append((context, await context.__aenter__()))
        for _, reader in readers:
            await reader.event()
        began_at = loop.time()
        await house.worker.stop()
        assert loop.time() - began_at < 5.0  # without streams it takes about a second
        for context, reader in readers:
            assert await reader.event() is None
            await context.__aexit__(None, None, None)


async def test_while_nobody_watches_nobody_looks(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    whole = hub.counts.read_all

    async def counted(*args: Any) -> Any:
        nonlocal looks
        looks += 1
        return await whole(*args)

    monkeypatch.setattr(hub.counts, "read_all", counted)
    async with reading(house, ACTION) as one, reading(house, ACTION, key=Role.KEY_READER) as two:
        await one.event()
        await two.event()
        assert looks <= 3  # one look for both, but one that began between them
    live = house.worker._parts.live
    async with asyncio.timeout(20):
        while any(each.watchers for each in live._campaigns[CAMPAIGN].watched.values()):
            await house.call("GET", "/healthz", key=None)
    looks = 0
    for _ in range(3):
        await live._look(live._campaigns[CAMPAIGN], is_due=True)
    assert looks == 0


async def test_a_reader_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_SLOWEST_S", 0.01)
    aborted = []

    class Stuck:
        transport = type("Transport", (), {"abort": lambda _self: aborted.append(True)})()

        async def write(self, _data: bytes) -> None:
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await door._write(Stuck(), Stuck(), b"x")  # type: ignore[arg-type]
    assert aborted == [True]
