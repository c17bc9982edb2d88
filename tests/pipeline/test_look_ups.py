"""Look-ups cost money: each phone is asked for once, until its answer is old."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.clock import Clock
from gateway.pipeline.look_ups import RememberedLookUps, with_lines
from gateway.providers.base import AnswerLost, Line
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from tests.store.cluster import Cluster
from tests.store.rows import GROUP, NOW, phone

DAY_S = 86_400.0


class Directory:
    """Who answers look-ups: odd phones are mobiles, even ones can't exist."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.fails_at = -1

    async def look_up(self, phones: Sequence[str]) -> list[Line]:
        if len(self.asked) == self.fails_at:
            raise AnswerLost
        self.asked.append(list(phones))
        return [Line("mobile", "att") if int(each[-1]) % 2 else Line("invalid", None) for each in phones]


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
