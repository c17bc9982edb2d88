"""STOPs and a pause while every call to the carrier is slow and few are allowed at once: none begins after the 2xx."""

import asyncio

from tests.end_to_end.night import Night, Verdict, assert_kept, open_night, side_by_side, tell

CALL_S = 4.0
FEW_CALLS = ("dispatch.concurrency=10", "dispatch.submit_timeout_s=15")
NARROW = ("dispatch.submit_timeout_s=15",)


async def slow_bank(night: Night) -> None:
    """Everybody is asked for at once, and the first calls are under way."""
    night.town.line.answers_after_s = CALL_S
    for first in range(0, len(night.people), 100):
        await night.send(night.people[first : first + 100], "Hello")
    await night.town.until_submitted(10)


async def judged(night: Night) -> Verdict:
    await asyncio.sleep(2 * CALL_S)
    night.town.line.answers_after_s = 0.0
    await night.until_settled()
    verdict = await night.verdict()
    tell(f"night with seed {night.seed}: {verdict}")
    return verdict


async def stops(dsn: str, options: tuple[str, ...], calls_at_once: int) -> None:
    async with open_night(
        dsn, 3, workers=2, people=120, options=options, calls_at_once=calls_at_once
    ) as night:
        await slow_bank(night)
        await night.leave(night.luck.sample(night.people, 40), 10.0)
        verdict = await judged(night)
        assert verdict.stops >= 40
        assert_kept(night, verdict)


async def pauses(dsn: str) -> None:
    """Twice: the front asks one worker, then the other."""
    async with open_night(dsn, 4, workers=2, people=120, options=FEW_CALLS) as night:
        await slow_bank(night)
        for place in range(2):
            night.front.prefers["/v1/campaigns"] = place
            await night.pause(is_paused=True)
            await asyncio.sleep(2 * CALL_S)
            await night.pause(is_paused=False)
            await asyncio.sleep(CALL_S)
        assert_kept(night, await judged(night))


async def test_stops_and_pauses_at_any_worker_while_calls_are_slow(dsns: list[str]) -> None:
    """Few calls at once: few of ours, or few that the provider allows."""
    await side_by_side(stops(dsns[0], FEW_CALLS, 400), stops(dsns[1], NARROW, 10), pauses(dsns[2]))
