-- Buckets for all volunteers who ask at once, in one statement: a lock, a look and a write of all their contacts, instead
-- of as many as there are volunteers, each of whom waits for all before. Claims of one action still take turns at its row,
-- since they may come from several workers: each statement of a function sees what was committed before it.
--
-- The first volunteer gets the contacts whose turn is next, the second those after them, as if they had come one after the
-- other; first those that are kept for each. `knowns` are the volunteers' newest buckets of which whoever asks knows: where
-- there is a newer one this is the repeat of a claim, and gives that one again, without groups or turns. Who is kept for
-- somebody has no turn either. No volunteer may stand here twice.
--
-- Between `fronts` and `reach` lie people enough, as far as the caller knows: without such a bound each group of
-- recipients would be read for a whole bucket. When they are too few, the look goes on without the one, then without the
-- other.

CREATE FUNCTION claim_buckets(organisation bigint, campaign bigint, action bigint, volunteers bigint[], knowns bigint[],
                              sizes integer[], groups text[], fronts bigint[], reach bigint,
                              at timestamptz, look_at timestamptz)
RETURNS TABLE (volunteer_id bigint, bucket_id bigint, contact_id bigint, hours_group text, turn bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    first_turn CONSTANT bigint := -9223372036854775808;
    last_turn CONSTANT bigint := 9223372036854775807;
    newests bigint[];
    repeats boolean[];
    keepers bigint[];       -- places of volunteers, side by side with their kept contacts
    kept bigint[];
    takers bigint[];        -- of those who want more, each as often as contacts are wanted
    free bigint[];
    bucket_ids bigint[];
    ids bigint[];           -- of those who are given out, sorted; side by side with them:
    owners bigint[];        -- the places of their volunteers
    nths bigint[];          -- and their own, in the order in which they are given
BEGIN
    PERFORM FROM actions a
    WHERE a.organisation_id = organisation AND a.campaign_id = campaign AND a.action_id = action FOR NO KEY UPDATE;
    SELECT array_agg(each.newest ORDER BY each.place),
           array_agg(each.newest IS DISTINCT FROM each.known AND each.newest IS NOT NULL ORDER BY each.place)
    INTO newests, repeats
    FROM (
        SELECT asked.place, asked.known, (
            SELECT b.bucket_id FROM buckets b
            WHERE b.organisation_id = organisation AND b.campaign_id = campaign AND b.action_id = action
              AND b.volunteer_id = asked.volunteer ORDER BY b.bucket_id DESC LIMIT 1) AS newest
        FROM unnest(volunteers, knowns) WITH ORDINALITY AS asked (volunteer, known, place)) each;

    SELECT coalesce(array_agg(asked.place ORDER BY asked.place, next.turn, next.contact_id), '{}'),
           coalesce(array_agg(next.contact_id ORDER BY asked.place, next.turn, next.contact_id), '{}')
    INTO keepers, kept
    FROM unnest(volunteers, sizes, repeats) WITH ORDINALITY AS asked (volunteer, size, is_repeat, place)
    CROSS JOIN LATERAL (
        SELECT a.contact_id, a.turn FROM assignments a
        WHERE a.organisation_id = organisation AND a.campaign_id = campaign AND a.action_id = action
          AND a.kept_for = asked.volunteer AND a.volunteer_id IS NULL AND NOT a.texted AND a.hours_group = ANY (groups)
        ORDER BY a.turn, a.contact_id LIMIT asked.size) next
    WHERE NOT asked.is_repeat;

    SELECT coalesce(array_agg(asked.place ORDER BY asked.place), '{}') INTO takers
    FROM unnest(sizes, repeats) WITH ORDINALITY AS asked (size, is_repeat, place)
    CROSS JOIN LATERAL generate_series(1, asked.size - cardinality(array_positions(keepers, asked.place))) AS nth
    WHERE NOT asked.is_repeat;
    LOOP
        SELECT ARRAY(
            SELECT next.contact_id FROM unnest(groups, fronts) AS open (hours_group, front)
            CROSS JOIN LATERAL (
                SELECT a.contact_id, a.turn FROM assignments a
                WHERE a.organisation_id = organisation AND a.campaign_id = campaign AND a.action_id = action
                  AND a.hours_group = open.hours_group AND a.volunteer_id IS NULL AND a.kept_for IS NULL
                  AND NOT a.texted AND a.turn BETWEEN open.front AND reach
                ORDER BY a.turn LIMIT cardinality(takers)) next
            ORDER BY next.turn, next.contact_id LIMIT cardinality(takers)) INTO free;
        EXIT WHEN cardinality(free) = cardinality(takers);
        IF reach < last_turn THEN
            reach := last_turn;
        ELSIF first_turn <> ANY (fronts) THEN
            fronts := array_fill(first_turn, ARRAY[cardinality(groups)]);
        ELSE
            EXIT;
        END IF;
    END LOOP;
    takers := keepers || takers[1:cardinality(free)];
    free := kept || free;

    RETURN QUERY
    SELECT asked.volunteer, b.bucket_id, each.contact_id, NULL::text, NULL::bigint
    FROM unnest(volunteers, newests, repeats) WITH ORDINALITY AS asked (volunteer, newest, is_repeat, place)
    JOIN buckets b ON b.organisation_id = organisation AND b.campaign_id = campaign AND b.action_id = action
     AND b.volunteer_id = asked.volunteer AND b.bucket_id = asked.newest
    CROSS JOIN LATERAL unnest(b.contact_ids) WITH ORDINALITY AS each (contact_id, place)
    WHERE asked.is_repeat
    ORDER BY asked.place, each.place;
    IF cardinality(free) = 0 THEN
        RETURN;
    END IF;
    SELECT array_agg(each.contact_id ORDER BY each.contact_id), array_agg(each.place ORDER BY each.contact_id),
           array_agg(each.nth ORDER BY each.contact_id)
    INTO ids, owners, nths
    FROM unnest(takers, free) WITH ORDINALITY AS each (place, contact_id, nth);
    bucket_ids := ARRAY(
        SELECT greatest(newest + 1, (extract(epoch FROM at) * 1000000)::bigint)
        FROM unnest(newests) WITH ORDINALITY AS each (newest, place) ORDER BY place);
    INSERT INTO buckets AS b (organisation_id, campaign_id, action_id, volunteer_id, bucket_id, contact_ids, look_at)
    SELECT organisation, campaign, action, volunteers[each.place], bucket_ids[each.place],
           array_agg(each.contact_id ORDER BY each.nth), look_at
    FROM unnest(takers, free) WITH ORDINALITY AS each (place, contact_id, nth) GROUP BY each.place;
    -- Whose a contact is stands where it stands among the sorted ids: no join, whose plan might go by each contact of the
    -- action.
    RETURN QUERY
    WITH given AS (
        UPDATE assignments a SET volunteer_id = volunteers[owners[width_bucket(a.contact_id, ids)]], assigned_at = at
        WHERE a.organisation_id = organisation AND a.campaign_id = campaign AND a.action_id = action
          AND a.contact_id = ANY (ids) AND a.volunteer_id IS NULL
        RETURNING a.volunteer_id, a.contact_id, a.hours_group, CASE WHEN a.kept_for IS NULL THEN a.turn END AS turn,
                  width_bucket(a.contact_id, ids) AS found
    )
    SELECT g.volunteer_id, bucket_ids[owners[g.found]], g.contact_id, g.hours_group, g.turn
    FROM given g ORDER BY nths[g.found];
END $$;
