-- Gives a volunteer the next contacts of an action whom nobody has, full while anybody is free. Claims of one action
-- take turns: who waits for the action's row looks only then, and each statement of a function sees what was committed
-- before it. A single statement would look first and wait then, at people whom others have meanwhile.

CREATE FUNCTION claim_contacts(organisation bigint, campaign bigint, action bigint, volunteer bigint, wanted integer,
                               groups text[], fronts bigint[], at timestamptz)
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
              AND a.hours_group = open.hours_group AND a.volunteer_id IS NULL AND a.turn >= open.front
            ORDER BY a.turn LIMIT wanted) next
        ORDER BY next.turn, next.contact_id LIMIT wanted
    )
    UPDATE assignments a SET volunteer_id = volunteer, assigned_at = at
    FROM free
    WHERE a.organisation_id = organisation AND a.campaign_id = campaign AND a.action_id = action
      AND a.contact_id = free.contact_id AND a.volunteer_id IS NULL
    RETURNING a.contact_id, a.hours_group, a.turn;
END $$;
