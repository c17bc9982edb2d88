"""Numbers that carriers do not know yet (30035) and campaigns that are not registered (30034)."""

import asyncio

import pytest

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.sending.numbers import PoolPolicy
from gateway.providers.base import Accepted, AnswerLost, BoughtNumber, NotSent, OutboundText, Refused
from simulator.rehearsal.loop import VirtualLoop
from tests.pipeline.world import CAMPAIGN, World, number_phone

HOUR_S = 3600.0


def campaign(**policy: object) -> CampaignSettings:
    return CampaignSettings(pool=PoolPolicy(preferred_area_codes=("267",), rotate_after=10, **policy))


class Carriers:
    """Texts from a number before carriers know it fail, a moment after they were taken; the others arrive."""

    def __init__(self, world: World, known_after_s: dict[str, float], code: int = 30035) -> None:
        self._world = world
        self._begun_at = world.clock.now()
        self._known_after_s = known_after_s
        self._code = code
        self._take = world.provider.send
        self._loop: VirtualLoop = world.loop
        self._said: list[asyncio.Task[None]] = []
        self.refused = 0
        self.arrived: list[OutboundText] = []
        world.provider.send = self.send

    async def send(self, text: OutboundText) -> Accepted:
        accepted = await self._take(text)
        self._said.append(self._loop.create_task(self._say(text)))
        return accepted

    async def _say(self, text: OutboundText) -> None:
        await asyncio.sleep(1.0)
        since_s = self._world.clock.now() - self._begun_at
        if since_s < self._known_after_s.get(text.number_phone, float("inf")):
            self.refused += 1
            await self._world.provider.say(text, "failed", self._code)
        else:
            self.arrived.append(text)
            await self._world.provider.say(text, "delivered")


def put_on_sale(world: World, count: int = 40) -> None:
    world.provider.on_sale.extend(number_phone(each) for each in range(1, count + 1))


async def count_of_numbers(world: World) -> int:
    return int(await world.store.fetch_value("SELECT count(*) FROM numbers"))


@pytest.mark.parametrize("known_after_s", [0.0, 100.0, HOUR_S])
def test_a_cold_start_waits_for_its_first_number(play, known_after_s: float):
    """No text is lost, no attempt spent, and one number is bought, whenever carriers come to know it."""

    async def story(world: World) -> None:
        put_on_sale(world)
        carriers = Carriers(world, {number_phone(1): known_after_s})
        outcomes = await world.send_all(range(1, 11))
        await world.wait(2 * known_after_s + 300)
        rows = [await world.message(each.message_id) for each in outcomes]
        assert [row["state"] for row in rows] == ["delivered"] * 10
        assert {row["spent"] for row in rows} == {1}
        assert world.provider.bought == [number_phone(1)]
        assert carriers.refused < 60

    play(story, campaign=campaign(), own_numbers=0)


def test_nothing_goes_out_while_a_number_settles(play):
    async def story(world: World) -> None:
        put_on_sale(world)
        await world.send_all(range(1, 11))
        await world.wait(290)
        assert world.handed == []
        await world.wait(30)
        assert len(world.handed) == 10

    play(story, campaign=campaign(settle_s=300.0), own_numbers=0)


@pytest.mark.parametrize("code", [30034, 30035])
def test_numbers_that_are_never_known_are_not_bought_again_and_again(play, code: int):
    async def story(world: World) -> None:
        put_on_sale(world)
        carriers = Carriers(world, {}, code)
        outcomes = await world.send_all(range(1, 21))
        await world.wait(4 * HOUR_S)
        assert world.provider.bought == [number_phone(1)]
        assert {await world.state(each.message_id) for each in outcomes} <= {"queued", "sent"}
        assert carriers.refused < 100
        assert await world.store.fetch_value("SELECT state FROM numbers") in ("provisioning", "active")

    play(story, campaign=campaign(), own_numbers=0)


def test_a_text_refused_from_a_new_number_goes_from_another(play):
    async def story(world: World) -> None:
        put_on_sale(world)
        carriers = Carriers(world, {number_phone(1): 0.0, number_phone(2): 10 * HOUR_S})
        outcomes = await world.send_all(range(1, 21))
        await world.wait(600)
        assert {await world.state(each.message_id) for each in outcomes} == {"delivered"}
        assert {text.number_phone for text in carriers.arrived} == {number_phone(1)}

    play(story, campaign=campaign(settle_s=0.0), own_numbers=1)


@pytest.mark.parametrize("code", [30034, 30035])
def test_a_text_that_nobody_let_through_in_time_says_why(play, code: int):
    """Its window ends: it has failed with the carriers' code, or waited in vain; it has not vanished."""

    async def story(world: World) -> None:
        put_on_sale(world)
        Carriers(world, {}, code)
        outcomes = await world.send_all(range(1, 6))
        await world.wait(8 * HOUR_S)
        rows = [await world.message(each.message_id) for each in outcomes]
        assert {(row["state"], row["code"]) for row in rows} <= {("failed", code), ("blocked", 1202)}

    play(story, campaign=campaign(), own_numbers=0)


def test_the_budget_of_a_day_outlives_crashes(play):
    """Every number is refused for good by the provider, and the gateway dies again and again."""

    async def story(world: World) -> None:
        put_on_sale(world)

        async def nobodys(text: OutboundText) -> Accepted:
            raise Refused(21606)

        world.provider.send = nobodys
        for contact in range(1, 16):
            await world.submit(contact)
            await world.wait(120)
            await world.crash_and_restart()
        assert len(world.provider.bought) == 3
        assert await count_of_numbers(world) == 3

    play(story, campaign=campaign(settle_s=0.0, max_purchases_per_day=3), own_numbers=0)


def test_numbers_are_bought_ahead(play):
    async def story(world: World) -> None:
        put_on_sale(world)
        await world.wait(300)
        assert len(world.provider.bought) == await count_of_numbers(world) == 5

    play(story, campaign=campaign(min_numbers=5), own_numbers=0)


@pytest.mark.parametrize("lost", [AnswerLost(), NotSent()], ids=["answer lost", "not sent"])
def test_a_purchase_whose_answer_was_lost_is_not_made_twice(play, lost: Exception):
    async def story(world: World) -> None:
        put_on_sale(world)
        buy = world.provider.buy

        async def loses_its_answer(campaign_id: int, area_code: str) -> BoughtNumber:
            world.provider.buy = buy
            if isinstance(lost, AnswerLost):
                await buy(campaign_id, area_code)
            raise lost

        async def bought_for(campaign_id: int) -> list[BoughtNumber]:
            assert campaign_id == CAMPAIGN
            return [BoughtNumber(each, f"PN{each}") for each in world.provider.bought]

        world.provider.buy = loses_its_answer
        world.provider.bought_for = bought_for
        outcome = await world.submit(1)
        await world.wait(60)
        assert world.provider.bought == [number_phone(1)]
        assert await world.state(outcome.message_id) == "sent"

    play(story, campaign=campaign(settle_s=0.0), own_numbers=0)


def test_a_purchase_that_is_never_answered_holds_up_nobody_for_ever(play):
    async def story(world: World) -> None:
        put_on_sale(world)
        buy = world.provider.buy

        async def hangs(campaign_id: int, area_code: str) -> BoughtNumber:
            world.provider.buy = buy
            await asyncio.Event().wait()
            raise AssertionError

        world.provider.buy = hangs
        outcome = await world.submit(1)
        await world.wait(200)
        assert await world.state(outcome.message_id) == "sent"

    play(story, campaign=campaign(settle_s=0.0), own_numbers=0)


def test_purchases_of_which_nothing_is_kept_count_toward_the_budget(play):
    """Paid for, and then lost: its answer, its place in the service. Crashes between do not reset the count."""

    async def story(world: World) -> None:
        async def paid_and_lost(_campaign_id: int, area_code: str) -> BoughtNumber:
            world.provider.asked_to_buy.append(area_code)
            raise AnswerLost(21714)

        world.provider.buy = paid_and_lost
        for contact in range(1, 11):
            await world.submit(contact)
            await world.wait(600)
            await world.crash_and_restart()
        assert len(world.provider.asked_to_buy) == 4

    play(story, campaign=campaign(max_purchases_per_day=4), own_numbers=0)


def test_after_answers_that_leave_doubt_the_provider_is_asked_ever_later(play):
    async def story(world: World) -> None:
        async def lost(_campaign_id: int, area_code: str) -> BoughtNumber:
            world.provider.asked_to_buy.append(area_code)
            raise AnswerLost

        world.provider.buy = lost
        outcome = await world.submit(1)
        await world.wait(HOUR_S)
        assert 3 < len(world.provider.asked_to_buy) < 12
        assert await world.state(outcome.message_id) == "queued"

    play(story, campaign=campaign(), own_numbers=0)


def test_a_refusal_that_says_nothing_of_stocks_is_no_sold_out(play):
    """The account may not buy just now (20003): texts wait, none is blocked with 1203, and no budget is spent."""

    async def story(world: World) -> None:
        put_on_sale(world)
        buy = world.provider.buy

        async def may_not(_campaign_id: int, area_code: str) -> BoughtNumber:
            world.provider.asked_to_buy.append(area_code)
            raise Refused(20003)

        world.provider.buy = may_not
        outcome = await world.submit(1)
        await world.wait(600)
        assert await world.state(outcome.message_id) == "queued"
        assert await world.store.fetch_value("SELECT count(*) FROM number_purchases") == 0
        world.provider.buy = buy
        await world.wait(1200)
        assert await world.state(outcome.message_id) == "sent"

    play(story, campaign=campaign(), own_numbers=0)
