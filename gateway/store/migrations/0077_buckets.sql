-- in steps
-- Buckets: whom a volunteer was given at once, in which order, so that a reload shows the same people, a repeat of a
-- claim gives no second bucket, and what lies idle is found (C22). A row leaves when all of it is texted or given back.

CREATE TABLE buckets (
    organisation_id bigint NOT NULL,
    campaign_id     bigint NOT NULL,
    action_id       bigint NOT NULL,
    volunteer_id    bigint NOT NULL,
    bucket_id       bigint NOT NULL,            -- microseconds of when it was claimed; a later one's is larger
    contact_ids     bigint[] NOT NULL,
    look_at         timestamptz NOT NULL,       -- when it is looked at next: may it lie idle?
    PRIMARY KEY (organisation_id, campaign_id, action_id, volunteer_id, bucket_id)
);
CREATE INDEX buckets_look_at ON buckets (organisation_id, campaign_id, look_at);
ALTER TABLE buckets ALTER COLUMN organisation_id SET (n_distinct = 1);
ALTER TABLE buckets ALTER COLUMN campaign_id SET (n_distinct = 1);

-- F184: who alone may be given the contact; null: anybody.
ALTER TABLE assignments ADD COLUMN kept_for bigint;

CREATE INDEX CONCURRENTLY assignments_free_for_all ON assignments (organisation_id, campaign_id, action_id, hours_group, turn)
    WHERE volunteer_id IS NULL AND kept_for IS NULL;
CREATE INDEX CONCURRENTLY assignments_kept ON assignments (organisation_id, campaign_id, action_id, kept_for, turn)
    WHERE volunteer_id IS NULL AND kept_for IS NOT NULL;

-- Gives a volunteer a bucket: the next contacts of an action whom nobody has, first those that are kept for this
-- volunteer, full while anybody is free. Claims of one action take turns: who waits for the action's row looks only
-- then, and each statement of a function sees what was committed before it. A single statement would look first and wait
-- then, at people whom others have meanwhile.
--
-- `known` is the volunteer's newest bucket of which whoever asks knows. When there is a newer one, this is the repeat of
-- a claim, and gives that one again. `fills`: the known bucket, rather than a new one.
--
-- Between `fronts` and `reach` lie people enough, as far as the caller knows: without such a bound each group of
-- recipients would be read for a whole bucket. When they are too few the look goes on without it.

CREATE FUNCTION claim_bucket(organisation bigint, campaign bigint, action bigint, volunteer bigint, known bigint,
                             fills boolean, wanted integer, groups text[], fronts bigint[], reach bigint,
                             at timestamptz, look_at timestamptz)
RETURNS TABLE (bucket_id bigint, contact_id bigint, hours_group text, turn bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    newest bigint;
    kept bigint[];
    free bigint[];
BEGIN
    PERFORM FROM actions a
    WHERE a.organisation_id = organisation AND a.campaign_id = campaign AND a.action_id = action FOR NO KEY UPDATE;
    SELECT b.bucket_id INTO newest FROM buckets b
    WHERE b.organisation_id = organisation AND b.campaign_id = campaign AND b.action_id = action
      AND b.volunteer_id = volunteer ORDER BY b.bucket_id DESC LIMIT 1;
    IF newest IS DISTINCT FROM known AND newest IS NOT NULL THEN
        RETURN QUERY
        SELECT b.bucket_id, each.contact_id, NULL::text, NULL::bigint
        FROM buckets b CROSS JOIN LATERAL unnest(b.contact_ids) WITH ORDINALITY AS each (contact_id, place)
        WHERE b.organisation_id = organisation AND b.campaign_id = campaign AND b.action_id = action
          AND b.volunteer_id = volunteer AND b.bucket_id = newest
        ORDER BY each.place;
        RETURN;
    END IF;

    SELECT ARRAY(
        SELECT a.contact_id FROM assignments a
        WHERE a.organisation_id = organisation AND a.campaign_id = campaign AND a.action_id = action
          AND a.kept_for = volunteer AND a.volunteer_id IS NULL AND NOT a.texted AND a.hours_group = ANY (groups)
        ORDER BY a.turn, a.contact_id LIMIT wanted) INTO kept;
    LOOP
        SELECT ARRAY(
            SELECT next.contact_id FROM unnest(groups, fronts) AS open (hours_group, front)
            CROSS JOIN LATERAL (
                SELECT a.contact_id, a.turn FROM assignments a
                WHERE a.organisation_id = organisation AND a.campaign_id = campaign AND a.action_id = action
                  AND a.hours_group = open.hours_group AND a.volunteer_id IS NULL AND a.kept_for IS NULL
                  AND NOT a.texted AND a.turn BETWEEN open.front AND reach
                ORDER BY a.turn LIMIT wanted) next
            ORDER BY next.turn, next.contact_id LIMIT wanted - cardinality(kept)) INTO free;
        EXIT WHEN cardinality(kept) + cardinality(free) = wanted OR reach = 9223372036854775807;
        reach := 9223372036854775807;
    END LOOP;
    IF cardinality(kept) + cardinality(free) = 0 THEN
        RETURN;
    END IF;

    newest := CASE WHEN fills THEN known ELSE greatest(newest + 1, (extract(epoch FROM at) * 1000000)::bigint) END;
    INSERT INTO buckets AS b (organisation_id, campaign_id, action_id, volunteer_id, bucket_id, contact_ids, look_at)
    VALUES (organisation, campaign, action, volunteer, newest, kept || free, look_at)
    ON CONFLICT (organisation_id, campaign_id, action_id, volunteer_id, bucket_id)
    DO UPDATE SET contact_ids = b.contact_ids || excluded.contact_ids, look_at = excluded.look_at;
    INSERT INTO events (organisation_id, campaign_id, event_id, kind, at, contact_ids, action_ids, user_ids)
    VALUES (organisation, campaign, to_char(at, 'YYMM')::bigint * 10000000000 + nextval('event_ids') % 10000000000, 'assigned',
            at, kept || free, array_fill(action, ARRAY[cardinality(kept || free)]),
            array_fill(volunteer, ARRAY[cardinality(kept || free)]));
    RETURN QUERY
    WITH given AS (
        UPDATE assignments a SET volunteer_id = volunteer, assigned_at = at
        WHERE a.organisation_id = organisation AND a.campaign_id = campaign AND a.action_id = action
          AND a.contact_id = ANY (kept || free) AND a.volunteer_id IS NULL
        RETURNING a.contact_id, a.hours_group, a.turn, a.kept_for
    )
    SELECT newest, g.contact_id, g.hours_group, g.turn FROM given g
    ORDER BY g.kept_for IS NULL, g.turn, g.contact_id;
END $$;

-- Workers of the release before claim with this one, until the next release.
CREATE OR REPLACE FUNCTION claim_contacts(organisation bigint, campaign bigint, action bigint, volunteer bigint,
                                          wanted integer, groups text[], fronts bigint[], at timestamptz)
RETURNS TABLE (contact_id bigint, hours_group text, turn bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM actions a
    WHERE a.organisation_id = organisation AND a.campaign_id = campaign AND a.action_id = action FOR NO KEY UPDATE;
    RETURN QUERY
    WITH free AS (
        SELECT next.contact_id FROM unnest(groups, fronts) AS open (hours_group, front)
        CROSS JOIN LATERAL (
            SELECT a.contact_id, a.turn FROM assignments a
            WHERE a.organisation_id = organisation AND a.campaign_id = campaign AND a.action_id = action
              AND a.hours_group = open.hours_group AND a.volunteer_id IS NULL AND a.kept_for IS NULL
              AND a.turn >= open.front
            ORDER BY a.turn LIMIT wanted) next
        ORDER BY next.turn, next.contact_id LIMIT wanted
    )
    UPDATE assignments a SET volunteer_id = volunteer, assigned_at = at
    FROM free
    WHERE a.organisation_id = organisation AND a.campaign_id = campaign AND a.action_id = action
      AND a.contact_id = free.contact_id AND a.volunteer_id IS NULL
    RETURNING a.contact_id, a.hours_group, a.turn;
END $$;
DROP INDEX CONCURRENTLY assignments_free;
ALTER INDEX assignments_free_for_all RENAME TO assignments_free;
