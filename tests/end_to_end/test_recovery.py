"""What breaks between gateway and carrier is mended over the real wire: nobody is texted twice, and nobody is lost."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tests.end_to_end.judgement import Judgement, assert_judged_well
from tests.end_to_end.town import Town, open_town

PEOPLE = 240
RATE_PER_S = 60.0
REGISTRATION = {"total_per_s": RATE_PER_S, "small_carrier_number_per_s": 20.0}
Trouble = Callable[[Town], Awaitable[None]]


async def bank_through(dsn: str, trouble: Trouble, *, speed: float = 30.0) -> Judgement:
    """A bank of PEOPLE, trouble in mid-bank, and in the end everybody has had one text."""
    async with open_town(dsn, contacts=PEOPLE, registration=REGISTRATION, speed=speed) as town:
        await town.send(list(town.contact_ids))
        await town.until_submitted(PEOPLE // 4)
        await trouble(town)
        await town.until_submitted(PEOPLE)
        await town.until_quiet()
        judgement = await assert_judged_well(town)
        states = await town.states()
        assert set(states) <= {"sent", "delivered", "undelivered"}, states
        assert sum(states.values()) == PEOPLE
        return judgement


# ---------------------------------------------------------------- the gateway dies


async def killed(town: Town) -> None:
    assert town.gateway is not None
    await town.gateway.kill()
    left = await town.states()
    assert left.get("queued", 0) + left.get("sending", 0) > 20
    await town.open_gateway()


async def killed_with_calls_under_way(town: Town) -> None:
    """The carrier has the texts, and its answers meet nobody."""
    town.line.answers_after_s = 30.0
    before = (await town.twin("GET", "ledger"))["counts"]["submitted"]
    await town.until_submitted(before + 20)
    assert town.gateway is not None
    await town.gateway.kill()
    assert (await town.states()).get("sending", 0) > 0
    town.line.answers_after_s = 0.0
    await town.open_gateway()


async def killed_twice(town: Town) -> None:
    await killed(town)
    before = (await town.twin("GET", "ledger"))["counts"]["submitted"]
    await town.until_submitted(before + 20)
    await killed(town)


# ---------------------------------------------------------------- the line breaks


async def cut_again_and_again(town: Town) -> None:
    for _ in range(4):
        town.line.cut()
        await asyncio.sleep(0.3)


async def carrier_away(town: Town) -> None:
    """Connections break, and for a while nobody listens."""
    await town.line.close()
    await asyncio.sleep(3)
    await town.line.open()


async def carrier_stands_still(town: Town) -> None:
    """For longer than anybody waits: what was sent to it is carried out after all, when it goes on."""
    town.carrier.freeze()
    await asyncio.sleep(7)
    town.carrier.thaw()


async def answers_never_come(town: Town) -> None:
    await town.fault("answers", lost_after_share=0.4, lost_before_share=0.3, errors_after_share=0.2)
    before = (await town.twin("GET", "ledger"))["counts"]["submitted"]
    await town.until_submitted(before + 40)
    await town.twin("DELETE", "faults")


async def answers_lost_on_the_line(town: Town) -> None:
    town.line.swallows_answers = True
    before = (await town.twin("GET", "ledger"))["counts"]["submitted"]
    await town.until_submitted(before + 40)
    town.line.swallows_answers = False


async def callbacks_before_the_answers(town: Town) -> None:
    """`sent` and `delivered` come while the gateway still waits for the answer that gives the id."""
    town.line.answers_after_s = 0.8
    before = (await town.twin("GET", "ledger"))["counts"]["submitted"]
    await town.until_submitted(before + 60)
    town.line.answers_after_s = 0.0


async def two_minutes_of_outage(town: Town) -> None:
    """Two minutes of the market's time: connections are taken and break, and nothing is done."""
    await town.fault("outage", for_real_s=120 / town.speed)
    await asyncio.sleep(120 / town.speed)


THE_GATEWAY = (killed, killed_with_calls_under_way, killed_twice)
THE_LINE = (cut_again_and_again, carrier_away, callbacks_before_the_answers, answers_lost_on_the_line)
THE_CARRIER = (carrier_stands_still, answers_never_come, two_minutes_of_outage)


@pytest.mark.parametrize(
    "troubles", [THE_GATEWAY, THE_LINE, THE_CARRIER], ids=["the gateway", "the line", "the carrier"]
)
async def test_everybody_is_texted_once(dsns: list[str], troubles: Sequence[Trouble]) -> None:
    """A town for each trouble, all at the same time: they mostly wait."""
    towns = [bank_through(dsn, trouble) for dsn, trouble in zip(dsns, troubles, strict=False)]
    ends = await asyncio.gather(*towns, return_exceptions=True)
    failed = [
        _named(trouble, end)
        for trouble, end in zip(troubles, ends, strict=True)
        if isinstance(end, BaseException)
    ]
    if failed:
        raise BaseExceptionGroup("not everybody was texted once", failed)


def _named(trouble: Trouble, error: BaseException) -> BaseException:
    error.add_note(f"in the town of: {trouble.__name__}")
    return error
