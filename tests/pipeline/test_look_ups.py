"""Look-ups cost money: each phone is asked for once, until its answer is old."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.clock import Clock
from gateway.pipeline.look_ups import RememberedLookUps, with_lines
from gateway.providers.base import AnswerLost, Line
from gateway.store import look_ups
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from gateway.store.look_ups import LookedUp
from tests.store.cluster import Cluster
from tests.store.rows import GROUP, NOW, people, phone

DAY_S = 86_400.0


class Directory:
    """Who answers look-ups: odd phones are mobiles, even ones can't exist."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.ported: dict[str, Line] = {}
        self.fails_at = -1

    async def look_up(self, phones: Sequence[str]) -> list[Line]:
        if len(self.asked) == self.fails_at:
            raise AnswerLost
        self.asked.append(list(phones))
        return [self.ported.get(each) or self._line(each) for each in phones]

    @staticmethod
    def _line(each: str) -> Line:
        return Line("mobile", "att") if int(each[-1]) % 2 else Line("invalid", None)


@pytest.fixture
def dsn(cluster: Cluster) -> str:
    return cluster.empty()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    opened = Database(dsn, connections=2)
    yield opened
    await opened.close()


def remembered(
    database: Database, directory: Directory, now: float = NOW, max_age_s: float = DAY_S
) -> RememberedLookUps:
    clock = Clock(asyncio.get_running_loop(), now)
    return RememberedLookUps(database, clock, directory.look_up, max_age_s=max_age_s)


async def test_a_phone_is_asked_for_once_until_its_answer_is_old(database: Database) -> None:
    directory = Directory()
    phones = [phone(1), phone(2), phone(1)]
    lines = [Line("mobile", "att"), Line("invalid", None), Line("mobile", "att")]
    for later_s in (0.0, DAY_S - 60):
        assert await remembered(database, directory, NOW + later_s).look_up(phones) == lines
        assert directory.asked == [[phone(1), phone(2)]]
    assert await remembered(database, directory, NOW + 60).look_up([phone(3), phone(2)]) == lines[:2]
    assert directory.asked[1:] == [[phone(3)]]
    assert await remembered(database, directory, NOW + DAY_S + 30).look_up(phones) == lines
    assert directory.asked[2:] == [[phone(1), phone(2)]]


async def lines_of(database: Database) -> list[tuple[int, int, str | None, str | None]]:
    rows = await database.fetch(
        "SELECT campaign_id, contact_id, line_type, carrier FROM contacts ORDER BY campaign_id, contact_id"
    )
    return [tuple(row) for row in rows]


async def test_contacts_follow_when_an_old_answer_is_renewed(database: Database) -> None:
    """The phone was ported: on whoever's list it is, and on no other phone."""
    directory = Directory()
    for campaign_id in (1, 2):
        await people(database, 3, campaign_id=campaign_id)
    await remembered(database, directory).look_up([phone(1), phone(2)])
    before = [(1, "mobile", "att"), (2, "invalid", None), (3, None, None)]
    assert await lines_of(database) == [(campaign, *line) for campaign in (1, 2) for line in before]
    directory.ported[phone(1)] = Line("fixedVoip", "voip")
    await remembered(database, directory, NOW + DAY_S - 60).look_up([phone(1), phone(2)])
    assert await lines_of(database) == [(campaign, *line) for campaign in (1, 2) for line in before]
    await remembered(database, directory, NOW + DAY_S + 60).look_up([phone(1), phone(2)])
    after = [(1, "fixedVoip", "voip"), *before[1:]]
    assert await lines_of(database) == [(campaign, *line) for campaign in (1, 2) for line in after]


async def test_contacts_learn_what_was_looked_up_for_others(database: Database) -> None:
    directory = Directory()
    await remembered(database, directory).look_up([phone(1)])
    await people(database, 2)
    await remembered(database, directory, NOW + 60).look_up([phone(1)])
    assert directory.asked == [[phone(1)]]
    assert await lines_of(database) == [(1, 1, "mobile", "att"), (1, 2, None, None)]


async def test_only_contacts_that_differ_are_written(database: Database) -> None:
    await people(database, 3)
    lines = [LookedUp(phone(n), "mobile", None) for n in (1, 2)]
    assert [await look_ups.tell_contacts(database, lines) for _ in range(2)] == [2, 0]


async def test_a_list_that_breaks_off_has_not_paid_in_vain(database: Database) -> None:
    directory = Directory()
    directory.fails_at = 1
    phones = [f"+1215555{n:04d}" for n in range(2000, 2900)]
    with pytest.raises(AnswerLost):
        await remembered(database, directory).look_up(phones)
    directory.fails_at = -1
    assert len(await remembered(database, directory).look_up(phones)) == 900
    assert [len(asked) for asked in directory.asked] == [500, 400]


async def test_contacts_get_what_is_known_of_their_lines() -> None:
    rows = [ContactRow(n, phone(n), GROUP, first_name="Ann", line_type="list's own") for n in (1, 2)]
    done = await with_lines(rows, Directory().look_up)
    assert [(row.contact_id, row.first_name, row.line_type, row.carrier) for row in done] == [
        (1, "Ann", "mobile", "att"),
        (2, "Ann", "invalid", None),
    ]
