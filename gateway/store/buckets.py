"""Who texts whom: volunteers claim buckets of an action's contacts, each contact with at most one of them at a time."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.store.database import Database, Record
from gateway.store.journal import RELEASED, assigned
from gateway.store.recipients import ABOUT, FACTS, PERSON, Recipient, since

_FIRST_TURN, _LAST_TURN = -(2**63), 2**63 - 1
_AMPLE = 2  # a look goes so many times as far beyond the front as the people that it wants have lately lain


class Fronts:
    """Where an action's free contacts begin: a hint, which may be wrong.

    By group of recipients the turn before which nobody was free when last looked, and how many turns lay between two
    contacts that were taken.
    """

    def __init__(self) -> None:
        self._turns: dict[str, int] = {}
        self._span = _LAST_TURN

    def of(self, groups: Iterable[str]) -> list[int]:
        return [self._turns.get(group, _FIRST_TURN) for group in groups]

    def reach(self, begin: Sequence[int], wanted: int) -> int:
        """Up to which turn there should be so many people."""
        return min(_LAST_TURN, min(begin, default=_FIRST_TURN) + _AMPLE * self._span * wanted)

    def taken_up_to(self, turn: int, taken: int, groups: Iterable[str], begin: Sequence[int]) -> None:
        """So many were taken, and of these groups nobody is free before the turn any more: as far as anybody knew, since
        of a turn before the look's own beginning they lay behind the front."""
        if turn < min(begin):
            self.clear()
            return
        self._span = (turn - min(begin)) // taken
        self._turns.update(dict.fromkeys(groups, turn))

    def clear(self) -> None:
        """Somebody may be free anywhere."""
        self._turns.clear()


class Wanted(msgspec.Struct, frozen=True):
    """A volunteer wants a bucket of `size`. `known`: the newest that they have, as far as whoever asks knows; a newer one
    is given again instead."""

    volunteer_id: int
    known: int | None
    size: int


class Claimed(msgspec.Struct, frozen=True):
    """A volunteer's bucket. `is_new`: its people were free until now; else it is one that was claimed before."""

    bucket_id: int | None
    contact_ids: list[int]
    is_new: bool


NOBODY = Claimed(None, [], is_new=True)

# Whoever was claimed leaves a dead entry in the index until it is vacuumed: without a front each claim walks past all
# of them.
_CLAIM = f"""
WITH claimed AS MATERIALIZED (
    SELECT volunteer_id, bucket_id, contact_id, hours_group, turn
    FROM claim_buckets($1, $2, $3, $4, $5, $6, $7, $8, $9, to_timestamp($10), to_timestamp($11))
), {assigned("claimed WHERE hours_group IS NOT NULL", action="$3::bigint", to="volunteer_id", at="to_timestamp($10)")}
SELECT volunteer_id, bucket_id, contact_id, hours_group, turn FROM claimed
"""  # noqa: S608 - fixed texts


async def claim(
    database: Database,
    key: CampaignKey,
    action_id: int,
    wanted: Sequence[Wanted],
    *,
    open_groups: Sequence[str],
    now: float,
    look_at: float,
    fronts: Fronts,
) -> list[Claimed]:
    """Gives each of these volunteers, none of whom may be there twice, the next contacts whose lawful window is open
    (F178, F183), first those that are kept for this volunteer (F184); fewer only when nobody else is free. Claims of one
    action take turns, whichever worker they come from; those of one call are as good as one after the other.

    The buckets are looked at again at `look_at`. Looks behind the `fronts` only when there are too few beyond them, and
    keeps them up to date.
    """
    begin, most = fronts.of(open_groups), sum(each.size for each in wanted)
    rows = await database.fetch(
        _CLAIM,
        *key,
        action_id,
        [each.volunteer_id for each in wanted],
        [each.known for each in wanted],
        [each.size for each in wanted],
        open_groups,
        begin,
        fronts.reach(begin, most),
        now,
        look_at,
    )
    given: dict[int, list[Record]] = {each.volunteer_id: [] for each in wanted}
    for row in rows:
        given[row[0]].append(row)
    claimed = [_claimed(given[each.volunteer_id]) for each in wanted]
    if any(
        mine.is_new and len(mine.contact_ids) < each.size for mine, each in zip(claimed, wanted, strict=True)
    ):
        fronts.clear()
    elif turns := [row[4] for row in rows if row[4] is not None]:
        fronts.taken_up_to(max(turns), len(turns), open_groups, begin)
    return claimed


def _claimed(rows: Sequence[Record]) -> Claimed:
    if not rows:
        return NOBODY
    return Claimed(rows[0][1], [row[2] for row in rows], is_new=rows[0][3] is not None)


class Assigned(msgspec.Struct, frozen=True, gc=False):
    """A contact in a volunteer's bucket, with what a script may say about the person and what admission will ask."""

    known: Recipient
    first_name: str
    last_name: str
    email: str
    zip: str
    state: str
    fields: str | None


_IN_ORDER = f"""
SELECT c.first_name, c.last_name, c.email, c.zip, c.state, c.fields::text, {FACTS}
FROM (SELECT contact_id, $6::bigint AS action_id, place
      FROM unnest($7::bigint[]) WITH ORDINALITY AS taken (contact_id, place)) AS wanted
"""  # noqa: S608 - fixed texts
_ABOUT = f"{_IN_ORDER} {ABOUT} ORDER BY wanted.place"
_ABOUT_GIVEN = f"""
{_IN_ORDER} {PERSON} CROSS JOIN (SELECT $8::bigint AS volunteer_id, false AS texted) AS a ORDER BY wanted.place
"""


async def about(
    database: Database,
    key: CampaignKey,
    action_id: int,
    contact_ids: Sequence[int],
    *,
    opt_out_scope: int,
    texts_since: float,
    given_to: int | None = None,
) -> list[Assigned]:
    """The people of a bucket, in its order. `given_to`: the volunteer to whom all of them have just been given."""
    if not contact_ids:
        return []
    arguments = (*key, opt_out_scope, *since(texts_since), action_id, contact_ids)
    if given_to is None:
        rows = await database.fetch(_ABOUT, *arguments)
    else:
        rows = await database.fetch(_ABOUT_GIVEN, *arguments, given_to)
    return [Assigned(Recipient(*row[6:]), *row[:6]) for row in rows]


# A contact is pressed when there is a message of this action to them, in whatever state: sent, or refused by a safeguard.
_NOT_PRESSED = """
NOT EXISTS (SELECT FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = a.contact_id
            AND m.action_id = a.action_id)
"""
# Who was given back and claimed again stands in two buckets of a volunteer: the later one counts.
_MINE = f"""
WITH own AS (
    SELECT DISTINCT ON (each.contact_id) b.bucket_id, each.contact_id, each.place
    FROM buckets b CROSS JOIN LATERAL unnest(b.contact_ids) WITH ORDINALITY AS each (contact_id, place)
    WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.action_id = $3 AND b.volunteer_id = $4
    ORDER BY each.contact_id, b.bucket_id DESC
)
SELECT (SELECT max(bucket_id) FROM own), ARRAY(
    SELECT own.contact_id FROM own CROSS JOIN LATERAL (
        SELECT * FROM assignments a WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $3
         AND a.contact_id = own.contact_id AND a.volunteer_id = $4 AND NOT a.texted LIMIT 1) a
    WHERE {_NOT_PRESSED} ORDER BY own.bucket_id, own.place LIMIT $5)
"""  # noqa: S608 - fixed texts


async def mine(
    database: Database, key: CampaignKey, action_id: int, volunteer_id: int, *, limit: int = 500
) -> tuple[int | None, list[int]]:
    """The volunteer's newest bucket, and whom of all of them they have and have not pressed, in their order."""
    [(newest, contact_ids)] = await database.fetch(_MINE, *key, action_id, volunteer_id, limit)
    return newest, contact_ids


_RELEASE = f"""
WITH freed AS (
    UPDATE assignments a SET volunteer_id = NULL, assigned_at = NULL
    WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $3 AND a.volunteer_id = $4
      AND a.contact_id = ANY ($5::bigint[]) AND NOT a.texted AND {_NOT_PRESSED}
    RETURNING a.contact_id, a.action_id, OLD.volunteer_id
), {RELEASED.format(at="$6")}
SELECT contact_id FROM freed ORDER BY contact_id
"""  # noqa: S608 - fixed texts


async def release(
    database: Database,
    key: CampaignKey,
    action_id: int,
    volunteer_id: int,
    contact_ids: Sequence[int],
    now: float,
) -> list[int]:
    """Takes back contacts that were not pressed yet (C22); returns those that are free again."""
    rows = await database.fetch(_RELEASE, *key, action_id, volunteer_id, contact_ids, now)
    return [row[0] for row in rows]


_GIVE_BACK = f"""
WITH gone AS (
    DELETE FROM buckets b
    WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.action_id = $3 AND b.volunteer_id = $4
    RETURNING b.contact_ids
), freed AS (
    UPDATE assignments a SET volunteer_id = NULL, assigned_at = NULL
    WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $3 AND a.volunteer_id = $4
      AND a.contact_id = ANY (ARRAY(SELECT unnest(contact_ids) FROM gone)) AND NOT a.texted AND {_NOT_PRESSED}
    RETURNING a.contact_id, a.action_id, OLD.volunteer_id
), {RELEASED.format(at="$5")}
SELECT contact_id FROM freed ORDER BY contact_id
"""  # noqa: S608 - fixed texts


async def give_back(
    database: Database, key: CampaignKey, action_id: int, volunteer_id: int, now: float
) -> list[int]:
    """The volunteer has no bucket any more; returns the contacts that are free again."""
    rows = await database.fetch(_GIVE_BACK, *key, action_id, volunteer_id, now)
    return [row[0] for row in rows]


class Tidied(msgspec.Struct, frozen=True):
    """What became of buckets that were due for a look: how many were looked at, and the contacts that are free again,
    with their actions."""

    looked_at: int
    freed: list[tuple[int, int]]


# A bucket whose contacts are all pressed goes; one in which a press came lately is looked at again when it might lie
# idle; of the others what was not pressed is for others again.
_TIDY = f"""
WITH due AS (
    SELECT * FROM buckets b
    WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.look_at <= to_timestamp($3)
    ORDER BY b.look_at LIMIT $5 FOR UPDATE SKIP LOCKED
), pressed AS (
    SELECT due.action_id, due.volunteer_id, due.bucket_id, max(m.requested_at) AS last_at
    FROM due CROSS JOIN LATERAL unnest(due.contact_ids) AS each (contact_id)
    JOIN messages m ON m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = each.contact_id
     AND m.action_id = due.action_id AND m.sender_id = due.volunteer_id
    GROUP BY due.action_id, due.volunteer_id, due.bucket_id
), unpressed AS (
    SELECT due.action_id, due.volunteer_id, due.bucket_id, a.contact_id, pressed.last_at
    FROM due LEFT JOIN pressed USING (action_id, volunteer_id, bucket_id)
    CROSS JOIN LATERAL unnest(due.contact_ids) AS each (contact_id)
    CROSS JOIN LATERAL (
        SELECT * FROM assignments a WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = due.action_id
         AND a.contact_id = each.contact_id AND a.volunteer_id = due.volunteer_id AND NOT a.texted LIMIT 1) a
    WHERE {_NOT_PRESSED}
), busy AS (
    UPDATE buckets b SET look_at = u.last_at + make_interval(secs => $4)
    FROM (SELECT DISTINCT action_id, volunteer_id, bucket_id, last_at FROM unpressed) u
    WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.action_id = u.action_id AND b.volunteer_id = u.volunteer_id
      AND b.bucket_id = u.bucket_id AND u.last_at > to_timestamp($3 - $4)
    RETURNING b.action_id, b.volunteer_id, b.bucket_id
), gone AS (
    DELETE FROM buckets b USING due
    WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.action_id = due.action_id
      AND b.volunteer_id = due.volunteer_id AND b.bucket_id = due.bucket_id
      AND NOT EXISTS (SELECT FROM unpressed u WHERE u.action_id = due.action_id AND u.volunteer_id = due.volunteer_id
                      AND u.bucket_id = due.bucket_id AND u.last_at > to_timestamp($3 - $4))
), freed AS (
    UPDATE assignments a SET volunteer_id = NULL, assigned_at = NULL
    FROM unpressed u
    WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = u.action_id AND a.contact_id = u.contact_id
      AND a.volunteer_id = u.volunteer_id AND (u.last_at > to_timestamp($3 - $4)) IS NOT TRUE
    RETURNING a.action_id, a.contact_id, OLD.volunteer_id
), {RELEASED.format(at="$3")}
SELECT (SELECT count(*) FROM due), action_id, contact_id FROM (SELECT) at_least_one_row LEFT JOIN freed ON true
"""  # noqa: S608 - fixed texts


async def tidy(database: Database, key: CampaignKey, now: float, idle_s: float, limit: int) -> Tidied:
    """Looks at the campaign's next `limit` buckets that may lie idle: no press for `idle_s` seconds (C22)."""
    rows = await database.fetch(_TIDY, *key, now, idle_s, limit)
    return Tidied(rows[0][0], [(row[1], row[2]) for row in rows if row[2] is not None])


# A bucket that was pressed whole goes when the next one is asked for: whom others still have is read from those that
# are left, and at the end of a bank everybody asks.
_FINISH = f"""
WITH gone AS (
    DELETE FROM buckets b
    WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.action_id = $3 AND b.volunteer_id = $4 AND b.bucket_id <= $5
      AND NOT EXISTS (
        SELECT FROM unnest(b.contact_ids) AS each (contact_id)
        CROSS JOIN LATERAL (
            SELECT * FROM assignments a WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $3
             AND a.contact_id = each.contact_id AND a.volunteer_id = $4 AND NOT a.texted LIMIT 1) a
        WHERE {_NOT_PRESSED})
    RETURNING b.bucket_id
)
SELECT CASE WHEN $5 IN (SELECT bucket_id FROM gone) THEN (
    SELECT max(b.bucket_id) FROM buckets b
    WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.action_id = $3 AND b.volunteer_id = $4 AND b.bucket_id < $5
      AND b.bucket_id NOT IN (SELECT bucket_id FROM gone)) ELSE $5 END
"""  # noqa: S608 - fixed texts


async def finish(
    database: Database, key: CampaignKey, action_id: int, volunteer_id: int, known: int
) -> int | None:
    """The volunteer's buckets up to the `known` one go where all of them is pressed; returns the bucket that a claim of
    the next one knows now."""
    newest: int | None = await database.fetch_value(_FINISH, *key, action_id, volunteer_id, known)
    return newest


class Standing(msgspec.Struct, frozen=True):
    """Whom an action has left, by group of recipients: `free` for anybody, `kept` for one volunteer; and how many each
    volunteer has on the screen and has not pressed, who may come back to the others, `held`."""

    free: dict[str, int]
    kept: dict[int, dict[str, int]]
    held: dict[int, int]

    def free_for(self, volunteer_id: int) -> dict[str, int]:
        """By group, how many this volunteer may be given."""
        mine = self.kept.get(volunteer_id, {})
        return {group: self.free.get(group, 0) + mine.get(group, 0) for group in sorted({*self.free, *mine})}

    def held_from(self, volunteer_id: int) -> int:
        """How many the others have; counted up to a thousand or two."""
        return sum(count for whose, count in self.held.items() if whose != volunteer_id)


_FREE = """
SELECT NULL::bigint, hours_group, count(*) FROM assignments
WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3 AND volunteer_id IS NULL AND kept_for IS NULL
  AND NOT texted GROUP BY hours_group
UNION ALL
SELECT kept_for, hours_group, count(*) FROM assignments
WHERE organisation_id = $1 AND campaign_id = $2 AND action_id = $3 AND volunteer_id IS NULL AND kept_for IS NOT NULL
  AND NOT texted GROUP BY kept_for, hours_group
"""
# Who was given back and claimed again stands in two buckets of a volunteer.
_HELD = f"""
SELECT volunteer_id, count(DISTINCT contact_id) FROM (
    SELECT b.volunteer_id, a.contact_id FROM buckets b CROSS JOIN LATERAL unnest(b.contact_ids) AS each (contact_id)
    CROSS JOIN LATERAL (
        SELECT * FROM assignments a WHERE a.organisation_id = $1 AND a.campaign_id = $2 AND a.action_id = $3
         AND a.contact_id = each.contact_id AND a.volunteer_id = b.volunteer_id AND a.kept_for IS NULL
         AND NOT a.texted LIMIT 1) a
    WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.action_id = $3 AND {_NOT_PRESSED} LIMIT $4) AS found
GROUP BY volunteer_id
"""  # noqa: S608 - fixed texts
_MOST_HELD: Final = 2_000


async def standing(
    database: Database, key: CampaignKey, action_id: int, *, most_held: int = _MOST_HELD
) -> Standing:
    """Whom the action has left. On a long list it takes a while: whoever asks at once may share it."""
    free: dict[str, int] = {}
    kept: dict[int, dict[str, int]] = {}
    for whose, group, count in await database.fetch(_FREE, *key, action_id):
        (free if whose is None else kept.setdefault(whose, {}))[group] = count
    held = await database.fetch(_HELD, *key, action_id, most_held)
    return Standing(free, kept, {row[0]: row[1] for row in held})


# Those who are kept for somebody and those who are not are counted apart: each is what an index holds, and nothing else.
REMAINING: Final = """
((SELECT count(*) FROM assignments s WHERE s.organisation_id = $1 AND s.campaign_id = $2 {which}
  AND s.volunteer_id IS NULL AND s.kept_for IS NULL)
 + (SELECT count(*) FROM assignments s WHERE s.organisation_id = $1 AND s.campaign_id = $2 {which}
    AND s.volunteer_id IS NULL AND s.kept_for IS NOT NULL))
"""
REMAINING_OF_ACTION: Final = f"SELECT {REMAINING.format(which='AND s.action_id = $3')}"
_UNASSIGNED: Final = f"SELECT {REMAINING.format(which='')}"


async def remaining(database: Database, key: CampaignKey, action_id: int) -> int:
    """Contacts of the action whom nobody has yet (F162)."""
    left: int = await database.fetch_value(REMAINING_OF_ACTION, *key, action_id)
    return left


async def unassigned(database: Database, key: CampaignKey) -> int:
    """How many contacts of all the campaign's actions nobody has been given yet."""
    count: int = await database.fetch_value(_UNASSIGNED, *key)
    return count
