-- in steps
-- A campaign whose list of opt-outs becomes another one (C5): for a while both are kept alike, so that whoever still
-- reads or writes the one before, on whatever worker, passes nobody over who has left.

ALTER TABLE campaigns
    ADD COLUMN other_scope       bigint,            -- the list that is kept alike with opt_out_scope's
    ADD COLUMN other_scope_until timestamptz;       -- for opt-outs of before then
CREATE INDEX campaigns_of_two_scopes ON campaigns (organisation_id) WHERE other_scope IS NOT NULL;

-- Whoever begins a change waits for those who write opt-outs meanwhile by the same lock: what they wrote without knowing
-- of the change is there when the lists are copied.
CREATE FUNCTION write_opt_outs_twice() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    organisation bigint;
BEGIN
    FOR organisation IN SELECT DISTINCT f.organisation_id FROM fresh f ORDER BY 1 LOOP
        PERFORM pg_advisory_xact_lock_shared(hashint8extended(organisation, 98));
        INSERT INTO opt_outs (organisation_id, scope, phone, source, words, opted_out_at, volunteer_id)
        SELECT f.organisation_id, CASE WHEN f.scope = p.opt_out_scope THEN p.other_scope ELSE p.opt_out_scope END, f.phone,
               f.source, f.words, f.opted_out_at, f.volunteer_id
        FROM fresh f JOIN campaigns p ON p.organisation_id = organisation AND p.other_scope IS NOT NULL
         AND f.scope IN (p.opt_out_scope, p.other_scope) AND f.opted_out_at < p.other_scope_until
        WHERE f.organisation_id = organisation ORDER BY f.phone
        ON CONFLICT DO NOTHING;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER opt_outs_written_twice AFTER INSERT ON opt_outs REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION write_opt_outs_twice();
