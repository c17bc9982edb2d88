-- in steps
-- Whoever is erased is erased from what other systems were told as well.
CREATE INDEX CONCURRENTLY webhook_deliveries_of_anybody ON webhook_deliveries (organisation_id, campaign_id, contact_id);
