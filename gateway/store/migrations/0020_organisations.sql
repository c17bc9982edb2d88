-- in steps
-- An organisation is the key: the primary key of every table of a campaign begins with organisation_id, every
-- unique rule contains it, and foreign keys stay within it. What is there already is the first organisation's.
--
-- It runs under load: each statement is a step of its own with a short wait for its lock, indexes are made while
-- others write, and a run that was broken off goes on where it stopped. Workers of the release before go on with
-- their work: they write no organisation, so the default stands until the next release.

CREATE TABLE organisations (
    organisation_id bigint PRIMARY KEY,
    name            text NOT NULL,
    created_at      timestamptz NOT NULL
);
INSERT INTO organisations VALUES (1, 'The first organisation', now());

ALTER TABLE campaigns ADD COLUMN organisation_id bigint NOT NULL DEFAULT 1;
ALTER TABLE contacts ADD COLUMN organisation_id bigint NOT NULL DEFAULT 1;
ALTER TABLE opt_outs ADD COLUMN organisation_id bigint NOT NULL DEFAULT 1;
ALTER TABLE numbers ADD COLUMN organisation_id bigint NOT NULL DEFAULT 1;
ALTER TABLE conversations ADD COLUMN organisation_id bigint NOT NULL DEFAULT 1;
ALTER TABLE messages ADD COLUMN organisation_id bigint NOT NULL DEFAULT 1;
ALTER TABLE queue ADD COLUMN organisation_id bigint NOT NULL DEFAULT 1;
ALTER TABLE attempts ADD COLUMN organisation_id bigint NOT NULL DEFAULT 1;
ALTER TABLE inbound_texts ADD COLUMN organisation_id bigint NOT NULL DEFAULT 1;
ALTER TABLE actions ADD COLUMN organisation_id bigint NOT NULL DEFAULT 1;
ALTER TABLE assignments ADD COLUMN organisation_id bigint NOT NULL DEFAULT 1;

-- Texts to numbers that nobody knows are nobody's, in no organisation.
UPDATE inbound_texts SET organisation_id = 0 WHERE campaign_id = 0;
UPDATE opt_outs SET organisation_id = 0 WHERE scope = 0;

-- The ids of campaigns stay unique over all organisations: paths and callbacks name a campaign by its id alone.
CREATE UNIQUE INDEX CONCURRENTLY campaigns_of_all ON campaigns (campaign_id);
CREATE UNIQUE INDEX CONCURRENTLY campaigns_by_organisation ON campaigns (organisation_id, campaign_id);
ALTER TABLE contacts ADD CONSTRAINT contacts_campaign FOREIGN KEY (organisation_id, campaign_id)
    REFERENCES campaigns (organisation_id, campaign_id) NOT VALID;
ALTER TABLE contacts VALIDATE CONSTRAINT contacts_campaign;
ALTER TABLE contacts DROP CONSTRAINT contacts_campaign_id_fkey;
ALTER TABLE numbers ADD CONSTRAINT numbers_campaign FOREIGN KEY (organisation_id, campaign_id)
    REFERENCES campaigns (organisation_id, campaign_id) NOT VALID;
ALTER TABLE numbers VALIDATE CONSTRAINT numbers_campaign;
ALTER TABLE numbers DROP CONSTRAINT numbers_campaign_id_fkey;
ALTER TABLE actions ADD CONSTRAINT actions_campaign FOREIGN KEY (organisation_id, campaign_id)
    REFERENCES campaigns (organisation_id, campaign_id) NOT VALID;
ALTER TABLE actions VALIDATE CONSTRAINT actions_campaign;
ALTER TABLE actions DROP CONSTRAINT actions_campaign_id_fkey;
ALTER TABLE campaigns ADD CONSTRAINT campaigns_organisation FOREIGN KEY (organisation_id) REFERENCES organisations;
ALTER TABLE api_keys DROP CONSTRAINT api_keys_campaign_id_fkey;
ALTER TABLE campaigns DROP CONSTRAINT campaigns_pkey,
    ADD CONSTRAINT campaigns_pkey PRIMARY KEY USING INDEX campaigns_by_organisation;
ALTER TABLE api_keys ADD CONSTRAINT api_keys_campaign_id_fkey FOREIGN KEY (campaign_id)
    REFERENCES campaigns (campaign_id);

-- What workers of the release before name in ON CONFLICT; it goes with the next release.
CREATE UNIQUE INDEX CONCURRENTLY conversations_release_before ON conversations (campaign_id, contact_id);
CREATE UNIQUE INDEX CONCURRENTLY inbound_texts_release_before ON inbound_texts (campaign_id, provider_sid);

CREATE UNIQUE INDEX CONCURRENTLY contacts_by_organisation ON contacts (organisation_id, campaign_id, contact_id);
ALTER TABLE contacts DROP CONSTRAINT contacts_pkey,
    ADD CONSTRAINT contacts_pkey PRIMARY KEY USING INDEX contacts_by_organisation;
CREATE UNIQUE INDEX CONCURRENTLY opt_outs_by_organisation ON opt_outs (organisation_id, scope, phone);
ALTER TABLE opt_outs DROP CONSTRAINT opt_outs_pkey,
    ADD CONSTRAINT opt_outs_pkey PRIMARY KEY USING INDEX opt_outs_by_organisation;
CREATE UNIQUE INDEX CONCURRENTLY numbers_by_organisation ON numbers (organisation_id, campaign_id, number_id);
ALTER TABLE numbers DROP CONSTRAINT numbers_pkey,
    ADD CONSTRAINT numbers_pkey PRIMARY KEY USING INDEX numbers_by_organisation;
CREATE UNIQUE INDEX CONCURRENTLY conversations_by_organisation ON conversations (organisation_id, campaign_id, contact_id);
ALTER TABLE conversations DROP CONSTRAINT conversations_pkey,
    ADD CONSTRAINT conversations_pkey PRIMARY KEY USING INDEX conversations_by_organisation;
CREATE UNIQUE INDEX CONCURRENTLY messages_by_organisation ON messages (organisation_id, campaign_id, message_id);
ALTER TABLE messages DROP CONSTRAINT messages_pkey,
    ADD CONSTRAINT messages_pkey PRIMARY KEY USING INDEX messages_by_organisation;
CREATE UNIQUE INDEX CONCURRENTLY queue_by_organisation ON queue (organisation_id, campaign_id, message_id);
ALTER TABLE queue DROP CONSTRAINT queue_pkey,
    ADD CONSTRAINT queue_pkey PRIMARY KEY USING INDEX queue_by_organisation;
CREATE UNIQUE INDEX CONCURRENTLY attempts_by_organisation ON attempts (organisation_id, campaign_id, message_id, attempt);
ALTER TABLE attempts DROP CONSTRAINT attempts_pkey,
    ADD CONSTRAINT attempts_pkey PRIMARY KEY USING INDEX attempts_by_organisation;
CREATE UNIQUE INDEX CONCURRENTLY inbound_texts_by_organisation ON inbound_texts (organisation_id, campaign_id, inbound_id);
ALTER TABLE inbound_texts DROP CONSTRAINT inbound_texts_pkey,
    ADD CONSTRAINT inbound_texts_pkey PRIMARY KEY USING INDEX inbound_texts_by_organisation;
CREATE UNIQUE INDEX CONCURRENTLY actions_by_organisation ON actions (organisation_id, campaign_id, action_id);
ALTER TABLE actions DROP CONSTRAINT actions_pkey,
    ADD CONSTRAINT actions_pkey PRIMARY KEY USING INDEX actions_by_organisation;
CREATE UNIQUE INDEX CONCURRENTLY assignments_by_organisation ON assignments (organisation_id, campaign_id, action_id, contact_id);
ALTER TABLE assignments DROP CONSTRAINT assignments_pkey,
    ADD CONSTRAINT assignments_pkey PRIMARY KEY USING INDEX assignments_by_organisation;

CREATE UNIQUE INDEX CONCURRENTLY contacts_phone ON contacts (organisation_id, campaign_id, phone);
ALTER TABLE contacts DROP CONSTRAINT contacts_campaign_id_phone_key, ADD CONSTRAINT contacts_phone UNIQUE USING INDEX contacts_phone;
CREATE UNIQUE INDEX CONCURRENTLY numbers_phone ON numbers (organisation_id, phone);
ALTER TABLE numbers DROP CONSTRAINT numbers_phone_key, ADD CONSTRAINT numbers_phone UNIQUE USING INDEX numbers_phone;
CREATE UNIQUE INDEX CONCURRENTLY inbound_texts_provider_sid ON inbound_texts (organisation_id, campaign_id, provider_sid);
ALTER TABLE inbound_texts DROP CONSTRAINT inbound_texts_campaign_id_provider_sid_key, ADD CONSTRAINT inbound_texts_provider_sid UNIQUE USING INDEX inbound_texts_provider_sid;

CREATE INDEX CONCURRENTLY conversations_waiting_by_organisation ON conversations (organisation_id, campaign_id, attention_at)
    WHERE attention_at IS NOT NULL;
DROP INDEX CONCURRENTLY conversations_waiting;
ALTER INDEX conversations_waiting_by_organisation RENAME TO conversations_waiting;
CREATE INDEX CONCURRENTLY conversations_of_volunteer_by_organisation ON conversations (organisation_id, campaign_id, volunteer_id, attention_at)
    WHERE attention_at IS NOT NULL;
DROP INDEX CONCURRENTLY conversations_of_volunteer;
ALTER INDEX conversations_of_volunteer_by_organisation RENAME TO conversations_of_volunteer;
CREATE INDEX CONCURRENTLY messages_of_contact_by_organisation ON messages (organisation_id, campaign_id, contact_id);
DROP INDEX CONCURRENTLY messages_of_contact;
ALTER INDEX messages_of_contact_by_organisation RENAME TO messages_of_contact;
CREATE UNIQUE INDEX CONCURRENTLY messages_idempotency_by_organisation ON messages (organisation_id, campaign_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
DROP INDEX CONCURRENTLY messages_idempotency;
ALTER INDEX messages_idempotency_by_organisation RENAME TO messages_idempotency;
CREATE INDEX CONCURRENTLY queue_order_by_organisation ON queue (organisation_id, campaign_id, lane, due_at, message_id);
DROP INDEX CONCURRENTLY queue_order;
ALTER INDEX queue_order_by_organisation RENAME TO queue_order;
CREATE INDEX CONCURRENTLY inbound_of_contact_by_organisation ON inbound_texts (organisation_id, campaign_id, contact_id, inbound_id);
DROP INDEX CONCURRENTLY inbound_of_contact;
ALTER INDEX inbound_of_contact_by_organisation RENAME TO inbound_of_contact;
CREATE INDEX CONCURRENTLY assignments_free_by_organisation ON assignments (organisation_id, campaign_id, action_id, hours_group, turn)
    WHERE volunteer_id IS NULL;
DROP INDEX CONCURRENTLY assignments_free;
ALTER INDEX assignments_free_by_organisation RENAME TO assignments_free;

-- A database that nobody has worked with has no workers of the release before.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM campaigns) THEN
        DROP INDEX conversations_release_before;
        DROP INDEX inbound_texts_release_before;
    END IF;
END $$;
