-- in steps
-- A statement is planned once for every campaign. By the average over hundreds of small ones PostgreSQL would take a
-- campaign for small and read all of it, where the big one has a night's texts. So each is taken for the biggest.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT a.attrelid::regclass AS tab, a.attname AS col FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
          AND a.attname IN ('organisation_id', 'campaign_id') AND NOT a.attisdropped
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET (n_distinct = 1)', one.tab, one.col);
    END LOOP;
END $$;
