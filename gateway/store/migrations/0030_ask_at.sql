-- in steps
-- A text that is `sending` or `unknown` and in nobody's hands is asked about from `ask_at` on: the end of its claim's
-- lease and of the longest time on the wire. Set exactly in those two states, so that reading them is cheap at any size.

ALTER TABLE messages ADD COLUMN ask_at timestamptz;
UPDATE messages SET ask_at = coalesce(slot_at, requested_at) + interval '60 s' WHERE state IN ('sending', 'unknown');
CREATE INDEX CONCURRENTLY messages_to_ask ON messages (organisation_id, campaign_id, ask_at) WHERE ask_at IS NOT NULL;
