"""The books, asked whether a promise to a person was broken: an audit beside the road, in words of its own."""

from gateway.core.rules.campaign import CampaignKey
from gateway.core.rules.months import ids_since
from gateway.store.database import Database

_IN_FORCE_S = 15.0  # a call that began before a STOP was in force may have its slot so much later at most
_WAITS_S = 31 * 86_400.0  # no text waits longer for its slot

# Opt-outs that a list brought along may be of any day. The provider's own come with our text's refusal. A text that went
# out since then stands in the journal since then: where its newest line is older, nobody's opt-out is looked at.
_SENT_AFTER_OPT_OUT = """
SELECT m.message_id FROM opt_outs o
JOIN contacts c ON c.organisation_id = $1 AND c.campaign_id = $2 AND c.phone = o.phone
JOIN messages m ON m.organisation_id = $1 AND m.campaign_id = $2 AND m.contact_id = c.contact_id
 AND m.message_id >= $6
WHERE (SELECT e.at FROM events e WHERE e.organisation_id = $1 AND e.campaign_id = $2
       ORDER BY e.xid DESC, e.event_id DESC LIMIT 1) >= to_timestamp($4)
  AND o.organisation_id = $1 AND o.scope = $3 AND o.source IN ('keyword', 'manual', 'provider')
  AND o.opted_out_at < to_timestamp($5) AND m.slot_at >= to_timestamp($4) AND m.slot_at < to_timestamp($5)
  AND m.slot_at > o.opted_out_at + make_interval(secs => $7)
  AND coalesce(m.accepted_at, m.sent_at) IS NOT NULL AND m.kind <> 'confirmation'
ORDER BY m.message_id
"""


async def sent_after_opt_out(
    database: Database, key: CampaignKey, opt_out_scope: int, since: float, until: float
) -> list[int]:
    """Messages whose slot lies in [since, until), to people who had left before it, and that the provider took.

    One look-up for each opt-out of the campaign's scope, where anything has happened since.
    """
    rows = await database.fetch(
        _SENT_AFTER_OPT_OUT, *key, opt_out_scope, since, until, ids_since(since - _WAITS_S), _IN_FORCE_S
    )
    return [row[0] for row in rows]
