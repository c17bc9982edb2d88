"""A bank of 2,000 people through the public API, with everything that goes wrong on such a day, and the ledger judges."""

import asyncio

import msgspec
import numpy as np

from simulator.audit.auditor import audit
from tests.end_to_end.judgement import Judgement, assert_judged_well
from tests.end_to_end.town import CAMPAIGN, ON_THE_WAY, Town, open_town

PEOPLE = 2000
RATE_PER_S = 150.0
UNHAPPY = {
    "lost_after_share": 0.02,
    "lost_before_share": 0.01,
    "errors_after_share": 0.02,
    "errors_before_share": 0.01,
    "throttled_share": 0.02,
}


class Volunteers:
    """They answer whoever writes, once, as long as the bank lasts; whom they may not answer is not their concern."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.answered: set[int] = set()
        self.codes: list[int | None] = []

    async def work(self) -> None:
        while True:
            ledger = await self.town.tables(("inbound", "inbound_acknowledged"))
            texts = ledger["inbound"]
            people = {texts[row["n"]]["person"] for row in ledger["inbound_acknowledged"]} - self.answered
            if people:
                self.answered |= people
                results = await self.town.send(
                    [f"+{person}" for person in sorted(people)], "Thank you, {}!", kind="reply"
                )
                self.codes += [row.get("code") for row in results]
            await asyncio.sleep(0.5)


async def everything_goes_wrong(town: Town) -> None:
    """Brown-out, lost and bad answers, throttling, a receipt storm, a ban and a wave of STOPs, all in mid-bank."""
    await town.fault("answers", **UNHAPPY)
    await town.until_submitted(200)
    await town.fault("brownout", 4.0, carrier="verizon", slow_factor=20)
    await town.fault("stop_wave", 3.0, share=0.10)
    await town.until_submitted(600)
    await town.fault("receipt_storm", 4.0)
    numbers = (await town.call("GET", f"/v1/campaigns/{CAMPAIGN}/numbers"))[1]["numbers"]
    await town.fault("number_ban", phone=numbers[0]["phone"], code=21606)
    await town.until_submitted(1200)
    await town.twin("DELETE", "faults")
    await town.fault("number_ban", phone=numbers[0]["phone"], code=21606)


async def test_a_bank_with_everything_that_goes_wrong(dsn: str) -> None:
    registration = {"total_per_s": RATE_PER_S, "small_carrier_number_per_s": 5.0}
    async with open_town(dsn, contacts=PEOPLE, registration=registration) as town:
        volunteers = Volunteers(town)
        working = asyncio.create_task(volunteers.work())
        people = list(town.contact_ids)
        asked = [town.send(people[first : first + 250]) for first in range(0, PEOPLE, 250)]
        *results, _ = await asyncio.gather(*asked, everything_goes_wrong(town))
        assert {row["state"] for batch in results for row in batch} <= {"queued", "sending"}
        await town.until_submitted(PEOPLE - 100)
        await town.until_quiet()
        working.cancel()
        judgement = await assert_judged_well(town)
        await everybody_was_texted(town)
        await people_who_left_are_left_alone(town, judgement)
        the_ban_moved_people_once(judgement)
        assert volunteers.codes.count(None) > 50
        assert 1302 in volunteers.codes  # a STOP is no question
        the_judge_can_object(judgement)


async def everybody_was_texted(town: Town) -> None:
    """Nobody was forgotten: the first text of each is with the carrier, or says why it is not."""
    rows = await town.store.fetch(
        "SELECT state, code, count(*)::int FROM messages WHERE kind = 'initial' GROUP BY 1, 2 ORDER BY 1, 2"
    )
    found = {(row[0], row[1]): row[2] for row in rows}
    assert sum(found.values()) == PEOPLE
    assert not {state for state, _ in found} & set(ON_THE_WAY)
    assert sum(count for (state, _), count in found.items() if state == "delivered") > 0.9 * PEOPLE
    assert await town.store.fetch_value("SELECT count(*) FROM queue") == 0


async def people_who_left_are_left_alone(town: Town, judgement: Judgement) -> None:
    """There were many, and after the STOP every way to them is shut."""
    left = {f"+{each}" for each in judgement.books.opt_outs["phone"].tolist()}
    assert len(left) > 40
    before = len(await town.table("submissions"))
    results = await town.send(sorted(left & set(town.contact_ids)), "One more {}", kind="reply")
    assert {row.get("code") for row in results} == {1302}
    assert len(await town.table("submissions")) == before


def the_ban_moved_people_once(judgement: Judgement) -> None:
    """21606 retired a number: who talked with it has one new number since, and the auditor says each only one."""
    numbers = judgement.books.numbers
    assert np.count_nonzero(numbers["state"] == "retired") == 1
    assert len(numbers) <= PEOPLE // 300 + 3
    assert judgement.audit.counts["one_number_a_contact"] == 0


def the_judge_can_object(judgement: Judgement) -> None:
    """The same evidence with one line more, or one line changed, is found wanting: the verdict means something."""
    ledger, books, world = judgement.ledger, judgement.books, judgement.world
    stopped = msgspec.structs.replace(books, opt_outs=books.opt_outs.copy())
    stopped.opt_outs["at"] = world.start_at
    assert audit(ledger, stopped, world).counts["no_text_after_opt_out"] > 0
    fewer = msgspec.structs.replace(books, messages=books.messages[1:])
    counts = audit(ledger, fewer, world).counts
    assert counts["books_balance"] > 0
    assert counts["accepted_is_stored"] > 0
    ledger.submissions.append(*ledger.submissions.row(0).values())
    ledger._states.append(0)
    assert audit(ledger, books, world).counts["accepted_once"] > 0
