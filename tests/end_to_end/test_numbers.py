"""Numbers that carriers do not know (yet), over HTTP, with a gateway that is killed between: what is bought, and who waits."""

from pathlib import Path

from tests.end_to_end.judgement import assert_judged_well
from tests.end_to_end.town import CAMPAIGN, SETTINGS, Town, open_town, until

PEOPLE = 60
HERE = Path(__file__).parent
# Impatient, as all settings of a town.
POOL = {
    **SETTINGS["pool"],
    "settle_s": 0.5,
    "max_settle_s": 2.0,
    "rotate_after": 10,
    "max_purchases_per_day": 3,
}


async def purchases(town: Town) -> int:
    """Numbers that the carrier sold."""
    return sum(row["code"] == 0 for row in await town.table("purchases"))


async def refusals(town: Town, code: int) -> int:
    return sum(row["code"] == code for row in await town.table("finals"))


async def killed_after(town: Town, refused: int, code: int) -> None:
    """kill -9 once carriers have refused so many texts, and a new gateway."""

    async def are_refused() -> bool:
        return await refusals(town, code) >= refused

    await until(are_refused)
    assert town.gateway is not None
    await town.gateway.kill()
    await town.open_gateway()


async def test_a_cold_start_where_carriers_learn_of_numbers_late(dsn: str) -> None:
    async with open_town(dsn, contacts=PEOPLE, scenario=HERE / "late-town.toml", pool=POOL) as town:
        await town.send(list(town.contact_ids))
        for refused in (1, 3):
            await killed_after(town, refused, 30035)
        await town.until_quiet()
        states = await town.states()
        assert states["delivered"] + states.get("undelivered", 0) == PEOPLE  # a phone may be out of service
        assert await purchases(town) <= 3
        await assert_judged_well(town)


async def test_an_unregistered_campaign_buys_one_number_and_says_so(dsn: str) -> None:
    scenario = HERE / "unregistered-town.toml"
    async with open_town(dsn, contacts=PEOPLE, scenario=scenario, pool=POOL) as town:
        await town.send(list(town.contact_ids))
        for nth in (1, 2, 3):
            await killed_after(town, 2 * nth, 30034)
        assert await purchases(town) == 1
        assert set(await town.states()) <= {"queued", "sending", "sent"}
        _, pool = await town.call("GET", f"/v1/campaigns/{CAMPAIGN}/numbers")
        assert pool["nothing_bought_because"] == "unregistered"
        assert [each["refused_with"] for each in pool["numbers"]] == [30034]
