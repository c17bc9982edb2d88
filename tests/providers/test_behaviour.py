"""What a provider does, whoever it is: one suite for the simulated one in virtual time and for Twilio's over HTTP."""

from collections.abc import Callable

import pytest

from gateway.core.rules.errors import Kind, consequence
from gateway.providers.base import Accepted, AnswerLost, MediaSource, NotSent, ProviderError, Refused, Stock
from simulator.model.faults import Window
from simulator.model.pictures import PICTURES
from simulator.model.population import Line
from tests.providers.stages import (
    CAMPAIGN,
    SOLD_OUT,
    Stage,
    phone_of,
    play_in_process,
    play_over_http,
    scenario,
    text,
)

Perform = Callable[..., None]
_ALWAYS = Window(from_s=0.0, for_s=1e9)


@pytest.fixture(params=["simulated", "twilio"])
def perform(request: pytest.FixtureRequest) -> Perform:
    """`perform(play, …)` runs `await play(stage)` before each provider; the rest is the scenario's."""
    play_it = play_in_process if request.param == "simulated" else play_over_http
    return lambda play, **world: play_it(play, scenario(**world))


# ------------------------------------------------------------ handing over


def test_a_text_is_accepted_and_its_receipts_name_the_attempt(perform: Perform) -> None:
    async def play(stage: Stage) -> None:
        ours = await stage.provider.buy(CAMPAIGN, "267")
        accepted = await stage.provider.send(text(stage, ours, 42, attempt=3))
        assert isinstance(accepted, Accepted)
        report = await stage.heard.outcome()
        assert (report.campaign_id, report.message_id, report.attempt) == (CAMPAIGN, 42, 3)
        assert (report.status, report.code, report.provider_sid) == ("delivered", None, accepted.provider_sid)

    perform(play)


def test_a_phone_that_is_out_of_service_ends_undelivered_with_its_code(perform: Perform) -> None:
    async def play(stage: Stage) -> None:
        ours = await stage.provider.buy(CAMPAIGN, "267")
        await stage.provider.send(text(stage, ours, to=phone_of(stage, Line.DEAD)))
        report = await stage.heard.outcome()
        assert (report.status, report.code) == ("undelivered", 30005)

    perform(play)


@pytest.mark.parametrize(
    ("to", "code"), [("+12155550", 21211), ("+442071838750", 21408)], ids=["too short", "abroad"]
)
def test_what_can_not_be_texted_is_refused(perform: Perform, to: str, code: int) -> None:
    async def play(stage: Stage) -> None:
        ours = await stage.provider.buy(CAMPAIGN, "267")
        with pytest.raises(Refused) as refused:
            await stage.provider.send(text(stage, ours, to=to))
        assert refused.value.code == code
        assert len(stage.ledger.submissions) == 0

    perform(play)


def test_who_sent_stop_is_refused(perform: Perform) -> None:
    async def play(stage: Stage) -> None:
        ours = await stage.provider.buy(CAMPAIGN, "267")
        person = phone_of(stage)
        stage.person_texts(person, ours.phone, "STOP")
        heard = await stage.heard.text()
        assert (heard.phone, heard.number_phone, heard.body) == (person, ours.phone, "STOP")
        with pytest.raises(Refused) as refused:
            await stage.provider.send(text(stage, ours))
        assert refused.value.code == 21610

    perform(play)


UNCERTAIN = [
    ("answers_lost_after_share", True),
    ("answers_lost_before_share", False),
    ("errors_after_share", True),
    ("errors_before_share", False),
]


@pytest.mark.parametrize(("fault", "arrived"), UNCERTAIN, ids=[row[0] for row in UNCERTAIN])
def test_a_lost_answer_is_settled_by_asking(perform: Perform, fault: str, arrived: bool) -> None:
    async def play(stage: Stage) -> None:
        ours = await stage.provider.buy(CAMPAIGN, "267")
        stage.faults.change(**{fault: 1.0})
        sent = text(stage, ours)
        with pytest.raises(AnswerLost):
            await stage.provider.send(sent)
        stage.faults.heal()
        assert len(stage.ledger.submissions) == int(arrived)
        found = await stage.provider.find(sent, since=0.0)
        assert (found is not None) is arrived
        if found is not None:
            assert (await stage.heard.outcome()).provider_sid == found.provider_sid

    perform(play)


def test_who_is_told_to_slow_down_has_sent_nothing(perform: Perform) -> None:
    async def play(stage: Stage) -> None:
        ours = await stage.provider.buy(CAMPAIGN, "267")
        stage.faults.change(throttled_share=1.0)
        with pytest.raises(Refused) as refused:
            await stage.provider.send(text(stage, ours))
        assert refused.value.code is not None
        assert consequence(refused.value.code).kind is Kind.THROTTLE
        assert len(stage.ledger.submissions) == 0
        assert await stage.provider.find(text(stage, ours), since=0.0) is None

    perform(play)


# ------------------------------------------------------------ numbers


def test_numbers_are_bought_where_they_are_wanted(perform: Perform) -> None:
    async def play(stage: Stage) -> None:
        here, there = await stage.provider.buy(CAMPAIGN, "267"), await stage.provider.buy(CAMPAIGN, "215")
        anywhere = await stage.provider.buy(CAMPAIGN, "")
        assert (here.phone[:5], there.phone[:5]) == ("+1267", "+1215")
        assert len({here.phone, there.phone, anywhere.phone}) == 3
        assert len({here.provider_sid, there.provider_sid, anywhere.provider_sid}) == 3

    perform(play)


def test_sold_out_says_so(perform: Perform) -> None:
    async def play(stage: Stage) -> None:
        with pytest.raises(Refused) as refused:
            await stage.provider.buy(CAMPAIGN, SOLD_OUT)
        assert refused.value.code is not None
        assert consequence(refused.value.code).kind is Kind.PURCHASE
        assert isinstance(stage.provider, Stock)
        assert await stage.provider.bought_for(CAMPAIGN) == []

    perform(play)


def test_what_was_bought_is_remembered_by_campaign(perform: Perform) -> None:
    async def play(stage: Stage) -> None:
        assert isinstance(stage.provider, Stock)
        bought = [await stage.provider.buy(CAMPAIGN, "267") for _ in range(3)]
        remembered = await stage.provider.bought_for(CAMPAIGN)
        assert sorted(each.phone for each in remembered) == sorted(each.phone for each in bought)
        assert {each.provider_sid for each in remembered} == {each.provider_sid for each in bought}
        assert await stage.provider.bought_for(CAMPAIGN + 1) == []

    perform(play)


def test_carriers_come_to_know_a_number_after_a_while(perform: Perform) -> None:
    async def play(stage: Stage) -> None:
        ours = await stage.provider.buy(CAMPAIGN, "267")
        outcomes = []
        for nth in range(2000):
            await stage.provider.send(text(stage, ours, nth))
            report = await stage.heard.outcome()
            outcomes.append((report.status, report.code))
            if report.status == "delivered":
                break
        assert outcomes[0] == ("failed", 30035)
        assert outcomes[-1] == ("delivered", None)
        assert set(outcomes) == {("failed", 30035), ("delivered", None)}
        seen = consequence(30035)
        assert (seen.unsettles_number, seen.blames_number) == (True, False)

    perform(play, provisioning_s=400.0)


def test_an_unregistered_campaign_sends_nothing(perform: Perform) -> None:
    async def play(stage: Stage) -> None:
        ours = await stage.provider.buy(CAMPAIGN, "267")
        await stage.provider.send(text(stage, ours))
        report = await stage.heard.outcome()
        assert (report.status, report.code) == ("failed", 30034)

    perform(play, registered=False)


# ------------------------------------------------------------ the other way, and questions


def test_people_are_heard(perform: Perform) -> None:
    async def play(stage: Stage) -> None:
        ours = await stage.provider.buy(CAMPAIGN, "267")
        for body in ("Sí, I will & you? 👍", "a+b=c%20"):
            stage.person_texts(phone_of(stage), ours.phone, body)
            heard = await stage.heard.text()
            assert (heard.phone, heard.number_phone, heard.body) == (phone_of(stage), ours.phone, body)

    perform(play)


def test_pictures_of_people_are_fetched_when_somebody_asks(perform: Perform) -> None:
    async def play(stage: Stage) -> None:
        provider = stage.provider
        assert isinstance(provider, MediaSource)
        ours = await provider.buy(CAMPAIGN, "267")
        stage.person_texts(phone_of(stage), ours.phone, "", "image/png", "text/vcard")
        heard = await stage.heard.text()
        assert (heard.body, [each.media_type for each in heard.media]) == ("", ["image/png", "text/vcard"])
        for place, (each, kind) in enumerate(zip(heard.media, ("image/png", "text/vcard"), strict=True)):
            for url in (each.url, ""):  # its address was lost with the webhook
                assert await provider.fetch_media(heard.provider_sid, place, url, 5_000) == PICTURES[kind]
        for place, url, most_bytes in ((2, "", 5_000), (0, "https://example.org/a.png", 5_000), (0, "", 10)):
            with pytest.raises(Refused):
                await provider.fetch_media(heard.provider_sid, place, url, most_bytes)

    perform(play)


def test_a_picture_that_can_not_be_had_now_may_be_had_later(perform: Perform) -> None:
    async def play(stage: Stage) -> None:
        provider = stage.provider
        assert isinstance(provider, MediaSource)
        ours = await provider.buy(CAMPAIGN, "267")
        stage.person_texts(phone_of(stage), ours.phone, "See", "image/gif")
        heard = await stage.heard.text()
        where = heard.provider_sid, 0, heard.media[0].url, 5_000
        stage.faults.change(outages=(_ALWAYS,))
        with pytest.raises((NotSent, AnswerLost)):
            await provider.fetch_media(*where)
        stage.faults.change(outages=())
        assert await provider.fetch_media(*where) == PICTURES["image/gif"]

    perform(play)


def test_look_ups_answer_in_order(perform: Perform) -> None:
    async def play(stage: Stage) -> None:
        mobile, landline = phone_of(stage), phone_of(stage, Line.LANDLINE)
        lines = await stage.provider.look_up([landline, mobile, landline])
        assert [line.line_type for line in lines] == ["landline", "mobile", "landline"]
        assert lines[1].carrier in {"att", "tmobile", "verizon", "uscellular", "regional"}

    perform(play)


def test_an_outage_is_an_error_and_sends_nothing(perform: Perform) -> None:
    async def play(stage: Stage) -> None:
        ours = await stage.provider.buy(CAMPAIGN, "267")
        stage.faults.change(outages=(_ALWAYS,))
        for ask in (stage.provider.send(text(stage, ours)), stage.provider.buy(CAMPAIGN, "267")):
            with pytest.raises(ProviderError) as error:
                await ask
            assert not isinstance(error.value, Refused)
        stage.faults.heal()
        assert len(stage.ledger.submissions) == 0
        assert isinstance(await stage.provider.send(text(stage, ours)), Accepted)

    perform(play)
