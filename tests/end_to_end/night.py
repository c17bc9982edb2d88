"""A bank night with faults, and what was promised for it, judged from the carrier's ledger and what callers were told.

Clients repeat a request with its idempotency key until they are told 2xx; the carrier repeats its webhooks. The
judge knows no more than these: what each batch was answered, what the ledger saw, and, of texts that never came to
the carrier, what the gateway says of them.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp
import asyncpg
import msgspec

from tests.end_to_end.front import Front
from tests.end_to_end.processes import Running, free_port
from tests.end_to_end.town import CAMPAIGN, ON_THE_WAY, SHIFT_S, Town, open_town

STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
ON_THE_LINE_S = 0.25
"""A call that began just before a 2xx may be read by the carrier just after it: two processes on a busy machine."""
SETTLES_WITHIN_S = 150.0
ASKED_AGAIN_AFTER_S = 0.5
BATCH = 20
SUBMIT_TIMEOUT_S = 5.0
_LEFT = (("blocked", 1302), ("failed", 21610))
Faults = Callable[["Night"], Awaitable[None]]


class Verdict(msgspec.Struct, frozen=True):
    """What was promised and not kept: message ids, or (message id, seconds too late)."""

    lost: dict[int, str]
    unsettled: dict[int, str]
    twice: list[tuple[str, int]]
    after_stop: list[tuple[str, float]]
    after_pause: list[float]
    acknowledged: int
    at_the_carrier: int
    stops: int

    def wrongs(self) -> dict[str, int]:
        named = {
            "lost": self.lost,
            "unsettled": self.unsettled,
            "twice": self.twice,
            "after a STOP": self.after_stop,
            "after a pause": self.after_pause,
        }
        return {name: len(found) for name, found in named.items() if found}

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} acknowledged, {self.at_the_carrier} at the carrier, {self.stops} STOPs;"
            f" wrong: {self.wrongs() or 'nothing'}"
        )


@dataclass
class Night:
    """A town with several workers behind a load balancer, its clients and its people; all luck from one seed."""

    town: Town
    front: Front
    ports: Sequence[int]
    seed: int
    people: list[str] = field(default_factory=list)
    workers: list[Running | None] = field(default_factory=list)
    acknowledged: dict[int, tuple[str, str, str]] = field(default_factory=dict)  # id: phone, words, state
    pauses: list[tuple[float, float]] = field(
        default_factory=list
    )  # from the answer on, the market's seconds
    shift_s: float = 0.0  # by which the clocks of workers that are opened are wrong

    def __post_init__(self) -> None:
        self.luck = Random(self.seed)
        self._asked = 0
        self._numbers: list[str] = []
        self._answered: set[int] = set()
        self.books_dsn = (
            self.town.dsn
        )  # where the judge reads: past whatever stands between the gateway and its books

    # ------------------------------------------------------------ the workers

    async def open_worker(self, place: int) -> None:
        self.workers[place] = await self.town.open_gateway(
            port=self.ports[place], shift_s=SHIFT_S + self.shift_s
        )

    async def kill_worker(self, place: int) -> None:
        worker = self.workers[place]
        assert worker is not None
        self.workers[place] = None
        worker.thaw()
        await worker.kill()

    # ------------------------------------------------------------ clients

    async def send(self, people: Sequence[str], words: str, kind: str = "initial") -> None:
        """One batch, asked again with the same key until it is answered 2xx."""
        self._asked += 1
        key, nth = f"night-{self.seed}-{self._asked}", self._asked
        rows = [
            {"contact_id": self.town.contact_ids[to], "body": f"{words} {to[-7:]}.{nth}", "kind": kind}
            for to in people
        ]
        while True:
            answer = await self._asked_once("POST", "/v1/messages:batch", rows, key)
            if answer is not None:
                break
            await asyncio.sleep(ASKED_AGAIN_AFTER_S)
        for row, result in zip(rows, answer["results"], strict=True):
            if result.get("message_id"):
                to = people[rows.index(row)]
                self.acknowledged[result["message_id"]] = (to, row["body"], result["state"])

    async def _asked_once(self, method: str, path: str, rows: Sequence[Any], key: str) -> Any:
        body = {"campaign_id": CAMPAIGN, "messages": rows}
        try:
            status, answer = await self.town.call(method, path, body, **{"Idempotency-Key": key})
        except (aiohttp.ClientError, TimeoutError):
            return None
        if status in (409, 429, 502, 503, 504):
            return None
        assert status == 202, (status, answer)
        return answer

    async def send_all(self, people: Sequence[str], every_s: float, words: str = "Hello") -> None:
        """A batch now and then; each waits for its answer beside the others."""
        sent = []
        for first in range(0, len(people), BATCH):
            sent.append(asyncio.create_task(self.send(people[first : first + BATCH], words)))
            await asyncio.sleep(every_s)
        await asyncio.gather(*sent)

    async def answer_people(self) -> None:
        """Volunteers: who wrote and did not leave gets one answer."""
        while True:
            ledger = await self.town.tables(("inbound", "inbound_acknowledged"))
            texts = ledger["inbound"]
            wrote = {texts[row["n"]]["person"] for row in ledger["inbound_acknowledged"]}
            left = {row["person"] for row in texts if is_stop(row["text"])}
            people = sorted(wrote - left - self._answered)
            self._answered.update(people)
            if people:
                await self.send([f"+{each}" for each in people], "Thank you", "reply")
            await asyncio.sleep(0.5)

    async def leave(self, people: Sequence[str], over_s: float) -> None:
        """These people text STOP, at moments spread over so many seconds."""
        for person in people:
            await asyncio.sleep(self.luck.expovariate(len(people) / over_s))
            while not (numbers := await self.numbers()):  # noqa: ASYNC110 - another process tells nobody
                await asyncio.sleep(ASKED_AGAIN_AFTER_S)
            await self.town.person_texts(person, self.luck.choice(numbers), "STOP")

    async def numbers(self) -> list[str]:
        """Those that texts come from, as far as the gateway says; those it last said while it says nothing."""
        with suppress(aiohttp.ClientError, TimeoutError):
            status, answer = await self.town.call("GET", f"/v1/campaigns/{CAMPAIGN}/numbers")
            if status == 200:
                self._numbers = [each["phone"] for each in answer["numbers"]]
        return self._numbers

    async def pause(self, *, is_paused: bool) -> None:
        while True:
            try:
                status, _ = await self.town.call("PATCH", f"/v1/campaigns/{CAMPAIGN}", {"paused": is_paused})
            except (aiohttp.ClientError, TimeoutError):
                status = 503
            if status == 200:
                break
            await asyncio.sleep(ASKED_AGAIN_AFTER_S)
        now_s = (await self.town.twin("GET", "faults"))["now_s"]
        if is_paused:
            self.pauses.append((now_s, float("inf")))
        else:
            self.pauses[-1] = (self.pauses[-1][0], now_s)

    async def carrier_is_slow_now_and_then(self) -> None:
        while True:
            self.town.line.answers_after_s = self.luck.choice((0.0, 0.0, 0.2, 1.0, 2.5))
            await asyncio.sleep(self.luck.uniform(0.5, 3.0))

    # ------------------------------------------------------------ the verdict

    async def until_settled(self) -> None:
        """Waits until nothing is on its way, or as long as it may take."""
        self.town.line.answers_after_s = 0.0
        end = asyncio.get_running_loop().time() + SETTLES_WITHIN_S
        while asyncio.get_running_loop().time() < end:
            states = Counter(row[1] for row in await self._books())
            webhooks = (await self.town.twin("GET", "ledger"))["webhooks"]["outstanding"]
            if not webhooks and not any(states[each] for each in ON_THE_WAY):
                return
            await asyncio.sleep(0.5)

    async def _books(self) -> list[Any]:
        connection = await asyncpg.connect(self.books_dsn)
        try:
            return await connection.fetch(
                "SELECT message_id, state, code, reason FROM messages ORDER BY message_id"
            )
        finally:
            await connection.close()

    async def verdict(self) -> Verdict:
        books = {row[0]: tuple(row)[1:] for row in await self._books()}
        tables = await self.town.tables(
            ("submissions", "refusals", "finals", "arrivals", "inbound", "inbound_acknowledged")
        )
        left = stops(tables)
        seen = {row["message_id"] for row in tables["submissions"]}
        lost = {
            message_id: repr(books.get(message_id))
            for message_id, (to, _, state) in self.acknowledged.items()
            if message_id not in seen
            and state != "blocked"
            and not self._says_why(books.get(message_id), to, left)
        }
        return Verdict(
            lost=lost,
            unsettled={each: repr(row) for each, row in books.items() if row[0] in ON_THE_WAY},
            twice=had_twice(tables),
            after_stop=self._after_stop(tables, left),
            after_pause=self._after_pause(tables),
            acknowledged=len(self.acknowledged),
            at_the_carrier=len(seen),
            stops=len(left),
        )

    @staticmethod
    def _says_why(row: Any, to: str, left: dict[int, float]) -> bool:
        """What never came to the carrier: its person left, and the gateway or the provider says so."""
        return row is not None and row[:2] in _LEFT and int(to[1:]) in left

    def _after_stop(self, tables: dict[str, list[Any]], left: dict[int, float]) -> list[tuple[str, float]]:
        """Calls that came to the carrier after the STOP's 2xx had, refused there or not; real seconds."""
        speed = self.town.speed
        calls = [(row["to"], row["handed_at"]) for row in tables["submissions"]]
        calls += [(row["to"], row["at"]) for row in tables["refusals"]]
        late = ((to, (at - left[to]) / speed) for to, at in calls if to in left)
        return [(f"+{to}", round(by_s, 3)) for to, by_s in late if by_s > ON_THE_LINE_S]

    def _after_pause(self, tables: dict[str, list[Any]]) -> list[float]:
        moments = [row["handed_at"] for row in tables["submissions"]]
        margin = ON_THE_LINE_S * self.town.speed
        return [
            round((at - began) / self.town.speed, 3)
            for began, ended in self.pauses
            for at in moments
            if began + margin < at < ended
        ]


def is_stop(text: str) -> bool:
    return text.strip().strip(".!").upper() in STOP_WORDS


def stops(tables: dict[str, list[Any]]) -> dict[int, float]:
    """Who left, and when the first 2xx for it came to the carrier; infinite: never yet."""
    texts = tables["inbound"]
    left = {row["person"]: float("inf") for row in texts if is_stop(row["text"])}
    for row in tables["inbound_acknowledged"]:
        text = texts[row["n"]]
        if is_stop(text["text"]):
            left[text["person"]] = min(left[text["person"]], row["at"])
    return left


def had_twice(tables: dict[str, list[Any]]) -> list[tuple[str, int]]:
    """The same words to the same person, taken twice by the carrier and neither time failed."""
    failed = {row["n"] for row in tables["finals"] if row["code"]} - {row["n"] for row in tables["arrivals"]}
    kept = [row for row in tables["submissions"] if row["n"] not in failed]
    times = Counter((row["to"], row["body_key"]) for row in kept)
    return [(f"+{to}", count) for (to, _), count in times.items() if count > 1]


# ---------------------------------------------------------------- the stage


@asynccontextmanager
async def open_night(
    dsn: str,
    seed: int,
    *,
    workers: int = 1,
    people: int = 200,
    rate_per_s: float = 40.0,
    options: tuple[str, ...] = (),
    carrier: Sequence[str] = (),
    calls_at_once: int = 400,
) -> AsyncIterator[Night]:
    """Carrier, front and workers, a campaign and its contacts."""
    tell(f"night with seed {seed}")
    patient = (f"dispatch.submit_timeout_s={SUBMIT_TIMEOUT_S}", *options)
    async with open_town(dsn, gateway=False, options=patient, carrier=carrier) as town:
        ports = [free_port() for _ in range(workers)]
        front = Front(ports)
        await front.open()
        try:
            town.port, town.calls_at_once = front.port, calls_at_once
            night = Night(town, front, ports, seed, workers=[None] * workers)
            await asyncio.gather(*(night.open_worker(place) for place in range(workers)))
            await town.make_campaign(
                registration={"total_per_s": rate_per_s, "small_carrier_number_per_s": rate_per_s}
            )
            await town.bring_contacts(people)
            night.people = list(town.contact_ids)
            town.store.hang_up()  # no connection of ours is in the way of what comes
            yield night
        except BaseException:
            tell_last_words(town)
            raise
        finally:
            for worker in town.gateways:
                if worker.process.returncode is None:
                    worker.thaw()
            await front.close()


async def bank_through(night: Night, faults: Faults, *, leaving_share: float = 0.15) -> Verdict:
    """A bank of everybody while the faults last, with answers and STOPs; then the verdict."""
    people = night.people
    lasts_s = 3.0 + len(people) / 40.0
    leaving = night.luck.sample(people, int(leaving_share * len(people)))
    beside = [
        asyncio.create_task(night.answer_people()),
        asyncio.create_task(night.carrier_is_slow_now_and_then()),
    ]
    try:
        every_s = lasts_s * BATCH / len(people)
        await asyncio.gather(night.send_all(people, every_s), night.leave(leaving, lasts_s), faults(night))
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
    await night.until_settled()
    verdict = await night.verdict()
    tell(f"night with seed {night.seed}: {verdict}")
    return verdict


async def side_by_side(*nights: Awaitable[None]) -> None:
    """Several towns at the same time: they mostly wait. Each comes to its end, whatever becomes of the others."""
    ends = await asyncio.gather(*nights, return_exceptions=True)
    if failed := [each for each in ends if isinstance(each, BaseException)]:
        raise BaseExceptionGroup("not every night kept its promises", failed)


def tell(words: str) -> None:
    """Seeds and verdicts are shown with a failure, so that it can be run again."""
    sys.stderr.write(words + "\n")


def tell_last_words(town: Town) -> None:
    """The newest lines of each worker that are not about single messages."""
    for worker in town.gateways:
        lines = [line for line in worker.lines if '"event": "inbound"' not in line]
        tell(f"worker {worker.process.pid}, {worker.process.returncode}:\n" + "".join(lines[-15:]))


def assert_kept(night: Night, verdict: Verdict) -> None:
    assert verdict.wrongs() == {}, f"seed {night.seed}: {verdict}\n{msgspec.to_builtins(verdict)}"
    night.town.no_traceback()
