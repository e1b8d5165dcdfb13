"""Every statement on plants, as SQL. Called by `PostgresStore` only; parameters are named as there.

Batches go in as one JSON text and come out as one JSON text a plant: both ends are C code, and keys are the structs' field names. A key
that is absent is NULL.
"""

# In the place of "(declaration)".
_DECLARATION = """(
    SELECT row_to_json(declaration)
    FROM (
        SELECT
            p.namespace, p.name, p.uid, p.generation, p.brand, p.vendor_plant_id, p.display_name, p.owner_customer_id, p.timezone,
            p.latitude, p.longitude, p.capacity_kwp, p.poll_interval_s, p.suspend, p.status_policy, p.history_policy, p.scenario,
            p.poll_requested, p.silence_until, p.acked, p.acked_by
    ) AS declaration
)"""

READ = """
SELECT row_to_json(plant)
FROM (
    SELECT
        p.plant_id,
        (declaration) AS declaration,
        (
            SELECT row_to_json(live)
            FROM (
                SELECT
                    p.integration, p.active_since, p.status, p.reason, p.status_since, p.explain, p.last_seen_at, p.sampled_at,
                    p.current_power_w, p.grid_injection_power_w, p.total_energy_kwh, p.counter_low_since, p.refused, p.alarms_dropped,
                    p.generation_judged_on, p.last_poll_at,
                    p.last_success_at, p.last_error, p.consecutive_failures, p.losses, p.polled_generation, p.handled_poll_request,
                    p.clock_due_at, p.day_due_date, p.day_due_at
            ) AS live
        ) AS live,
        p.version,
        p.deleted_at IS NOT NULL AS deleted,
        p.attempt,
        p.done_attempt,
        p.claim_kind,
        p.claimed_at,
        p.next_poll_at,
        coalesce(
            (
                SELECT json_agg(alert)
                FROM (
                    SELECT
                        a.id, a.type, a.severity, a.state, a.vendor_alarm_code, a.device_sn, a.message, a.opened_at, a.last_seen_at,
                        a.acked_at, a.acked_by, a.resolved_at
                    FROM alerts a
                    WHERE a.plant_id = p.plant_id AND a.state <> 'RESOLVED'
                    ORDER BY a.opened_at, a.id
                ) AS alert
            ),
            '[]'::json
        ) AS alerts,
        coalesce(
            (
                SELECT json_agg(day)
                FROM (
                    SELECT
                        s.date, s.timezone, s.today_energy_kwh, s.peak_power_w, s.current_power_w, s.total_energy_kwh,
                        s.grid_injection_power_w, s.last_seen_at, s.source_sampled_at, s.backfilled, s.sampled_energy_kwh, s.energy_raised
                    FROM metric_snapshots s
                    WHERE s.plant_id = p.plant_id AND s.date >= coalesce(
                        -- The days that a late daily job may change, however far back it is, and those that it compares them with.
                        CASE WHEN p.claim_kind = 'DAILY' AND p.done_attempt < p.attempt THEN p.claim_day - %(days_before)s::integer END,
                        '-infinity'
                    )
                    ORDER BY s.date DESC
                    LIMIT CASE WHEN p.claim_kind = 'DAILY' AND p.done_attempt < p.attempt THEN NULL ELSE %(days)s::bigint END
                ) AS day
            ),
            '[]'::json
        ) AS days
    FROM plants p
    WHERE p.plant_id = ANY(%(plant_ids)s)
) AS plant
""".replace("(declaration)", _DECLARATION)

# By version and attempt: versions begin again where a plant was purged and declared anew, attempts never do. By the instants when it falls
# due, too: whoever moves only those, as a person with psql may, need not know of versions.
REREAD = """
SELECT coalesce(json_agg(json_build_array(p.plant_id, p.attempt, p.claim_kind, p.claimed_at, p.next_poll_at)), '[]'::json)
FROM json_to_recordset(%(known)s::json) AS known (
    plant_id uuid, version bigint, done_attempt bigint, day_due_at timestamptz, clock_due_at timestamptz
)
JOIN plants p ON p.plant_id = known.plant_id
WHERE p.version = known.version AND p.done_attempt = known.done_attempt AND p.day_due_at IS NOT DISTINCT FROM known.day_due_at
    AND p.clock_due_at IS NOT DISTINCT FROM known.clock_due_at AND NOT (p.claim_kind = 'DAILY' AND p.done_attempt < p.attempt)
"""

WRITE = """
WITH input AS MATERIALIZED (
    SELECT *
    FROM json_to_recordset(%(plants)s::json) AS input (
        plant_id uuid, version bigint, attempt bigint, sets_next_poll boolean, next_poll_at timestamptz, exact_clock boolean,
        changed_at timestamptz,
        integration varchar, active_since timestamptz, status varchar, reason varchar, status_since timestamptz, explain text[],
        last_seen_at timestamptz, sampled_at timestamptz, current_power_w float8, grid_injection_power_w float8, total_energy_kwh float8,
        counter_low_since timestamptz, refused text[], alarms_dropped integer, generation_judged_on date,
        last_poll_at timestamptz, last_success_at timestamptz, last_error varchar,
        consecutive_failures integer, losses integer, polled_generation bigint, handled_poll_request varchar, clock_due_at timestamptz,
        day_due_date date, day_due_at timestamptz,
        day_date date, day_energy_kwh float8, open_alerts integer, open_critical integer, open_high integer, open_acked integer,
        notable boolean, whole boolean,
        job_id varchar, job_type varchar, job_status varchar, duration_ms bigint, adapter_error_type varchar, claimed_at timestamptz,
        started_at timestamptz, finished_at timestamptz
    )
),
locked AS MATERIALIZED (
    SELECT p.plant_id, p.logged_at
    FROM plants p JOIN input i ON p.plant_id = i.plant_id
    WHERE p.version = i.version AND (i.attempt IS NULL OR (p.attempt = i.attempt AND p.done_attempt < i.attempt))
    ORDER BY p.plant_id
    FOR UPDATE OF p
),
stored AS (
    UPDATE plants p
    SET
        version = p.version + 1,
        -- A notable change does not wait behind others: its age counts from itself.
        changed_at = CASE
            WHEN p.version > p.mirrored_version AND (p.notable_version > p.mirrored_version OR NOT i.notable) THEN p.changed_at
            ELSE coalesce(i.changed_at, i.finished_at)
        END,
        notable_version = CASE WHEN i.notable THEN p.version + 1 ELSE p.notable_version END,
        done_attempt = coalesce(i.attempt, p.done_attempt),
        next_poll_at = CASE WHEN i.sets_next_poll THEN i.next_poll_at ELSE p.next_poll_at END,
        -- Moved only where it would come too late: else the index would be written with every reading.
        clock_scan_at = CASE WHEN i.exact_clock THEN i.clock_due_at ELSE least(p.clock_scan_at, i.clock_due_at) END,
        explain = i.explain,
        last_seen_at = i.last_seen_at,
        sampled_at = i.sampled_at,
        current_power_w = i.current_power_w,
        grid_injection_power_w = i.grid_injection_power_w,
        total_energy_kwh = i.total_energy_kwh,
        last_poll_at = i.last_poll_at,
        last_success_at = i.last_success_at,
        clock_due_at = i.clock_due_at,
        day_date = i.day_date,
        day_energy_kwh = i.day_energy_kwh,
        -- What stands is as it was judged from, or the version would be another: left out where it has not changed.
        integration = CASE WHEN i.whole THEN i.integration ELSE p.integration END,
        active_since = CASE WHEN i.whole THEN i.active_since ELSE p.active_since END,
        status = CASE WHEN i.whole THEN i.status ELSE p.status END,
        reason = CASE WHEN i.whole THEN i.reason ELSE p.reason END,
        status_since = CASE WHEN i.whole THEN i.status_since ELSE p.status_since END,
        refused = CASE WHEN i.whole THEN i.refused ELSE p.refused END,
        counter_low_since = CASE WHEN i.whole THEN i.counter_low_since ELSE p.counter_low_since END,
        alarms_dropped = CASE WHEN i.whole THEN i.alarms_dropped ELSE p.alarms_dropped END,
        generation_judged_on = CASE WHEN i.whole THEN i.generation_judged_on ELSE p.generation_judged_on END,
        last_error = CASE WHEN i.whole THEN i.last_error ELSE p.last_error END,
        consecutive_failures = CASE WHEN i.whole THEN i.consecutive_failures ELSE p.consecutive_failures END,
        losses = CASE WHEN i.whole THEN i.losses ELSE p.losses END,
        polled_generation = CASE WHEN i.whole THEN i.polled_generation ELSE p.polled_generation END,
        handled_poll_request = CASE WHEN i.whole THEN i.handled_poll_request ELSE p.handled_poll_request END,
        day_due_date = CASE WHEN i.whole THEN i.day_due_date ELSE p.day_due_date END,
        day_due_at = CASE WHEN i.whole THEN i.day_due_at ELSE p.day_due_at END,
        open_alerts = CASE WHEN i.whole THEN i.open_alerts ELSE p.open_alerts END,
        open_critical = CASE WHEN i.whole THEN i.open_critical ELSE p.open_critical END,
        open_high = CASE WHEN i.whole THEN i.open_high ELSE p.open_high END,
        open_acked = CASE WHEN i.whole THEN i.open_acked ELSE p.open_acked END,
        logged_at = coalesce(i.claimed_at, p.logged_at)
    FROM locked l JOIN input i ON i.plant_id = l.plant_id
    WHERE p.plant_id = l.plant_id
    -- With all that a PollLog holds: the planner takes each of these sets for a few rows, and would join them row by row.
    RETURNING
        p.plant_id, i.job_id, i.job_type, i.attempt, i.job_status, i.duration_ms, i.adapter_error_type, i.claimed_at, i.started_at,
        i.finished_at, l.logged_at AS previous_at
),
days AS (
    INSERT INTO metric_snapshots AS old (
        plant_id, date, timezone, today_energy_kwh, peak_power_w, current_power_w, total_energy_kwh, grid_injection_power_w, last_seen_at,
        source_sampled_at, backfilled, sampled_energy_kwh, energy_raised
    )
    SELECT
        i.plant_id, i.date, i.timezone, i.today_energy_kwh, i.peak_power_w, i.current_power_w, i.total_energy_kwh,
        i.grid_injection_power_w, i.last_seen_at, i.source_sampled_at, i.backfilled, i.sampled_energy_kwh, i.energy_raised
    FROM json_to_recordset(%(days)s::json) AS i (
        plant_id uuid, date date, timezone varchar, today_energy_kwh float8, peak_power_w float8, current_power_w float8,
        total_energy_kwh float8, grid_injection_power_w float8, last_seen_at timestamptz, source_sampled_at timestamptz, backfilled boolean,
        sampled_energy_kwh float8, energy_raised boolean
    )
    JOIN stored USING (plant_id)
    ON CONFLICT (plant_id, date) DO UPDATE SET
        timezone = excluded.timezone,
        today_energy_kwh = excluded.today_energy_kwh,
        peak_power_w = excluded.peak_power_w,
        current_power_w = excluded.current_power_w,
        total_energy_kwh = excluded.total_energy_kwh,
        grid_injection_power_w = excluded.grid_injection_power_w,
        last_seen_at = excluded.last_seen_at,
        source_sampled_at = excluded.source_sampled_at,
        backfilled = excluded.backfilled,
        sampled_energy_kwh = excluded.sampled_energy_kwh,
        energy_raised = excluded.energy_raised
),
judged AS (
    INSERT INTO alerts AS old (
        id, plant_id, type, severity, state, vendor_alarm_code, device_sn, message, opened_at, last_seen_at, acked_at, acked_by, resolved_at
    )
    SELECT
        i.id, i.plant_id, i.type, i.severity, i.state, i.vendor_alarm_code, i.device_sn, i.message, i.opened_at, i.last_seen_at,
        i.acked_at, i.acked_by, i.resolved_at
    FROM json_to_recordset(%(alerts)s::json) AS i (
        id uuid, plant_id uuid, type varchar, severity varchar, state varchar, vendor_alarm_code varchar, device_sn varchar, message text,
        opened_at timestamptz, last_seen_at timestamptz, acked_at timestamptz, acked_by varchar, resolved_at timestamptz
    )
    JOIN stored USING (plant_id)
    -- An end makes room for a new alert of the same key.
    ORDER BY i.state <> 'RESOLVED', i.id
    ON CONFLICT (id) DO UPDATE SET
        severity = excluded.severity,
        state = excluded.state,
        message = excluded.message,
        last_seen_at = excluded.last_seen_at,
        acked_at = excluded.acked_at,
        acked_by = excluded.acked_by,
        resolved_at = excluded.resolved_at
),
logged AS (
    INSERT INTO poll_logs (
        plant_id, job_id, job_type, attempt, status, duration_ms, adapter_error_type, claimed_at, started_at, finished_at, previous_at
    )
    SELECT
        plant_id, job_id, job_type, attempt, job_status, duration_ms, adapter_error_type, claimed_at, started_at, finished_at, previous_at
    FROM stored
    WHERE attempt IS NOT NULL
),
-- A notification holds less than 8,000 bytes: 200 ids each.
notified AS MATERIALIZED (
    SELECT pg_notify('plant_changed', string_agg(chunked.plant_id::text, ','))
    FROM (SELECT plant_id, (row_number() OVER () - 1) / 200 AS chunk FROM stored) AS chunked
    GROUP BY chunked.chunk
)
SELECT coalesce(json_agg(plant_id), '[]'::json) FROM stored WHERE (SELECT count(*) FROM notified) >= 0
"""

LOCK_DUE_POLLS = """
WITH due AS MATERIALIZED (
    SELECT plant_id, brand, poll_interval_s, losses
    FROM plants
    WHERE next_poll_at <= %(now)s AND deleted_at IS NULL AND done_attempt = attempt AND brand = ANY(%(brands)s)
    ORDER BY next_poll_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
SELECT plant_id, brand, poll_interval_s, losses, nextval('plant_attempts') FROM due
"""

# In the words of the index `plants_requested`, so that it serves.
_REQUESTED = "poll_requested IS DISTINCT FROM handled_poll_request AND poll_requested IS NOT NULL AND deleted_at IS NULL"

LOCK_REQUESTED_POLLS = LOCK_DUE_POLLS.replace("deleted_at IS NULL", _REQUESTED)

REQUESTED = (
    """
SELECT plant_id, attempt, claim_kind, brand, poll_interval_s, claim_day, losses, done_attempt < attempt, next_poll_at
FROM plants
WHERE """
    + _REQUESTED
    + """
ORDER BY next_poll_at
LIMIT %(limit)s
"""
)

LOCK_DUE_BUT_CLAIMED = """
SELECT plant_id, poll_interval_s
FROM plants
WHERE next_poll_at <= %(now)s AND deleted_at IS NULL AND done_attempt < attempt
ORDER BY next_poll_at
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED
"""

LOCK_DUE_DAYS = """
WITH due AS MATERIALIZED (
    SELECT plant_id, brand, poll_interval_s, losses, day_due_date
    FROM plants
    WHERE day_due_at <= %(now)s AND deleted_at IS NULL AND done_attempt = attempt AND brand = ANY(%(brands)s)
    ORDER BY day_due_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
SELECT plant_id, brand, poll_interval_s, losses, nextval('plant_attempts'), day_due_date FROM due
"""

MOVE_NEXT_POLL = """
UPDATE plants p
SET next_poll_at = i.next_poll_at
FROM unnest(%(plant_ids)s::uuid[], %(next_poll_at)s::timestamptz[]) AS i (plant_id, next_poll_at)
WHERE p.plant_id = i.plant_id
"""

CLAIM_POLLS = """
UPDATE plants p
SET
    next_poll_at = i.next_poll_at,
    attempt = i.attempt,
    claim_kind = 'POLL',
    claim_job_id = i.job_id,
    claim_day = NULL,
    claimed_at = %(now)s,
    -- Every index of the row is written here anyway.
    clock_scan_at = p.clock_due_at
FROM unnest(%(plant_ids)s::uuid[], %(attempts)s::bigint[], %(job_ids)s::varchar[], %(next_poll_at)s::timestamptz[])
    AS i (plant_id, attempt, job_id, next_poll_at)
WHERE p.plant_id = i.plant_id
"""

CLAIM_DAYS = """
UPDATE plants p
SET attempt = i.attempt, claim_kind = 'DAILY', claim_job_id = i.job_id, claim_day = i.day, claimed_at = %(now)s
FROM unnest(%(plant_ids)s::uuid[], %(attempts)s::bigint[], %(job_ids)s::varchar[], %(days)s::date[]) AS i (plant_id, attempt, job_id, day)
WHERE p.plant_id = i.plant_id
"""

# A pass over the table: an index that a close had to leave would cost every close more than this costs every sweep.
OPEN_CLAIMS = """
SELECT plant_id, attempt, claim_kind, brand, poll_interval_s, claim_day, losses
FROM plants
WHERE done_attempt < attempt AND claimed_at < %(before)s AND plant_id > %(after)s
ORDER BY plant_id
LIMIT %(limit)s
"""

LOCK_CLOCK_DUE = """
SELECT plant_id, coalesce(clock_due_at < %(now)s, false)
FROM plants
WHERE clock_scan_at < %(now)s AND deleted_at IS NULL
ORDER BY clock_scan_at
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED
"""

PUT_OFF_CLOCK = """
UPDATE plants
SET clock_scan_at = %(until)s
WHERE plant_id = (
    SELECT plant_id
    FROM plants
    WHERE clock_scan_at < %(now)s AND deleted_at IS NULL
    ORDER BY clock_scan_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING plant_id
"""

MOVE_CLOCK_SCAN = "UPDATE plants SET clock_scan_at = clock_due_at WHERE plant_id = ANY(%(plant_ids)s)"

KNOWN = """
SELECT plant_id, resource_version, deleted_at IS NOT NULL, attempt, row_to_json(p)
FROM plants p
WHERE plant_id = %(plant_id)s OR (namespace = %(namespace)s AND name = %(name)s AND deleted_at IS NULL)
ORDER BY plant_id
"""

LOCK_KNOWN = KNOWN + "FOR UPDATE"

FORGET = "DELETE FROM plants WHERE plant_id = %(plant_id)s"

# Without a target: a row of the same name that another operator has just made conflicts, too.
INSERT_DECLARED = """
INSERT INTO plants (
    plant_id, namespace, name, uid, generation, brand, vendor_plant_id, display_name, owner_customer_id, timezone, latitude, longitude,
    capacity_kwp, poll_interval_s, suspend, status_policy, history_policy, scenario, poll_requested, silence_until,
    acked, acked_by, resource_version, created_at, changed_at
)
SELECT
    %(plant_id)s::uuid, i.namespace, i.name, i.uid, i.generation, i.brand, i.vendor_plant_id, i.display_name, i.owner_customer_id,
    i.timezone, i.latitude, i.longitude, i.capacity_kwp, i.poll_interval_s, i.suspend, i.status_policy, i.history_policy, i.scenario,
    i.poll_requested, i.silence_until, i.acked, i.acked_by, %(resource_version)s, %(now)s, %(now)s
FROM json_to_record(%(declaration)s::json) AS i (
    namespace varchar, name varchar, uid varchar, generation bigint, brand varchar, vendor_plant_id varchar, display_name varchar,
    owner_customer_id varchar, timezone varchar, latitude float8, longitude float8, capacity_kwp float8, poll_interval_s integer,
    suspend boolean, status_policy varchar, history_policy varchar, scenario varchar, poll_requested varchar, silence_until timestamptz,
    acked uuid[], acked_by varchar
)
ON CONFLICT DO NOTHING
"""

UPDATE_DECLARED = """
UPDATE plants p
SET
    namespace = i.namespace,
    name = i.name,
    uid = i.uid,
    generation = i.generation,
    brand = i.brand,
    vendor_plant_id = i.vendor_plant_id,
    display_name = i.display_name,
    owner_customer_id = i.owner_customer_id,
    timezone = i.timezone,
    latitude = i.latitude,
    longitude = i.longitude,
    capacity_kwp = i.capacity_kwp,
    poll_interval_s = i.poll_interval_s,
    suspend = i.suspend,
    status_policy = i.status_policy,
    history_policy = i.history_policy,
    scenario = i.scenario,
    poll_requested = i.poll_requested,
    silence_until = i.silence_until,
    acked = i.acked,
    acked_by = i.acked_by,
    resource_version = %(resource_version)s,
    deleted_at = NULL,
    -- Another object: nothing has been told to it yet (PROTOCOL 26).
    mirrored_version = CASE WHEN p.uid = i.uid THEN p.mirrored_version ELSE 0 END,
    mirrored_resource_version = CASE WHEN p.uid = i.uid THEN p.mirrored_resource_version ELSE 0 END,
    mirror_held_until = CASE WHEN p.uid = i.uid THEN p.mirror_held_until END,
    -- A row that comes back under the same uid was refused meanwhile: its status is no longer the one that was patched last.
    mirrored_digest = CASE WHEN p.uid = i.uid AND p.deleted_at IS NULL THEN p.mirrored_digest END,
    mirrored_alerts = CASE WHEN p.uid = i.uid THEN p.mirrored_alerts END,
    mirror_leased_until = CASE WHEN p.uid = i.uid THEN p.mirror_leased_until END,
    changed_at = CASE WHEN p.uid = i.uid THEN p.changed_at ELSE %(now)s END
FROM json_to_record(%(declaration)s::json) AS i (
    namespace varchar, name varchar, uid varchar, generation bigint, brand varchar, vendor_plant_id varchar, display_name varchar,
    owner_customer_id varchar, timezone varchar, latitude float8, longitude float8, capacity_kwp float8, poll_interval_s integer,
    suspend boolean, status_policy varchar, history_policy varchar, scenario varchar, poll_requested varchar, silence_until timestamptz,
    acked uuid[], acked_by varchar
)
WHERE p.plant_id = %(plant_id)s
"""

_MARK_DELETED = """
UPDATE plants
SET
    deleted_at = %(now)s,
    next_poll_at = NULL,
    clock_due_at = NULL,
    clock_scan_at = NULL,
    day_due_at = NULL,
    version = version + 1,
    changed_at = %(now)s,
    mirror_leased_until = NULL,
    resource_version = greatest(resource_version, %(resource_version)s)
"""

DELETE = (
    _MARK_DELETED
    + """
WHERE namespace = %(namespace)s AND name = %(name)s AND uid = %(uid)s AND deleted_at IS NULL AND resource_version < %(resource_version)s
RETURNING plant_id
"""
)

LIVE_UIDS_BEFORE = """
SELECT plant_id, uid
FROM plants
WHERE deleted_at IS NULL AND resource_version < %(listed_at)s AND plant_id > %(after)s
ORDER BY plant_id
LIMIT %(limit)s
"""

LIVE_ROWS = """
SELECT
    p.uid,
    p.plant_id,
    (declaration),
    p.mirrored_version,
    p.mirrored_resource_version,
    p.mirrored_digest
FROM unnest(%(namespaces)s::varchar[], %(names)s::varchar[]) AS listed (namespace, name)
JOIN plants p ON p.namespace = listed.namespace AND p.name = listed.name
WHERE p.deleted_at IS NULL
""".replace("(declaration)", _DECLARATION)

LOCK_ABSENT = """
SELECT plant_id
FROM plants
WHERE plant_id = ANY(%(plant_ids)s) AND uid = ANY(%(uids)s) AND deleted_at IS NULL AND resource_version < %(listed_at)s
ORDER BY plant_id
FOR UPDATE
"""

DELETE_LOCKED = _MARK_DELETED + "WHERE plant_id = ANY(%(plant_ids)s)"

PURGEABLE = """
SELECT plant_id
FROM plants
WHERE deleted_at IS NOT NULL AND done_attempt = attempt AND (history_policy = 'Delete' OR vendor_plant_id IS NULL)
ORDER BY plant_id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED
"""

PURGE = """
WITH days AS (DELETE FROM metric_snapshots WHERE plant_id = ANY(%(plant_ids)s)),
    judged AS (DELETE FROM alerts WHERE plant_id = ANY(%(plant_ids)s))
DELETE FROM plants WHERE plant_id = ANY(%(plant_ids)s)
"""

# Since when, or from when on, Kubernetes is to have been told of a row that it is behind of: the age of this is the mirror's lag.
# What changes with every poll is told once a slot of the plant's interval: with the poll that the new slot brings, or a minute later by
# itself where none comes (PROTOCOL 27).
MIRROR_DUE_AT = """CASE
    WHEN notable_version > mirrored_version OR mirror_held_until IS NULL THEN changed_at
    WHEN last_poll_at >= mirror_held_until THEN greatest(changed_at, mirror_held_until)
    ELSE greatest(changed_at, mirror_held_until + interval '60 s')
END"""

# As `MIRROR_DUE_AT` says, but for `changed_at`: that is of the worker's clock, which may be ahead of ours.
_UNTOLD = """
SELECT plant_id
FROM plants
WHERE version > mirrored_version AND deleted_at IS NULL AND (mirror_leased_until IS NULL OR mirror_leased_until <= %(now)s)
    AND (
        notable_version > mirrored_version OR mirror_held_until IS NULL OR last_poll_at >= mirror_held_until
        OR mirror_held_until + interval '60 s' <= %(now)s
    )
"""
_NOTABLE_FIRST = """
ORDER BY notable_version > mirrored_version DESC, changed_at
LIMIT %(limit)s
"""

UNTOLD = _UNTOLD + _NOTABLE_FIRST

# It touches no indexed column: a HOT update.
LEASE = (
    """
WITH due AS MATERIALIZED ("""
    + _UNTOLD
    + "    AND plant_id = ANY(%(only)s)"
    + _NOTABLE_FIRST
    + """
FOR UPDATE SKIP LOCKED
)
UPDATE plants p
SET mirror_leased_until = %(until)s
FROM due
WHERE p.plant_id = due.plant_id
RETURNING p.plant_id, p.notable_version > p.mirrored_version, p.changed_at
"""
)

ACKNOWLEDGE = """
WITH input AS MATERIALIZED (
    SELECT *
    FROM json_to_recordset(%(acks)s::json) AS i (
        plant_id uuid, version bigint, resource_version bigint, digest varchar, alerts uuid[], held_until timestamptz
    )
),
locked AS MATERIALIZED (
    SELECT p.plant_id FROM plants p JOIN input i ON p.plant_id = i.plant_id ORDER BY p.plant_id FOR UPDATE OF p
)
UPDATE plants p
SET
    mirrored_version = i.version,
    mirrored_resource_version = i.resource_version,
    mirrored_digest = i.digest,
    mirrored_alerts = i.alerts,
    mirror_leased_until = NULL,
    mirror_held_until = coalesce(i.held_until, p.mirror_held_until),
    changed_at = CASE WHEN p.version > i.version THEN %(now)s ELSE p.changed_at END
FROM locked l JOIN input i ON i.plant_id = l.plant_id
WHERE p.plant_id = l.plant_id AND p.mirrored_version < i.version AND i.version <= p.version
"""

RELEASE = """
WITH locked AS MATERIALIZED (SELECT plant_id FROM plants WHERE plant_id = ANY(%(plant_ids)s) ORDER BY plant_id FOR UPDATE)
UPDATE plants SET mirror_leased_until = NULL WHERE plant_id IN (SELECT plant_id FROM locked)
"""

MIRROR_BOOKS = """
SELECT plant_id, mirrored_version, mirrored_resource_version, mirrored_digest FROM plants WHERE plant_id = ANY(%(plant_ids)s)
"""

TOLD = """
SELECT plant_id, row_to_json(told)
FROM (
    SELECT
        p.plant_id,
        p.mirrored_digest AS digest,
        p.mirrored_alerts AS alerts,
        p.mirrored_resource_version AS resource_version,
        p.notable_version > p.mirrored_version AS is_notable,
        coalesce(
            (
                SELECT json_agg(alert)
                FROM (
                    SELECT
                        a.id, a.type, a.severity, a.state, a.vendor_alarm_code, a.device_sn, a.message, a.opened_at, a.last_seen_at,
                        a.acked_at, a.acked_by, a.resolved_at
                    FROM alerts a
                    WHERE a.id = ANY(p.mirrored_alerts) AND a.state = 'RESOLVED'
                    ORDER BY a.opened_at, a.id
                ) AS alert
            ),
            '[]'::json
        ) AS ended
    FROM plants p
    WHERE p.plant_id = ANY(%(plant_ids)s)
) AS told
"""

# Not while a lease runs: what differs then is most likely the echo of a patch that is about to be acknowledged.
RESET_MIRROR = """
WITH reset AS (
    UPDATE plants
    SET mirrored_version = 0, mirror_held_until = NULL, changed_at = CASE WHEN version > mirrored_version THEN changed_at ELSE %(now)s END
    WHERE plant_id = %(plant_id)s AND deleted_at IS NULL AND mirrored_version > 0
        AND mirrored_resource_version < %(resource_version)s AND mirrored_digest IS DISTINCT FROM %(digest)s::varchar
        AND (mirror_leased_until IS NULL OR mirror_leased_until <= %(now)s)
    RETURNING plant_id
)
SELECT pg_notify('plant_changed', plant_id::text) FROM reset
"""
