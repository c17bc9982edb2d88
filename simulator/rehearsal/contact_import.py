"""Putting a rehearsal's people into the real store: an invented population, or a campaign's own list."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gateway.core.rules.campaign import CampaignKey
from gateway.p2p.contact_imports import keep
from gateway.p2p.contact_rows import contact_of, hours_group_of
from gateway.p2p.lists import ListReader
from gateway.pipeline.look_ups import LookUp, with_lines
from gateway.store import contact_lists
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from simulator.model.population import Population

EVERYBODY = 1
"""The list that all of a rehearsal's people are on."""
_BATCH = 10_000

Batch = TypeVar("Batch")


def from_population(population: Population) -> Iterator[list[ContactRow]]:
    """Batches of invented people; contact ids are positions from 1."""
    for start in range(0, len(population), _BATCH):
        people = population.rows(start, min(start + _BATCH, len(population)))
        yield [
            ContactRow(
                contact_id=start + offset + 1,
                phone=person.phone,
                hours_group=hours_group_of(person.phone, person.zip, person.state),
                first_name=person.first_name,
                last_name=person.last_name,
                zip=person.zip,
                state=person.state,
            )
            for offset, person in enumerate(people)
        ]


def from_list(reader: ListReader) -> Iterator[list[ContactRow]]:
    """Batches of a list's good rows; contact ids are positions from 1."""
    seen = 0
    for rows in reader:
        yield [contact_of(seen + offset + 1, row) for offset, row in enumerate(rows)]
        seen += len(rows)


async def put(
    database: Database,
    key: CampaignKey,
    batches: Iterator[Sequence[ContactRow]],
    look_up: LookUp | None,
    now: float,
) -> int:
    """Stores the batches as an import does, all on one list, each phone looked up first if asked (line type and
    carrier); returns how many."""
    stored = 0
    await contact_lists.make(database, key, EVERYBODY, "Everybody", now)
    for batch in _made_ahead(batches):
        known = batch if look_up is None else await with_lines(batch, look_up)
        async with database.transaction() as transaction:
            stored += (await keep(transaction, key, known, EVERYBODY)).new
    return stored


def _made_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The next batch is made while the database stores this one; the world's clock has not begun to run."""
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = maker.submit(next, batches, None)
            yield batch


def phones_of(reader: ListReader) -> NDArray[np.int64]:
    """The phones of a list's good rows, in order."""
    return np.fromiter((int(row.phone[1:]) for rows in reader for row in rows), np.int64)
