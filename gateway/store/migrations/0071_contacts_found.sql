-- in steps
-- Contacts are found by state, ZIP, name, the last digits of a phone and who should text them. All but names and digits
-- are read in the order of contact ids, a page at a time.

CREATE INDEX CONCURRENTLY contacts_by_state ON contacts (organisation_id, campaign_id, state, contact_id);
CREATE INDEX CONCURRENTLY contacts_by_zip ON contacts (organisation_id, campaign_id, (left(zip, 5)), contact_id);
CREATE INDEX CONCURRENTLY contacts_by_last_name
    ON contacts (organisation_id, campaign_id, (lower(last_name) COLLATE "C"), contact_id);
CREATE INDEX CONCURRENTLY contacts_by_first_name
    ON contacts (organisation_id, campaign_id, (lower(first_name) COLLATE "C"), contact_id);
CREATE INDEX CONCURRENTLY contacts_by_last_digits
    ON contacts (organisation_id, campaign_id, (reverse(phone) COLLATE "C"));
CREATE INDEX CONCURRENTLY contacts_by_assignee ON contacts (organisation_id, campaign_id, assignee_id, contact_id)
    WHERE assignee_id IS NOT NULL;
