"""The parts below the server: the pump, the strangers, what goes over the wire."""

import asyncio

import numpy as np
import pytest
import simpy
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli import run
from simulator.model.draws import Draws
from simulator.model.messages import is_us_number
from simulator.model.people import PeopleParameters
from simulator.model.population import Line, Population, PopulationParameters
from simulator.twin.cli import carrier
from simulator.twin.errors import ApiError
from simulator.twin.forms import Form
from simulator.twin.pump import Pump
from simulator.twin.strangers import OpenPeople, OpenPopulation
from simulator.twin.wire import instant, is_url, segments, smart


async def test_the_pump_keeps_order_and_scale() -> None:
    env, loop = simpy.Environment(), asyncio.get_running_loop()
    pump = Pump(env, loop, speed=1000.0)
    done = asyncio.Event()
    happened: list[tuple[str, float]] = []

    def note(name: str, after_s: float) -> None:
        due = env.now + after_s
        event = env.timeout(after_s, name)
        event.callbacks.append(lambda _: (happened.append((name, due)), len(happened) == 3 and done.set()))

    pump.start()
    began_at = loop.time()
    pump.act(note, "late", 30.0)
    pump.act(note, "early", 10.0)  # an earlier one: the pump wakes sooner
    pump.act(note, "middle", 20.0)
    await asyncio.wait_for(done.wait(), 10)
    assert [name for name, _ in happened] == ["early", "middle", "late"]
    assert loop.time() - began_at >= 0.03 - 0.001  # never before its time
    assert env.now <= pump.now
    assert 0 < pump.lateness_s(0.5) <= pump.lateness_s(1.0)
    pump.stop()


async def test_a_world_that_is_behind_leaves_the_loop_its_turn() -> None:
    env, loop = simpy.Environment(), asyncio.get_running_loop()
    pump = Pump(env, loop, speed=1e6)
    turns = stepped = 0

    def busy(_: object) -> None:
        nonlocal stepped
        stepped += 1
        if stepped < 60_000:
            env.timeout(0.0).callbacks.append(busy)

    pump.act(env.timeout, 0.0).callbacks.append(busy)
    while stepped < 60_000:
        turns += 1
        await asyncio.sleep(0)
    assert turns > 2
    pump.stop()


def people(
    count: int = 20, **parameters: float
) -> tuple[OpenPopulation, OpenPeople, list[tuple[int, int, str]]]:
    draws, env = Draws(3), simpy.Environment()
    listed = Population.synthetic(PopulationParameters(), count, draws)
    population = OpenPopulation(listed, draws, PopulationParameters())
    sent: list[tuple[int, int, str]] = []
    crowd = OpenPeople(
        population,
        env,
        PeopleParameters(**parameters),
        listed,
        draws,
        send=lambda *text: sent.append(text),
    )
    return population, crowd, sent


def test_strangers_join_once_with_a_mobile_of_their_own() -> None:
    population, _, _ = people()
    assert population.index_of(12125557000) == -1
    index = population.admit(12125557000)
    assert index == 20
    assert population.admit(12125557000) == population.index_of(12125557000) == index
    assert population.lines[index] == Line.MOBILE
    assert population.admit(int(population.phones[4])) == 4
    assert len(population) == 20


def test_a_stranger_has_the_carrier_the_list_would_give() -> None:
    population, _, _ = people()
    phones = np.arange(12125557000, 12125557200)
    listed = Population.from_phones(phones, Draws(3), PopulationParameters())
    assert [population.carriers[population.admit(int(phone))] for phone in phones] == listed.carrier.tolist()


def test_strangers_do_what_they_would_do_on_a_list() -> None:
    population, crowd, _ = people(reply_share=0.5, wrong_number_reply_share=0.0)
    phones = [12125557000 + n for n in range(100)]
    for phone in phones:
        crowd.received(population.admit(phone), phone, 12155550100, "Hi", 0, 0.0)
    listed = Population.from_phones(np.array(phones), Draws(3), PopulationParameters())
    twin = OpenPeople(
        OpenPopulation(listed, Draws(3), PopulationParameters()),
        simpy.Environment(),
        PeopleParameters(reply_share=0.5, wrong_number_reply_share=0.0, complaint_share=0),
        listed,
        Draws(3),
        send=lambda *_: None,
    )
    assert [crowd.first_plan(20 + n) for n in range(100)] == [twin.first_plan(n) for n in range(100)]
    assert len({crowd.first_plan(20 + n) for n in range(100)}) > 1


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("[" * 80, 1),
        ("[" * 81, 2),
        ("€" * 80, 1),
        ("é" * 160, 1),
        ("ê" * 70, 1),
        ("ê" * 71, 2),
        ("👍" * 35, 1),
        ("👍" * 36, 2),
    ],
)
def test_segments(body: str, count: int) -> None:
    assert segments(body) == count


def test_smart_encoding_saves_a_segment() -> None:
    body = "It’s “today” – vote…" + "x" * 60
    assert (segments(body), segments(smart(body))) == (2, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://x.example/a?b=c#rc=5", True),
        ("https://127.0.0.1:8443/x", True),
        ("http://[::1]:80/", True),
        ("ftp://x.example/", False),
        ("//x.example/", False),
        ("http://", False),
        ("http://x.example/a b", False),
        ("http://x.example/\r\nX: y", False),
        ("http://x.example/é", False),
        ("http://a_b.example/", False),
        ("http://x.example:99999/", False),
        ("", False),
    ],
)
def test_urls(text: str, expected: bool) -> None:
    assert is_url(text) is expected


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_no_text_of_a_stranger_breaks_a_form(text: str) -> None:
    refused = set()
    for read in (
        lambda: Form(text).several("MediaUrl"),
        lambda: instant(text),
        lambda: Form("n=" + text).whole("n", 1),
        lambda: is_url(text),
    ):
        try:
            read()
        except ApiError as error:
            refused.add(error.status)
    assert refused <= {400}


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**11))
def test_only_us_numbers_have_somebody(phone: int) -> None:
    area_code, exchange = phone // 10**7 % 1000, phone // 10**4 % 1000
    assert is_us_number(phone) == (phone // 10**10 == 1 and area_code >= 200 and exchange >= 200)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["electionday"], "did you mean election-day"),
        (["--account", "AC1:secret"], "not an account: --account AC1:…"),
        (["--speed", "0"], "--speed"),
        (["--number", "12", "--contacts", "1", "--port", "0"], "not a US number"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["carrier", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "secret" not in said
    assert "Traceback" not in said


def test_the_command_explains_itself() -> None:
    answer = CliRunner().invoke(carrier, ["--help"])
    assert answer.exit_code == 0
    assert "--speed" in answer.output
