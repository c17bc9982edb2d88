"""Putting a rehearsal's people into the real store: an invented population, or a campaign's own list."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.core.hours import group_key
from gateway.core.phone import place
from gateway.p2p.lists import ListReader, ListRow
from gateway.providers.base import Provider
from gateway.store import contacts
from gateway.store.contacts import ContactRow
from gateway.store.database import Database
from simulator.population import Population

_BATCH = 10_000


def from_population(population: Population) -> Iterator[list[ContactRow]]:
    """Batches of invented people; contact ids are positions from 1."""
    for start in range(0, len(population), _BATCH):
        people = population.rows(start, min(start + _BATCH, len(population)))
        yield [
            ContactRow(
                contact_id=start + offset + 1,
                phone=person.phone,
                hours_group=_group(person.phone, person.zip, person.state),
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
        yield [_contact(seen + offset + 1, row) for offset, row in enumerate(rows)]
        seen += len(rows)


def _contact(contact_id: int, row: ListRow) -> ContactRow:
    return ContactRow(
        contact_id=contact_id,
        phone=row.phone,
        hours_group=_group(row.phone, row.zip, row.state),
        first_name=row.first_name,
        last_name=row.last_name,
        email=row.email,
        zip=row.zip,
        state=row.state,
        line_type=row.line_type,
        carrier=row.carrier,
        fields=msgspec.json.encode(row.fields).decode() if row.fields else None,
    )


def _group(phone: str, zip_code: str, state: str) -> str:
    where = place(phone)
    return group_key(where.state, where.zones, zip_code=zip_code, address_state=state)


async def put(
    database: Database,
    campaign_id: int,
    batches: Iterator[Sequence[ContactRow]],
    look_up: Provider | None,
) -> int:
    """Stores the batches, each phone looked up first if asked (line type and carrier); returns how many."""
    stored = 0
    for batch in batches:
        known = batch if look_up is None else await _looked_up(look_up, batch)
        stored += await contacts.add(database, campaign_id, known)
    return stored


async def _looked_up(provider: Provider, batch: Sequence[ContactRow]) -> list[ContactRow]:
    lines = await provider.look_up([contact.phone for contact in batch])
    return [
        msgspec.structs.replace(contact, line_type=line.line_type, carrier=line.carrier)
        for contact, line in zip(batch, lines, strict=True)
    ]


def phones_of(reader: ListReader) -> NDArray[np.int64]:
    """The phones of a list's good rows, in order."""
    return np.fromiter((int(row.phone[1:]) for rows in reader for row in rows), np.int64)
