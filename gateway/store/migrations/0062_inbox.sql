-- in steps
-- The inbox: a conversation in which the person has written is in it, until it is archived; their next text brings it
-- back. Its lists are read from the index, a page at a time. Who has never written is in none of these indexes, so
-- that first texts pay nothing for them.

ALTER TABLE conversations ADD COLUMN archived_at timestamptz;
ALTER TABLE opt_outs ADD COLUMN volunteer_id bigint; -- who noted it by hand; null: nobody, or nobody knows
CREATE INDEX CONCURRENTLY conversations_inbox ON conversations (organisation_id, campaign_id, last_inbound_at, contact_id)
    WHERE last_inbound_at IS NOT NULL AND archived_at IS NULL;
CREATE INDEX CONCURRENTLY conversations_unread ON conversations (organisation_id, campaign_id, last_inbound_at, contact_id)
    WHERE last_inbound_at IS NOT NULL AND archived_at IS NULL AND unread > 0;
CREATE INDEX CONCURRENTLY conversations_archived ON conversations (organisation_id, campaign_id, last_inbound_at, contact_id)
    WHERE last_inbound_at IS NOT NULL AND archived_at IS NOT NULL;
CREATE INDEX CONCURRENTLY conversations_inbox_of_volunteer
    ON conversations (organisation_id, campaign_id, volunteer_id, last_inbound_at, contact_id)
    WHERE last_inbound_at IS NOT NULL;
CREATE INDEX CONCURRENTLY conversations_inbox_of_action
    ON conversations (organisation_id, campaign_id, action_id, last_inbound_at, contact_id)
    WHERE last_inbound_at IS NOT NULL;
