"""Safeguards switched off on purpose: what a planted bug is, and how to tell that the auditor saw it."""

import re
from collections.abc import Callable, Mapping
from types import ModuleType

import msgspec
import pytest

from gateway.store import buckets
from simulator.model.people import People
from simulator.model.replies import Intent
from simulator.model.scenario import Scenario
from simulator.rehearsal import run as rehearsal
from simulator.report.result import Rehearsed
from tests.rehearsal.small_worlds import broken, told

Change = Callable[[pytest.MonkeyPatch], None]


def nothing(_: pytest.MonkeyPatch) -> None:
    """A world that needs no help."""


CONTACTS = 150


class World(msgspec.Struct, frozen=True):
    """A scenario in which the safeguard is needed; `provoke` makes it more likely, and breaks nothing."""

    scenario: Scenario
    provoke: Change = nothing
    contacts: int = CONTACTS


class Plant(msgspec.Struct, frozen=True):
    """A bug, the invariant that it must break in its world, and those that it may break with it."""

    bug: Change
    world: str
    breaks: str
    with_it: frozenset[str] = frozenset()
    seeds: int = 1  # worlds tried until the auditor names it


_FOLLOWS = {
    "costs_told",
    "results_told",
}  # a text with which something is wrong may be billed, or counted, otherwise than the books say
FIRST_SEED = 3
_IN_ORDER: list[World] = []  # in this process
MOST_SEEDS = 20


def assert_clean(rehearse: Callable[..., Rehearsed], monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """Without any bug no rule is broken there. A world of several files is rehearsed once: it is the same each time."""
    if world in _IN_ORDER:
        return
    world.provoke(monkeypatch)
    done = rehearse(world.scenario, contacts=world.contacts, seed=FIRST_SEED)
    assert broken(done) == set(), told(done)
    _IN_ORDER.append(world)


def assert_named(
    rehearse: Callable[..., Rehearsed],
    monkeypatch: pytest.MonkeyPatch,
    worlds: Mapping[str, World],
    plant: Plant,
) -> None:
    """The rule is named in the last of the plant's worlds, and in none before: so the table is true."""
    assert plant.seeds <= MOST_SEEDS
    world = worlds[plant.world]
    world.provoke(monkeypatch)
    plant.bug(monkeypatch)
    last = FIRST_SEED + plant.seeds - 1
    for seed in range(FIRST_SEED, last):
        assert plant.breaks not in broken(rehearse(world.scenario, contacts=world.contacts, seed=seed))
    assert_seen(rehearse(world.scenario, contacts=world.contacts, seed=last), plant)


def assert_seen(done: Rehearsed, plant: Plant) -> None:
    """The auditor names the rule, nothing unrelated, and tells a story; nobody gets a GO."""
    found = broken(done)
    assert plant.breaks in found, f"the auditor saw nothing: {done.result.messages}"
    assert found <= {plant.breaks} | plant.with_it | _FOLLOWS, told(done)
    assert not done.result.held
    assert done.result.verdict == "NO-GO"
    stories = [each.story for each in done.violations if each.invariant == plant.breaks and each.story]
    assert stories, "a violation without a story explains nothing"
    assert all(re.match(r"\w{3} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", line) for line in stories[0][:3])


def rewrite(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, pattern: str, instead: str
) -> None:
    """Changes a statement; fails when there is nothing to change, lest the test lose its point."""
    statement = getattr(module, name)
    changed = re.sub(pattern, instead, statement, flags=re.DOTALL)
    assert changed != statement, f"{name} has no {pattern!r} any more: plant this bug in another way"
    monkeypatch.setattr(module, name, changed)


_CLAIM_THOSE = """
WITH given_too AS (SELECT $5::bigint[], $9::bigint, $11::float8), next AS (
    SELECT asked.volunteer_id, a.contact_id
    FROM unnest($4::bigint[], $6::integer[]) WITH ORDINALITY AS asked (volunteer_id, size, place)
    CROSS JOIN LATERAL (
        SELECT a.contact_id FROM unnest($7::text[], $8::bigint[]) AS open (hours_group, front)
        CROSS JOIN LATERAL (
            SELECT contact_id FROM assignments a
            WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $3
              AND a.hours_group = open.hours_group AND {free}
            ORDER BY a.turn LIMIT asked.size) a
        LIMIT asked.size) a
)
UPDATE assignments a SET volunteer_id = next.volunteer_id, assigned_at = to_timestamp($10) FROM next
WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $3 AND a.contact_id = next.contact_id
RETURNING a.volunteer_id, 1::bigint, a.contact_id, a.hours_group, a.turn
"""


def claims_of(monkeypatch: pytest.MonkeyPatch, free: str) -> None:
    """Whoever claims is given contacts `a` for whom this holds, whoever has them; the volunteer is asked.volunteer_id, the
    time $10."""
    monkeypatch.setattr(buckets, "_CLAIM", _CLAIM_THOSE.format(free=free))


def blind_to_opt_outs(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> None:
    """The statement finds no opt-out."""
    rewrite(monkeypatch, module, name, r"FROM opt_outs o WHERE ", "FROM opt_outs o WHERE false AND ")


def longer_waits(monkeypatch: pytest.MonkeyPatch, **changes: dict[str, float]) -> None:
    """The rehearsal's settings, changed: `longer_waits(patch, dispatch={"horizon_s": 60.0})`."""
    settings = rehearsal.SETTINGS
    parts = {part: msgspec.structs.replace(getattr(settings, part), **new) for part, new in changes.items()}
    monkeypatch.setattr(rehearsal, "SETTINGS", msgspec.structs.replace(settings, **parts))


def people_change_their_minds(monkeypatch: pytest.MonkeyPatch, after_s: float) -> None:
    """Whoever has written sends STOP a while later, whether or not an answer came."""
    text_back = People._text_back

    def text_back_and_leave(people: People, due: object) -> None:
        text_back(people, due)
        reply = due.value
        if reply.intent not in {Intent.KEYWORD, Intent.START}:
            people._later(after_s, reply._replace(intent=Intent.KEYWORD))

    monkeypatch.setattr(People, "_text_back", text_back_and_leave)
