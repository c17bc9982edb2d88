"""Numbers bought just in time, and what happens when none can be had."""

import pytest

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.core.sending.numbers import PoolPolicy
from gateway.providers.base import BoughtNumber, NotSent, Refused
from tests.pipeline.world import CAMPAIGN, World, number_phone


def campaign(**policy: object) -> CampaignSettings:
    return CampaignSettings(pool=PoolPolicy(preferred_area_codes=("267",), **{"settle_s": 0.0, **policy}))


def test_the_first_number_is_bought_in_the_preferred_area_code(play):
    async def story(world: World) -> None:
        world.provider.on_sale.extend([number_phone(1), number_phone(2)])
        outcomes = await world.send_all(range(1, 6))
        await world.wait(30)
        assert [await world.state(each.message_id) for each in outcomes] == ["sent"] * 5
        assert world.provider.bought == [number_phone(1)]
        assert world.provider.asked_to_buy[0] == "267"
        row = await world.store.fetch_row("SELECT phone, provider_sid, state, bought_because FROM numbers")
        assert tuple(row) == (number_phone(1), f"PN{number_phone(1)}", "active", "first_number")

    play(story, campaign=campaign(), own_numbers=0)


def test_when_none_can_be_had_for_minutes_1203(play):
    async def story(world: World) -> None:
        outcomes = await world.send_all(range(1, 6))
        await world.wait(240)
        assert set((await world.states()).values()) == {"queued"}
        await world.wait(120)
        rows = [await world.message(each.message_id) for each in outcomes]
        assert {(row["state"], row["code"], row["attempt"]) for row in rows} == {("blocked", 1203, 0)}
        assert world.handed == []
        assert await world.queued() == []
        assert world.provider.asked_to_buy[0] == "267"
        assert world.provider.asked_to_buy[-1] == ""

    play(story, campaign=campaign(), own_numbers=0)


def test_an_area_code_that_is_sold_out_is_not_the_end(play):
    async def story(world: World) -> None:
        buy = world.provider.buy

        async def only_anywhere(campaign_id: int, area_code: str):
            if area_code:
                world.provider.asked_to_buy.append(area_code)
                raise Refused(21422)
            return await buy(campaign_id, area_code)

        world.provider.buy = only_anywhere
        world.provider.on_sale.append(number_phone(1))
        outcome = await world.submit(1)
        await world.wait(30)
        assert await world.state(outcome.message_id) == "sent"
        assert world.provider.asked_to_buy == ["267", ""]

    play(story, campaign=campaign(), own_numbers=0)


def test_once_on_sale_again_messages_go(play):
    async def story(world: World) -> None:
        await world.submit(1)
        await world.wait(60)
        world.provider.on_sale.append(number_phone(1))
        await world.wait(3600)
        outcome = await world.submit(2)
        await world.wait(60)
        assert await world.state(outcome.message_id) == "sent"

    play(story, campaign=campaign(), own_numbers=0)


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_never_more_numbers_than_registered(play, limit: int):
    async def story(world: World) -> None:
        world.provider.on_sale.extend(number_phone(each) for each in range(1, 20))
        await world.send_all(range(1, 21))
        await world.wait(60)
        assert len(world.provider.taken) == 20
        assert len(world.provider.bought) == limit
        assert await world.store.fetch_value("SELECT count(*) FROM numbers") == limit

    settings = CampaignSettings(
        pool=PoolPolicy(rotate_after=2, max_numbers=limit, settle_s=0.0),
        registration=Registration(total_per_s=2),
    )
    play(story, campaign=settings, own_numbers=0)


def test_a_bought_number_survives_a_restart(play):
    async def story(world: World) -> None:
        world.provider.on_sale.extend([number_phone(1), number_phone(2)])
        await world.submit(1)
        await world.wait(10)
        await world.crash_and_restart()
        await world.submit(2)
        await world.wait(10)
        assert world.provider.bought == [number_phone(1)]
        assert {each.text.number_phone for each in world.handed} == {number_phone(1)}

    play(story, campaign=campaign(), own_numbers=0)


def test_a_number_that_cannot_be_kept_is_no_reason_to_wait_for_ever(play):
    """The provider sells a number that is another campaign's: the next one must do."""

    async def story(world: World) -> None:
        await world.store.execute("INSERT INTO campaigns VALUES (2, 2, 'Other', '{}', false, now())")
        await world.store.execute(
            "INSERT INTO numbers VALUES (2, 1, $1, 'PNx', 'active', now(), 'capacity', '{}')", number_phone(1)
        )
        world.provider.on_sale.extend([number_phone(1), number_phone(2)])
        outcome = await world.submit(1)
        await world.wait(120)
        row = await world.message(outcome.message_id)
        assert (row["state"], row["code"]) in (("sent", None), ("blocked", 1203))
        assert row["campaign_id"] == CAMPAIGN

    play(story, campaign=campaign(), own_numbers=0)


@pytest.mark.parametrize("carried_out", [True, False], ids=["its answer lost", "never carried out"])
def test_a_number_bought_while_the_database_goes_away_is_written_down_later(play, carried_out: bool):
    async def story(world: World) -> None:
        world.provider.on_sale.extend([number_phone(1), number_phone(2)])
        hooks = world.database.after if carried_out else world.database.before
        away = world.database.once(hooks, "INSERT INTO numbers", world.lose_the_answer)
        outcome = await world.submit(1)
        await away
        await world.wait(30)
        assert world.provider.bought == [number_phone(1)]
        rows = await world.store.fetch("SELECT number_id, phone FROM numbers")
        assert [tuple(row) for row in rows] == [(1, number_phone(1))]
        assert await world.state(outcome.message_id) == "sent"

    play(story, campaign=campaign(), own_numbers=0)


def test_a_number_that_a_crash_made_forget_is_found_again(play):
    async def story(world: World) -> None:
        async def bought_for(campaign_id: int) -> list[BoughtNumber]:
            assert campaign_id == CAMPAIGN
            return [BoughtNumber(each, f"PN{each}") for each in world.provider.bought]

        async def die() -> None:
            world.crash()
            raise ConnectionResetError("it died before it wrote")

        world.provider.bought_for = bought_for
        world.provider.on_sale.extend([number_phone(1), number_phone(2)])
        died = world.database.once(world.database.before, "INSERT INTO numbers", die)
        await world.submit(1)
        await died
        for _ in range(2):
            await world.restart()
            world.crash()
        await world.restart()
        outcome = await world.submit(2)
        await world.wait(60)
        assert world.provider.bought == [number_phone(1)]
        assert await world.state(outcome.message_id) == "sent"
        row = await world.store.fetch_row("SELECT number_id, phone, state, bought_because FROM numbers")
        assert tuple(row) == (1, number_phone(1), "active", "found_again")

    play(story, campaign=campaign(), own_numbers=0)


@pytest.mark.parametrize("error", [NotSent(), Refused(20003)])
def test_a_provider_that_cannot_say_what_it_sold_holds_up_nobody(play, error: Exception):
    async def story(world: World) -> None:
        async def bought_for(_campaign_id: int) -> list[BoughtNumber]:
            raise error

        world.provider.bought_for = bought_for
        await world.crash_and_restart()
        outcome = await world.submit(1)
        await world.wait(10)
        assert await world.state(outcome.message_id) == "sent"

    play(story)


def test_an_outage_is_no_sold_out(play):
    """While the provider can't be asked messages wait for their first number, and nobody is refused with 1203."""

    async def story(world: World) -> None:
        buy = world.provider.buy

        async def away(campaign_id: int, area_code: str):
            world.provider.asked_to_buy.append(area_code)
            raise NotSent

        world.provider.buy = away
        outcome = await world.submit(1)
        await world.wait(60)
        assert await world.state(outcome.message_id) == "queued"
        assert 5 < len(world.provider.asked_to_buy) < 20
        world.provider.buy = buy
        world.provider.on_sale.append(number_phone(1))
        await world.wait(30)
        assert await world.state(outcome.message_id) == "sent"

    play(story, campaign=campaign(), own_numbers=0)


def test_a_retired_number_is_not_forgotten_in_a_crash(play):
    """Its people have moved: they must not be found at it again, nor new ones, by a gateway that forgot why."""

    async def story(world: World) -> None:
        world.provider.answers.append(Refused(21606))
        outcome = await world.submit(1)
        await world.wait(1)
        await world.crash_and_restart()
        await world.wait(120)
        assert [
            row[0] for row in await world.store.fetch("SELECT state FROM numbers ORDER BY number_id")
        ] == [
            "retired",
            "active",
        ]
        assert await world.state(outcome.message_id) == "sent"
        assert world.handed[-1].text.number_phone == number_phone(2)

    play(story, own_numbers=2)
