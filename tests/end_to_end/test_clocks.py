"""A gateway whose clock is minutes off the carrier's, or off the next gateway's: nobody is texted twice, nobody lost."""

from collections import Counter

import pytest

from tests.end_to_end.town import SHIFT_S, Town, open_town, until

PEOPLE = 60
REGISTRATION = {"total_per_s": 30.0, "small_carrier_number_per_s": 20.0}


@pytest.mark.parametrize(("first_ahead_s", "next_ahead_s"), [(120, 120), (20, 0), (0, 120), (-120, -120)])
async def test_a_kill_with_calls_under_way(dsn: str, first_ahead_s: float, next_ahead_s: float) -> None:
    """The carrier has the texts, their answers meet nobody, and who takes over asks by the carrier's clock."""
    async with open_town(dsn, gateway=False, speed=1.0) as town:
        await town.open_gateway(shift_s=SHIFT_S + first_ahead_s)
        await town.make_campaign(registration=REGISTRATION)
        await town.bring_contacts(PEOPLE)
        await town.send(list(town.contact_ids))
        await town.until_submitted(5)
        town.line.answers_after_s = 30.0
        await town.until_submitted(await submitted(town) + 10)
        assert town.gateway is not None
        await town.gateway.kill()
        assert (await town.states()).get("sending", 0) > 0
        town.line.answers_after_s = 0.0
        await town.open_gateway(shift_s=SHIFT_S + next_ahead_s)
        await until(lambda: nobody_waits(town))
        texts = Counter(row["to"] for row in await town.table("submissions"))
        assert [to for to, count in texts.items() if count > 1] == []
        assert len(texts) == PEOPLE
        town.no_traceback()


async def submitted(town: Town) -> int:
    return int((await town.twin("GET", "ledger"))["counts"]["submitted"])


async def nobody_waits(town: Town) -> bool:
    states = await town.states()
    return not any(states.get(state) for state in ("queued", "sending", "unknown"))
