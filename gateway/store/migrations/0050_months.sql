-- in steps
-- Messages and attempts lie in a partition a month. An id begins with the month in which it was given, so the primary
-- keys, and the statements that name a message, are as they were. Today's tables become the first partitions: their ids
-- are lower than any with a month, also those that workers of the release before go on giving. What has no month of
-- its own, because nobody could make it in time, lies in `…_other`.

ALTER TABLE messages ADD CONSTRAINT messages_before CHECK (message_id < 10000000000000) NOT VALID;
ALTER TABLE messages VALIDATE CONSTRAINT messages_before;
CREATE TABLE messages_by_month (LIKE messages INCLUDING DEFAULTS,
    CONSTRAINT messages_by_month_pkey PRIMARY KEY (organisation_id, campaign_id, message_id))
    PARTITION BY RANGE (message_id);
CREATE INDEX messages_by_month_of_contact ON messages_by_month (organisation_id, campaign_id, contact_id);
CREATE INDEX messages_by_month_to_ask ON messages_by_month (organisation_id, campaign_id, ask_at) WHERE ask_at IS NOT NULL;
CREATE TABLE messages_other PARTITION OF messages_by_month DEFAULT WITH (fillfactor = 60);

ALTER TABLE attempts ADD CONSTRAINT attempts_before CHECK (message_id < 10000000000000) NOT VALID;
ALTER TABLE attempts VALIDATE CONSTRAINT attempts_before;
CREATE TABLE attempts_by_month (LIKE attempts INCLUDING DEFAULTS,
    CONSTRAINT attempts_by_month_pkey PRIMARY KEY (organisation_id, campaign_id, message_id, attempt))
    PARTITION BY RANGE (message_id);
CREATE TABLE attempts_other PARTITION OF attempts_by_month DEFAULT;

-- The new table takes the old one's name, rights and rows at once: whoever waits meanwhile finds the new one.
DO $$
DECLARE
    family text;
    granted record;
BEGIN
    FOREACH family IN ARRAY ARRAY['messages', 'attempts'] LOOP
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', family);
        FOR granted IN
            SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
            FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = family::regclass AND a.grantee <> c.relowner
        LOOP
            EXECUTE format('GRANT %s ON %I TO %s', granted.privilege_type, family || '_by_month', granted.grantee);
        END LOOP;
        EXECUTE format('ALTER TABLE %I RENAME TO %I', family, family || '_before');
        EXECUTE format('ALTER TABLE %I RENAME TO %I', family || '_by_month', family);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (10000000000000)',
                       family, family || '_before');
        EXECUTE format('ALTER TABLE %1$I DROP CONSTRAINT %1$I', family || '_before');
    END LOOP;
END $$;

-- A database that nobody has worked with has no rows without a month, and no workers of the release before.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM campaigns) THEN
        DROP TABLE messages_before, attempts_before;
    END IF;
END $$;
