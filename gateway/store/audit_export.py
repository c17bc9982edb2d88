"""Everything of one campaign, read out in id order: for an auditor. $1 and $2 are the campaign's key."""

MESSAGES = """
SELECT m.message_id, substr(c.phone, 2)::bigint, coalesce(substr(n.phone, 2)::bigint, 0), m.kind, m.state,
       m.reason IS NOT NULL, coalesce(m.code, 0), m.attempt, m.segments,
       extract(epoch FROM m.requested_at)::float8, extract(epoch FROM m.slot_at)::float8,
       extract(epoch FROM m.final_at)::float8
FROM messages m
LEFT JOIN contacts c ON c.organisation_id = m.organisation_id AND c.campaign_id = m.campaign_id
  AND c.contact_id = m.contact_id
LEFT JOIN numbers n ON n.organisation_id = m.organisation_id AND n.campaign_id = m.campaign_id
  AND n.number_id = m.number_id
WHERE m.organisation_id = $1 AND m.campaign_id = $2 ORDER BY m.message_id
"""
PAST_ATTEMPTS = """
SELECT message_id, attempt, state, coalesce(code, 0) FROM attempts
WHERE organisation_id = $1 AND campaign_id = $2 ORDER BY message_id, attempt
"""
OPT_OUTS = """
SELECT substr(o.phone, 2)::bigint, extract(epoch FROM o.opted_out_at)::float8, o.source
FROM opt_outs o JOIN campaigns p ON p.organisation_id = o.organisation_id AND p.opt_out_scope = o.scope
WHERE p.organisation_id = $1 AND p.campaign_id = $2 ORDER BY o.phone
"""
INBOUND = """
SELECT provider_sid, substr(phone, 2)::bigint, substr(number_phone, 2)::bigint, contact_id IS NOT NULL, intent,
       extract(epoch FROM received_at)::float8
FROM inbound WHERE organisation_id = $1 AND campaign_id = $2 ORDER BY inbound_id
"""
WAITING = """
SELECT substr(c.phone, 2)::bigint FROM conversations v
JOIN contacts c ON c.organisation_id = v.organisation_id AND c.campaign_id = v.campaign_id AND c.contact_id = v.contact_id
WHERE v.organisation_id = $1 AND v.campaign_id = $2 AND v.attention_at IS NOT NULL ORDER BY c.phone
"""
NUMBERS = """
SELECT substr(phone, 2)::bigint, state FROM numbers
WHERE organisation_id = $1 AND campaign_id = $2 ORDER BY number_id
"""
