"""Actions and who texts whom: each contact of an action has at most one volunteer at a time."""

from collections.abc import Sequence

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.errors import BadInput
from gateway.store.database import Database
from gateway.store.recipients import ABOUT, FACTS, Recipient, since


class ActionRow(msgspec.Struct, frozen=True):
    """A texting action; `scripts` is JSON text: the initials' and the responses' sources."""

    key: CampaignKey
    action_id: int
    title: str
    scripts: str


_ANALYZE_S = 300.0
_BEGIN = """
WITH begun AS (
    INSERT INTO actions (organisation_id, campaign_id, action_id, title, scripts)
    VALUES ($1, $2, $3, $4, $5::text::jsonb) ON CONFLICT DO NOTHING
)
SELECT published_at IS NOT NULL FROM actions WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3
"""
_ASSIGN = """
WITH piece AS (
    SELECT contact_id, hours_group FROM contacts
    WHERE organisation_id = $1 AND campaign_id = $2 AND contact_id > $5 ORDER BY contact_id LIMIT $6
), assigned AS (
    INSERT INTO assignments (organisation_id, campaign_id, action_id, contact_id, hours_group, turn)
    SELECT $1, $2, $3, contact_id, hours_group, hashint8extended(contact_id, $4)
    FROM piece ORDER BY hours_group, hashint8extended(contact_id, $4)
    ON CONFLICT DO NOTHING
)
SELECT count(*), max(contact_id) FROM piece
"""
_PUBLISHED = """
UPDATE actions SET published_at = to_timestamp($4)
WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3 AND published_at IS NULL
"""


async def publish(
    database: Database, action: ActionRow, seed: int, now: float, *, at_once: int = 25_000
) -> int:
    """Stores the action with every contact of the campaign unassigned, in an order drawn from `seed`
    (F177, F183); returns how many contacts it has.

    In pieces of `at_once` contacts: nobody sees the action before all are there, and when it was broken off the
    same call goes on. Raises BadInput for an action that is published already.
    """
    if await database.fetch_value(_BEGIN, *action.key, action.action_id, action.title, action.scripts):
        raise BadInput(
            "the action is published already",
            f"campaign {action.key.campaign_id}, action {action.action_id}",
            "give another id",
        )
    count, last_id, more = 0, 0, at_once
    while more == at_once:
        [(more, last_id)] = await database.fetch(
            _ASSIGN, *action.key, action.action_id, seed, last_id or 0, at_once
        )
        count += more
    await database.execute(_PUBLISHED, *action.key, action.action_id, now)
    async with database.patient(_ANALYZE_S) as patient:
        await patient.script("ANALYZE contacts; ANALYZE assignments")
    return count


async def load(database: Database, key: CampaignKey, action_id: int) -> ActionRow:
    """Raises BadInput when there is no such action."""
    row = await database.fetch_row(
        """
        SELECT action_id, title, scripts::text FROM actions
        WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3 AND published_at IS NOT NULL
        """,
        *key,
        action_id,
    )
    if row is None:
        raise BadInput(
            "there is no such action", f"campaign {key.campaign_id}, action {action_id}", "check the ids"
        )
    return ActionRow(key, *row)


class Assigned(msgspec.Struct, frozen=True, gc=False):
    """A contact in a volunteer's bucket, with what a script may say about the person and what admission will ask."""

    known: Recipient
    first_name: str
    last_name: str
    email: str
    zip: str
    state: str
    fields: str | None


Fronts = dict[str, int]
"""By group of recipients, the turn before which nobody was free when last looked: a hint, which may be wrong."""

_FIRST_TURN = -(2**63)

# Whoever was claimed leaves a dead entry in the index until it is vacuumed: without a front each claim walks past all
# of them.
_TAKE = """
SELECT contact_id, hours_group, turn
FROM claim_contacts($1, $2, $3, $4, $5, $6, $7, to_timestamp($8)) ORDER BY turn, contact_id
"""


async def take(
    database: Database,
    key: CampaignKey,
    action_id: int,
    volunteer_id: int,
    *,
    open_groups: Sequence[str],
    size: int,
    now: float,
    fronts: Fronts,
) -> list[int]:
    """Gives the volunteer the next `size` contacts whose lawful window is open (F178, F183); fewer only when nobody
    else is free. Claims of one action take turns, whichever worker they come from.

    Looks behind the `fronts` only when there are too few beyond them, and keeps them up to date.
    """
    taken: list[int] = []
    while len(taken) < size:
        begin = [fronts.get(group, _FIRST_TURN) for group in open_groups]
        wanted = size - len(taken)
        rows = await database.fetch(_TAKE, *key, action_id, volunteer_id, wanted, open_groups, begin, now)
        taken += [row[0] for row in rows]
        if not rows and max(begin, default=_FIRST_TURN) == _FIRST_TURN:
            break
        if len(rows) == wanted:
            fronts.update({row[1]: row[2] for row in rows})
        else:
            fronts.clear()
    return taken


_ABOUT_TAKEN = f"""
SELECT c.first_name, c.last_name, c.email, c.zip, c.state, c.fields::text, {FACTS}
FROM (SELECT contact_id, $6::bigint AS action_id, place
      FROM unnest($7::bigint[]) WITH ORDINALITY AS taken (contact_id, place)) AS wanted {ABOUT}
ORDER BY wanted.place
"""  # noqa: S608 - fixed texts


async def about(
    database: Database,
    key: CampaignKey,
    action_id: int,
    contact_ids: Sequence[int],
    *,
    opt_out_scope: int,
    texts_since: float,
) -> list[Assigned]:
    """The people of a bucket, in its order."""
    if not contact_ids:
        return []
    rows = await database.fetch(
        _ABOUT_TAKEN, *key, opt_out_scope, *since(texts_since), action_id, contact_ids
    )
    return [Assigned(Recipient(*row[6:]), *row[:6]) for row in rows]


_RELEASE = """
UPDATE assignments a SET volunteer_id = NULL, assigned_at = NULL
WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $3 AND a.volunteer_id = $4
  AND a.contact_id {which} ($5::bigint[])
  AND NOT a.texted AND NOT EXISTS (SELECT FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2
    AND m.contact_id = a.contact_id
                  AND m.action_id = $3)
RETURNING a.contact_id
"""


async def release(
    database: Database, key: CampaignKey, action_id: int, volunteer_id: int, contact_ids: Sequence[int]
) -> int:
    """Takes back contacts that were not texted yet (C22); returns how many are free again."""
    rows = await database.fetch(_RELEASE.format(which="= ANY"), *key, action_id, volunteer_id, contact_ids)
    return len(rows)


async def release_all_but(
    database: Database, key: CampaignKey, action_id: int, volunteer_id: int, kept: Sequence[int]
) -> int:
    """Takes back whom the volunteer has, was not texted yet and is not `kept`: a claim's answer may get lost."""
    rows = await database.fetch(_RELEASE.format(which="<> ALL"), *key, action_id, volunteer_id, kept)
    return len(rows)


async def unassigned(database: Database, key: CampaignKey) -> int:
    """How many contacts of all the campaign's actions nobody has been given yet."""
    count: int = await database.fetch_value(
        """
        SELECT count(*) FROM assignments
        WHERE organisation_id = $1 AND campaign_id = $2 AND volunteer_id IS NULL
        """,
        *key,
    )
    return count


async def remaining(database: Database, key: CampaignKey, action_id: int) -> int:
    """Contacts of the action whom nobody has yet (F162)."""
    left: int = await database.fetch_value(
        """
        SELECT count(*) FROM assignments
        WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3 AND volunteer_id IS NULL
        """,
        *key,
        action_id,
    )
    return left
