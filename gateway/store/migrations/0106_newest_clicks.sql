-- in steps
-- Presses are shown by their instant: ids come in blocks, a worker's own, and do not rise with time.
CREATE INDEX CONCURRENTLY clicks_by_time ON clicks (organisation_id, campaign_id, at, click_id);
