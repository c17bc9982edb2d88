"""Which of an action's initials a person gets: an even draw (F087), but for those that a breaker holds for their carrier."""

import hashlib
from collections.abc import Callable
from typing import Final

from gateway.core.text.scripts import draw
from gateway.p2p.bank import Action
from gateway.p2p.compiled import ReadyScript
from gateway.pipeline.campaigns import Campaign
from gateway.store.buckets import Assigned

_HASH_BYTES: Final = 8

Luck = Callable[[int], float]
"""In [0, 1), by contact: which of the initials they get."""


def luck_of(action: Action) -> Luck:
    """The same contact of an action always has the same luck, so that a reload shows the same text."""

    def luck(contact_id: int) -> float:
        word = f"{action.campaign_id}/{action.action_id}/{contact_id}".encode()
        return int.from_bytes(hashlib.blake2b(word, digest_size=_HASH_BYTES).digest()) / 2.0**64

    return luck


def named(campaign: Campaign, action: Action, name: str, person: Assigned) -> ReadyScript:
    """The initial of this name; when none has it any more, or it has to wait, the one that the person would get."""
    free = _free(campaign, action, person)
    for script in free or action.texts.initials:
        if script.name == name:
            return script
    return drawn(campaign, action, person, luck_of(action))


def drawn(campaign: Campaign, action: Action, person: Assigned, luck: Luck) -> ReadyScript:
    """The initial that the person's luck gives. Where that has to wait for their carrier, what is left of the luck gives
    one of the others; where all have to wait, it waits."""
    initials, random = action.texts.initials, luck(person.known.contact_id)
    nth = draw(len(initials), random)
    free = _free(campaign, action, person)
    if not free or any(each is initials[nth] for each in free):
        return initials[nth]
    return free[draw(len(free), random * len(initials) - nth)]


def _free(campaign: Campaign, action: Action, person: Assigned) -> list[ReadyScript]:
    """Those that no breaker holds for the person's carrier."""
    initials, carrier = action.texts.initials, person.known.carrier
    if not campaign.held_pairs:
        return initials
    return [each for each in initials if not campaign.holds(action.action_id, carrier, each.name)]
