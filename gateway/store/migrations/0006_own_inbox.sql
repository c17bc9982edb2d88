-- A volunteer's own inbox is read without passing over everybody else's.
CREATE INDEX conversations_of_volunteer ON conversations (campaign_id, volunteer_id, attention_at)
    WHERE attention_at IS NOT NULL;
