"""What the metrics say of a message's life, from its wait to its receipt, and of opt-outs."""

import msgspec
import pytest

from gateway.core.rules.campaign import CampaignSettings
from gateway.core.rules.registration import Registration
from gateway.core.rules.safeguards import Kind
from gateway.core.text.segments import PRICES
from gateway.providers.base import InboundText, NotSent
from tests.pipeline.world import CAMPAIGN, SETTINGS, SETTLED_S, World, number_phone

WINDOW_S = 0.05


def value(world: World, name: str, **labels: str) -> float:
    found = world.gateway.metrics.registry.get_sample_value(name, labels)
    assert found is not None, (name, labels)
    return found


async def carriers(world: World, **by_contact: str) -> None:
    for contact, carrier in by_contact.items():
        await world.store.execute(
            "UPDATE contacts SET carrier = $1 WHERE contact_id = $2", carrier, int(contact.removeprefix("c"))
        )


def test_segments_and_their_price_count_when_the_provider_has_taken_them(play):
    async def story(world: World) -> None:
        await carriers(world, c1="att", c2="tmobile")
        await world.submit(1, "x" * 161)
        await world.submit(2, "Привет")
        await world.submit(3, "Hello")
        world.provider.answers.append(NotSent())
        await world.submit(4, "This one never left")
        await world.wait(1)

        def segments(carrier: str, encoding: str) -> float:
            return value(world, "p2p_segments_total", carrier=carrier, encoding=encoding, channel="sms")

        assert segments("att", "GSM-7") == 2
        assert segments("tmobile", "UCS-2") == 1
        assert segments("unknown", "GSM-7") == 1
        base = value(world, "p2p_cost_dollars_total", carrier="att", component="base")
        assert base == pytest.approx(2 * PRICES.sms_usd)

    play(story)


def test_each_wait_is_counted_in_its_lane(play):
    """At one text a second three that come together wait for zero, one and two seconds."""

    async def story(world: World) -> None:
        await world.wait(1)
        await world.send_all(range(1, 4))
        await world.wait(10)
        assert value(world, "p2p_queue_wait_seconds_count", lane="initial") == 3
        total_s = value(world, "p2p_queue_wait_seconds_sum", lane="initial")
        assert total_s == pytest.approx(0 + 1 + 2, abs=3 * 2 * WINDOW_S)
        await world.write(1, "Who is this?")
        await world.submit(1, "Ann", kind=Kind.REPLY)
        await world.wait(5)
        assert value(world, "p2p_queue_wait_seconds_count", lane="reply") == 1
        assert value(world, "p2p_queue_wait_seconds_count", lane="retry") == 0

    play(story, campaign=CampaignSettings(registration=Registration(total_per_s=1)))


@pytest.mark.parametrize(
    ("registration", "scope", "waited"),
    [
        (Registration(total_per_s=1, number_per_s=2), "campaign", 4),
        (Registration(total_per_s=4, carrier_per_s={"att": 1}), "carrier", 4),
        (Registration(total_per_s=8, carrier_per_s={"att": 8}, number_per_s=1), "number", 4),
    ],
)
def test_a_text_that_a_limit_makes_wait_is_counted_by_the_tightest(
    play, registration: Registration, scope: str, waited: int
):
    """Of five that come together one goes at once, and so does who comes alone."""

    async def story(world: World) -> None:
        await carriers(world, **{f"c{each}": "att" for each in range(1, 6)})
        await world.submit(6)
        await world.wait(10)
        await world.send_all(range(1, 6))
        await world.wait(60)
        assert len(world.handed) == 6
        for _ in range(2):  # a second look adds nothing
            world.gateway.look()
        counted = {
            each: value(world, "p2p_rate_limit_waits_total", scope=each)
            for each in ("number", "campaign", "carrier", "account")
        }
        assert counted == dict.fromkeys(counted, 0) | {scope: waited}

    play(story, campaign=CampaignSettings(registration=registration))


def test_a_text_whose_slot_comes_while_all_calls_are_under_way_waits_for_the_account(play):
    settings = msgspec.structs.replace(
        SETTINGS, dispatch=msgspec.structs.replace(SETTINGS.dispatch, concurrency=1)
    )

    async def story(world: World) -> None:
        world.provider.takes_s = 1.0
        await world.send_all(range(1, 4))
        await world.wait(20)
        assert len(world.handed) == 3
        assert value(world, "p2p_rate_limit_waits_total", scope="account") >= 1

    play(story, settings=settings)


def test_an_attempt_more_waits_in_its_own_lane(play):
    async def story(world: World) -> None:
        world.provider.answers.append(NotSent())
        await world.submit(1)
        await world.wait(SETTLED_S)
        assert len(world.handed) == 2
        assert value(world, "p2p_queue_wait_seconds_count", lane="retry") == 1

    play(story)


def test_the_receipt_says_how_long_the_delivery_took(play):
    async def story(world: World) -> None:
        await carriers(world, c1="verizon", c2="verizon")
        await world.submit(1)
        await world.submit(2)
        await world.wait(1)
        first, second = world.handed
        await world.wait(29)
        for _ in range(2):  # a receipt that comes twice is one receipt
            await world.provider.say(first.text, "delivered")
        await world.provider.say(second.text, "sent")
        took_s = world.clock.now() - first.at
        assert value(world, "p2p_delivery_duration_seconds_count", carrier="verizon") == 1
        total_s = value(world, "p2p_delivery_duration_seconds_sum", carrier="verizon")
        assert total_s == pytest.approx(took_s, abs=4 * WINDOW_S)
        assert (
            value(world, "p2p_webhooks_total", type="status", result="stale") == 2
        )  # and "sent", which the answer had said
        assert value(world, "p2p_hand_over_lateness_seconds_count", lane="initial") == 2
        assert value(world, "p2p_hand_over_lateness_seconds_sum", lane="initial") < 2 * WINDOW_S
        await world.provider.say(second.text, "undelivered", 30003)
        assert value(world, "p2p_delivery_duration_seconds_count", carrier="verizon") == 2

    play(story)


@pytest.mark.parametrize(("area_code", "outcome"), [("215", "local"), ("808", "fallback")])
def test_how_a_number_was_chosen(play, area_code: str, outcome: str):
    """Our number is of 267, which lies over 215."""

    async def story(world: World) -> None:
        theirs = f"+1{area_code}5550101"
        await world.store.execute("UPDATE contacts SET phone = $1 WHERE contact_id = 1", theirs)
        await world.submit(1, "Hello")
        await world.wait(1)
        assert value(world, "p2p_number_selection_total", outcome=outcome) == 1
        text = InboundText("IN1", theirs, number_phone(1), "Who is this?", world.clock.now())
        await world.provider.write(text)
        await world.submit(1, "Ann", kind=Kind.REPLY)
        await world.wait(1)
        assert value(world, "p2p_number_selection_total", outcome="sticky") == 1
        assert value(world, "p2p_number_selection_total", outcome="none") == 0

    play(story)


def test_a_message_without_a_number_is_counted(play):
    async def story(world: World) -> None:
        outcome = await world.submit(1)
        await world.wait(600)
        assert (await world.message(outcome.message_id))["code"] == 1203
        assert value(world, "p2p_number_selection_total", outcome="none") == 1

    play(story, own_numbers=0)


def test_what_moves_to_sending_moves_on(play):
    """Also what goes straight on: as many messages leave a state as come to it."""

    async def story(world: World) -> None:
        await world.send_all(range(1, 8))
        await world.wait(10)
        for handed in world.handed:
            await world.provider.say(handed.text, "delivered")
        moves = [("queued", "sending"), ("sending", "sent"), ("sent", "delivered")]
        counts = [
            value(world, "p2p_state_transitions_total", **{"from": here, "to": there})
            for here, there in moves
        ]
        assert counts == [7, 7, 7]

    play(story, campaign=CampaignSettings(registration=Registration(total_per_s=2)))


# ---------------------------------------------------------------- opt-outs


def test_an_opt_out_counts_once_it_is_in_force_and_only_then(play):
    async def story(world: World) -> None:
        await world.write(1, "STOP", sid="IN1")
        await world.write(1, "STOP", sid="IN1")  # the webhook comes again
        assert value(world, "p2p_optouts_total", source="keyword") == 1
        assert value(world, "p2p_optout_apply_seconds_count") == 1
        assert WINDOW_S <= value(world, "p2p_optout_apply_seconds_sum") < 2 * WINDOW_S
        await world.write(1, "STOP", sid="IN2")  # it takes effect at once: it is in force already
        assert value(world, "p2p_optouts_total", source="keyword") == 1
        assert value(world, "p2p_optout_apply_seconds_count") == 2
        await world.write(2, "Who is this?")
        assert value(world, "p2p_optout_apply_seconds_count") == 2

    play(story)


def test_a_volunteers_and_the_providers_opt_out_count_as_theirs(play):
    async def story(world: World) -> None:
        assert await world.gateway.bank.opt_out(CAMPAIGN, 1)
        assert not await world.gateway.bank.opt_out(CAMPAIGN, 1)
        assert value(world, "p2p_optouts_total", source="manual") == 1
        await world.submit(2)
        await world.wait(1)
        (handed,) = world.texts_to(2)
        for _ in range(2):
            await world.provider.say(handed.text, "failed", 21610)
        assert value(world, "p2p_optouts_total", source="provider") == 1
        assert await world.store.fetch_value("SELECT count(*) FROM opt_outs") == 2

    play(story)
