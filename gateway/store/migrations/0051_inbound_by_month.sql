-- in steps
-- People's texts lie in a partition a month, as messages do. That a text is heard once, whenever it is brought, is the
-- rule of a table of its own. Today's table is the first partition and keeps its name, so that workers of the release
-- before, whose INSERT names its unique rule, go on with it; its trigger tells the new table of what they write.

CREATE TABLE inbound_ids (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    provider_sid    text NOT NULL,
    inbound_id      bigint NOT NULL,            -- where its text is
    PRIMARY KEY (organisation_id, campaign_id, provider_sid)
);
ALTER TABLE inbound_texts ADD CONSTRAINT inbound_texts_before CHECK (inbound_id < 10000000000000) NOT VALID;
ALTER TABLE inbound_texts VALIDATE CONSTRAINT inbound_texts_before;
CREATE TABLE inbound (LIKE inbound_texts INCLUDING DEFAULTS,
    CONSTRAINT inbound_pkey PRIMARY KEY (organisation_id, campaign_id, inbound_id))
    PARTITION BY RANGE (inbound_id);
CREATE INDEX inbound_by_contact ON inbound (organisation_id, campaign_id, contact_id, inbound_id);
CREATE TABLE inbound_other PARTITION OF inbound DEFAULT;

DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
        FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.oid = 'inbound_texts'::regclass AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s ON inbound, inbound_ids TO %s', granted.privilege_type, granted.grantee);
    END LOOP;
END $$;
CREATE FUNCTION inbound_is_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbound_ids (organisation_id, campaign_id, provider_sid, inbound_id)
    VALUES (NEW.organisation_id, NEW.campaign_id, NEW.provider_sid, NEW.inbound_id)
    ON CONFLICT (organisation_id, campaign_id, provider_sid) DO NOTHING;
    IF FOUND THEN
        RETURN NEW;
    END IF;
    RETURN NULL; -- it is there: the row is passed over
END $$;
CREATE TRIGGER inbound_is_new BEFORE INSERT ON inbound_texts FOR EACH ROW EXECUTE FUNCTION inbound_is_new();
INSERT INTO inbound_ids (organisation_id, campaign_id, provider_sid, inbound_id)
SELECT organisation_id, campaign_id, provider_sid, inbound_id FROM inbound_texts
ON CONFLICT (organisation_id, campaign_id, provider_sid) DO NOTHING;

DO $$ BEGIN
    LOCK TABLE inbound_texts IN ACCESS EXCLUSIVE MODE;
    ALTER TABLE inbound ATTACH PARTITION inbound_texts FOR VALUES FROM (MINVALUE) TO (10000000000000);
    ALTER TABLE inbound_texts DROP CONSTRAINT inbound_texts_before;
    IF NOT EXISTS (SELECT FROM campaigns) THEN -- nobody has worked with it: no workers of the release before
        DROP TABLE inbound_texts;
        DROP FUNCTION inbound_is_new();
    END IF;
END $$;
