"""What the safeguards ask about a person: contact, conversation, opt-out, assignment, in one read."""

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.months import ids_since
from gateway.core.rules.safeguards import GATEWAY
from gateway.store.database import Statements

# What a statement asks about each row of its `wanted` (contact_id, action_id), in the order of Recipient's fields.
# $1 and $2 are the campaign's key, $3 is its opt-out scope, $4 and $5 since when texts are remembered, and their ids.
# The conversation says when there is nothing to look for; ids bound the look to the partitions of those months. It also
# says whose the person is once they were texted in the action: whoever did so may have pressed while the bucket was given
# back, and another be given the person then.
FACTS = f"""
wanted.contact_id, c.phone, c.line_type, c.carrier, coalesce(c.hours_group, ''),
coalesce(v.revision, 0), v.number_id,
extract(epoch FROM v.last_initial_at)::float8, extract(epoch FROM v.last_outbound_at)::float8,
v.failure_code, CASE WHEN v.failure_until = 'infinity' THEN 'infinity'::float8
                     ELSE extract(epoch FROM v.failure_until)::float8 END,
extract(epoch FROM v.last_inbound_at)::float8,
(SELECT o.phone FROM opt_outs o WHERE o.organisation_id = $1 AND o.scope = $3 AND o.phone = c.phone) IS NOT NULL,
nullif(CASE WHEN a.volunteer_id <> v.volunteer_id AND v.action_id = wanted.action_id
            THEN v.volunteer_id ELSE a.volunteer_id END, {GATEWAY}),
coalesce(a.texted, false) OR v.last_initial_at IS NOT NULL AND EXISTS (
    SELECT FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = wanted.contact_id
    AND m.action_id = wanted.action_id AND m.kind = 'initial' AND m.state <> 'blocked'),
CASE WHEN v.last_outbound_at > to_timestamp($4) THEN
    ARRAY(SELECT m.text_hash FROM messages m WHERE m.organisation_id = $1 AND m.campaign_id = $2
          AND m.contact_id = wanted.contact_id AND (m.message_id >= $5 OR m.message_id < 10000000000000)
          AND m.requested_at > to_timestamp($4) AND m.state <> 'blocked')
ELSE '{{}}' END
"""  # noqa: S608 - fixed texts

# What is asked besides for a broadcast (F043, F057).
_OF_BROADCAST = """
c.assignee_id IS NOT NULL, coalesce((
    SELECT CASE WHEN b.withdrawn_at IS NULL THEN 'given' ELSE 'withdrawn' END FROM broadcast_consents b
    WHERE b.organisation_id = $1 AND b.campaign_id = $2 AND b.contact_id = wanted.contact_id), 'none')
"""

# LATERAL with LIMIT 1: one look-up by key for each person, whatever the planner thinks of the tables' sizes.
PERSON = """
LEFT JOIN LATERAL (SELECT * FROM contacts c WHERE c.organisation_id = $1 AND c.campaign_id = $2
                   AND c.contact_id = wanted.contact_id LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT * FROM conversations v WHERE v.organisation_id = $1 AND v.campaign_id = $2
                   AND v.contact_id = wanted.contact_id LIMIT 1) v ON true
"""
ABOUT = f"""{PERSON}
LEFT JOIN LATERAL (SELECT * FROM assignments a WHERE a.organisation_id = $1 AND a.campaign_id = $2
                   AND a.action_id = wanted.action_id AND a.contact_id = wanted.contact_id LIMIT 1) a ON true
"""  # noqa: S608 - fixed texts

_LOAD = f"""
SELECT {FACTS} {{more}}
FROM unnest($6::bigint[], $7::bigint[]) WITH ORDINALITY AS wanted (contact_id, action_id, place) {ABOUT}
ORDER BY wanted.place
"""  # noqa: S608 - fixed texts
_LOAD_ALL = _LOAD.replace("{more}", "")
_LOAD_FOR_BROADCAST = _LOAD.replace("{more}", f", {_OF_BROADCAST}")


class Recipient(msgspec.Struct, gc=False):
    """One person as the store knows them at `revision` (0: no conversation yet); times in Unix seconds.

    `recent_texts` are the hashes of the texts sent to them since the time asked for (1001a). The last two are read where
    a broadcast is asked for: elsewhere nobody has agreed to one.
    """

    contact_id: int
    phone: str | None
    line_type: str | None
    carrier: str | None
    hours_group: str
    revision: int
    number_id: int | None
    last_initial_at: float | None
    last_outbound_at: float | None
    failure_code: int | None
    failure_until: float | None
    last_inbound_at: float | None
    opted_out: bool
    assignee_id: int | None
    already_sent: bool
    recent_texts: list[int]
    is_users_own: bool = False
    consent: str = "none"


def since(at: float) -> tuple[float, int]:
    """The arguments $4 and $5 of FACTS for an instant (Unix seconds)."""
    return at, ids_since(at)


def given_to(volunteer_id: int, facts: Sequence[Any]) -> Recipient:
    """The FACTS of a statement that has just given the person to this volunteer: it still sees who was before."""
    recipient = Recipient(*facts)
    recipient.assignee_id = volunteer_id
    return recipient


async def load(
    statements: Statements,
    key: CampaignKey,
    opt_out_scope: int,
    contact_ids: Sequence[int],
    action_ids: Sequence[int | None],
    *,
    texts_since: float,
    for_broadcast: bool = False,
) -> list[Recipient]:
    """One record a (contact, action) pair, in the order asked; an unknown contact has phone None."""
    sql = _LOAD_FOR_BROADCAST if for_broadcast else _LOAD_ALL
    rows = await statements.fetch(sql, *key, opt_out_scope, *since(texts_since), contact_ids, action_ids)
    return [Recipient(*row) for row in rows]
