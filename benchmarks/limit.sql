-- The rows of 100 polls in one transaction, and nothing else: no claim, no fence, no lock, no judging. (pgbench takes a colon before a name
-- for a variable even inside quotes.)
\set from :client_id * :per_client + :done
\set to :from + 100
\set done :done + 100
BEGIN;
WITH batch AS MATERIALIZED (
    SELECT plant_id, timezone, version
    FROM plants
    WHERE namespace = 'bench' AND name >= 'plant-' || lpad(:from::text, 7, '0') AND name < 'plant-' || lpad(:to::text, 7, '0')
        AND deleted_at IS NULL
),
seen AS (
    UPDATE plants p
    SET version = p.version + 1, status = 'GREEN', reason = 'Reporting', last_seen_at = now(), sampled_at = now(), current_power_w = 4200,
        total_energy_kwh = 12000 + p.version, last_poll_at = now(), last_success_at = now(), clock_due_at = now() + interval '2 hours',
        explain = ARRAY['GREEN: the plant last reported not more than 2 h ago, and no alert is active.', 'It turns YELLOW after 2 h.']
    FROM batch
    WHERE p.plant_id = batch.plant_id
),
days AS (
    INSERT INTO metric_snapshots (
        plant_id, date, timezone, today_energy_kwh, peak_power_w, current_power_w, total_energy_kwh, last_seen_at, source_sampled_at,
        backfilled, sampled_energy_kwh
    )
    SELECT plant_id, (now() AT TIME ZONE timezone)::date, timezone, 18 + version, 5268, 4200, 12000 + version, now(), now(), false, 18
    FROM batch
    ON CONFLICT (plant_id, date) DO UPDATE SET
        today_energy_kwh = excluded.today_energy_kwh,
        peak_power_w = excluded.peak_power_w,
        current_power_w = excluded.current_power_w,
        total_energy_kwh = excluded.total_energy_kwh,
        last_seen_at = excluded.last_seen_at,
        source_sampled_at = excluded.source_sampled_at,
        sampled_energy_kwh = excluded.sampled_energy_kwh
)
INSERT INTO poll_logs (plant_id, job_id, job_type, attempt, status, duration_ms, claimed_at, started_at, finished_at)
SELECT plant_id, 'poll-plant-' || plant_id || '-latest', 'POLL', 0, 'SUCCESS', 1, now(), now(), now()
FROM batch;
COMMIT;
