"""Who gets whose contacts: split at random over people, even to within one, and the same from the same seed (F190, F191)."""

import hashlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

MOST_MOVED: Final = 50_000
"""Contacts that one act moves."""
UNDO_S: Final = 24 * 3600.0
"""For how long it can be undone."""

_NOBODY: Final[AbstractSet[int]] = frozenset()


class Split(msgspec.Struct, frozen=True):
    """Whose each contact becomes, in the order of contact ids; `left` stay where they are: nobody may have them."""

    pairs: list[tuple[int, int]]
    left: list[int]

    @property
    def shares(self) -> dict[int, int]:
        """How many each person gets."""
        counts: dict[int, int] = {}
        for _, user_id in self.pairs:
            counts[user_id] = counts.get(user_id, 0) + 1
        return counts


def split(
    contact_ids: Sequence[int],
    user_ids: Sequence[int],
    seed: int,
    barred: Mapping[int, AbstractSet[int]] = {},
) -> Split:
    """Deals contacts to people in an order drawn from `seed`, whatever the order in which they are given.

    `barred`: by contact, the people who may not have it (F126). Without any, shares differ by one at most; else each
    barred contact goes to whoever has least of those who may have it.
    """
    people = sorted(set(user_ids), key=lambda each: _luck(seed, "user", each))
    if not people:
        return Split([], sorted(set(contact_ids)))
    deck = sorted(set(contact_ids), key=lambda each: _luck(seed, "contact", each))
    easy = [each for each in deck if not barred.get(each)]
    given = {contact_id: people[place % len(people)] for place, contact_id in enumerate(easy)}
    shares = dict.fromkeys(people, 0)
    for user_id in given.values():
        shares[user_id] += 1
    for contact_id in deck:
        if contact_id not in given and (may := [each for each in people if each not in barred[contact_id]]):
            given[contact_id] = min(may, key=lambda each: shares[each])
            shares[given[contact_id]] += 1
    return Split(sorted(given.items()), sorted(each for each in deck if each not in given))


def to_creators(
    actions: Mapping[int, int | None],
    creators: Mapping[int, int],
    otherwise: int | None,
    barred: Mapping[int, AbstractSet[int]] = {},
) -> Split:
    """Each contact to the creator of the action in which it was last texted, or else to `otherwise` (F195, F196).

    `actions`: by contact, that action; `creators`: by action, whoever made it and is active.
    """
    pairs: list[tuple[int, int]] = []
    left: list[int] = []
    for contact_id, action_id in sorted(actions.items()):
        user_id = otherwise if action_id is None else creators.get(action_id, otherwise)
        if user_id is None or user_id in barred.get(contact_id, _NOBODY):
            left.append(contact_id)
        else:
            pairs.append((contact_id, user_id))
    return Split(pairs, left)


def _luck(seed: int, kind: str, each: int) -> bytes:
    return hashlib.blake2b(f"{seed} {kind} {each}".encode(), digest_size=8).digest() + each.to_bytes(8, "big")
