"""The gateway's books at the end of the world: its store's rows, and what its clients were told."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from gateway.store import books as store
from gateway.store.database import Database
from simulator.audit_records import (
    ANSWER,
    CLAIM,
    INBOUND,
    KINDS,
    MESSAGE,
    NUMBER,
    OPT_OUT,
    PAST_ATTEMPT,
    REQUEST,
    STATES,
    Books,
    Rows,
)
from simulator.bank import WITNESSED_STATES, Witness
from simulator.population import Population

_STATE = {name: index for index, name in enumerate(STATES)}
_KIND = {name: index for index, name in enumerate(KINDS)}
_NAMES: Mapping[str, Mapping[str, int]] = {"state": _STATE, "kind": _KIND}


async def read_books(database: Database, campaign_id: int, population: Population, witness: Witness) -> Books:
    """Reads everything the auditor needs, in chunks."""
    return msgspec.structs.replace(
        await stored_books(database, campaign_id),
        claims=_claims(witness, population),
        requests=_requests(witness),
        answers=_answers(witness, population),
    )


async def stored_books(database: Database, campaign_id: int) -> Books:
    """What the store alone says, in chunks."""
    return Books(
        campaign_id=campaign_id,
        messages=await _table(database, store.MESSAGES, campaign_id, MESSAGE),
        past_attempts=await _table(database, store.PAST_ATTEMPTS, campaign_id, PAST_ATTEMPT),
        opt_outs=await _table(database, store.OPT_OUTS, campaign_id, OPT_OUT),
        inbound=await _table(database, store.INBOUND, campaign_id, INBOUND),
        numbers=await _table(database, store.NUMBERS, campaign_id, NUMBER),
    )


async def _table(database: Database, sql: str, campaign_id: int, dtype: np.dtype[Any]) -> Rows:
    words = [_NAMES.get(name) if dtype[name].kind == "u" else None for name in dtype.names or ()]
    chunks = [np.empty(0, dtype)]
    async for rows in store.read(database, sql, campaign_id):
        chunk = np.empty(len(rows), dtype)
        for position, name in enumerate(dtype.names or ()):
            word = words[position]
            column = [row[position] for row in rows]
            if word is not None:
                chunk[name] = [word[value] for value in column]
            elif dtype[name].kind == "f":
                chunk[name] = [np.nan if value is None else value for value in column]
            else:
                chunk[name] = [0 if value is None else value for value in column]
        chunks.append(chunk)
    return np.concatenate(chunks)


def _claims(witness: Witness, population: Population) -> Rows:
    claims = np.empty(len(witness.claim_at), CLAIM)
    claims["at"] = witness.claim_at
    claims["volunteer"] = witness.claim_volunteer
    claims["phone"] = population.phones[np.array(witness.claim_contact, np.int64) - 1]
    claims["change"] = witness.claim_change
    return claims


def _requests(witness: Witness) -> Rows:
    requests = np.empty(len(witness.message_id), REQUEST)
    requests["message_id"] = witness.message_id
    requests["state"] = _states(witness)
    return requests


def _answers(witness: Witness, population: Population) -> Rows:
    answers = np.empty(len(witness.message_id), ANSWER)
    answers["message_id"] = witness.message_id
    answers["at"] = witness.message_at
    answers["volunteer"] = witness.message_volunteer
    answers["phone"] = population.phones[np.array(witness.message_contact, np.int64) - 1]
    answers["state"] = _states(witness)
    return answers


def _states(witness: Witness) -> Rows:
    meaning = np.array([_STATE[name] for name in WITNESSED_STATES], np.uint8)
    states: Rows = meaning[np.array(witness.message_state, np.uint8)]
    return states
