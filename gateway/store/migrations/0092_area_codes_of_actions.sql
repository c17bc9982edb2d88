-- The area codes that an action's first texts prefer (F026), by action: beside the paused actions, since every worker reads
-- a campaign as one row. Written again with each change of an action.
ALTER TABLE campaigns ADD COLUMN area_codes jsonb NOT NULL DEFAULT '{}';
UPDATE campaigns p SET area_codes = a.wished
FROM (
    SELECT organisation_id, campaign_id, jsonb_object_agg(action_id, settings -> 'area_codes') AS wished
    FROM actions WHERE archived_at IS NULL AND settings -> 'area_codes' <> '[]'
    GROUP BY organisation_id, campaign_id
) a
WHERE p.organisation_id = a.organisation_id AND p.campaign_id = a.campaign_id;
