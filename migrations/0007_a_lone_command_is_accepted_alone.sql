-- A command that comes alone is accepted without arrays, keys are kept as digests, and the mark is taken once.

BEGIN;

CREATE TEMPORARY TABLE accepted_before ON COMMIT DROP AS SELECT * FROM bus.accepted;
GRANT SELECT ON accepted_before TO firingline_owner;
SET ROLE firingline_owner;

-- The trigger alone takes the mark. (Its OID stays, and with it the triggers of every partition.)
DROP FUNCTION bus.take_mark();
ALTER FUNCTION bus.take_mark_before_insert() RENAME TO take_mark;
CREATE OR REPLACE FUNCTION bus.take_mark() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
    -- Asked for in an IF, not by PERFORM: an expression is evaluated in place, where a query would be planned and run.
    IF pg_advisory_xact_lock_shared(bus.mark_namespace() + pg_sequence_last_value('bus.outbox_position')) IS NULL THEN
        RAISE EXCEPTION 'the log''s sequence has no last value' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION bus.extend_log(ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = bus, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    first  bigint := (SELECT last_value FROM bus.outbox_position) / bus.partition_span();
    span   bigint;
    topic  text;
    leaf   text;
    made   integer := 0;
BEGIN
    LOCK TABLE bus.outbox IN SHARE UPDATE EXCLUSIVE MODE;  -- one at a time; readers and writers pass
    FOREACH topic IN ARRAY ARRAY['domain', 'telemetry'] LOOP
        FOR span IN first .. first + ahead LOOP
            leaf := format('outbox_%s_%s', topic, span);
            CONTINUE WHEN to_regclass('bus.' || leaf) IS NOT NULL;
            EXECUTE format('CREATE TABLE bus.%I (LIKE bus.outbox INCLUDING DEFAULTS)', leaf);
            EXECUTE format('ALTER TABLE bus.%I ADD PRIMARY KEY (position)', leaf);
            IF topic = 'domain' THEN
                EXECUTE format('CREATE INDEX ON bus.%I (stream, position)', leaf);
                EXECUTE format('CREATE INDEX ON bus.%I (correlation, position)', leaf);
            END IF;
            EXECUTE format('CREATE TRIGGER mark BEFORE INSERT ON bus.%I FOR EACH STATEMENT '
                           'EXECUTE FUNCTION bus.take_mark()', leaf);
            EXECUTE format('ALTER TABLE bus.outbox_%s ATTACH PARTITION bus.%I FOR VALUES FROM (%s) TO (%s)',
                topic, leaf, span * bus.partition_span(), (span + 1) * bus.partition_span());
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

CREATE OR REPLACE FUNCTION bus.append(
    producer integer, ids uuid[], names text[], schemas smallint[], streams text[], events boolean[], bodies jsonb[],
    causes uuid[], correlations uuid[], actors text[], concluding uuid[], statuses text[]
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
DECLARE
    foreign_stream text;
    revisions      bigint[];
    last           bigint;
    now_at         timestamptz;
BEGIN
    PERFORM bus.check_producer(producer, names);
    IF true = ANY (events) THEN
        WITH wanted AS (
            SELECT w.stream, count(*) AS n
            FROM unnest(streams, events) AS w (stream, event) WHERE w.event GROUP BY w.stream ORDER BY w.stream
        ), moved AS (
            INSERT INTO bus.stream_head AS h (stream, revision, writer)
            SELECT w.stream, w.n, session_user FROM wanted AS w ORDER BY w.stream
            ON CONFLICT (stream) DO UPDATE SET revision = h.revision + excluded.revision
            RETURNING h.stream, h.revision, h.writer
        ), numbered AS (
            SELECT m.ordinal, m.stream, m.event, row_number() OVER (PARTITION BY m.stream, m.event ORDER BY m.ordinal) AS k
            FROM unnest(streams, events) WITH ORDINALITY AS m (stream, event, ordinal)
        )
        SELECT array_agg(CASE WHEN k.event THEN v.revision - w.n + k.k END ORDER BY k.ordinal),
               min(v.stream) FILTER (WHERE v.writer <> session_user)
        INTO revisions, foreign_stream
        FROM numbered AS k
        LEFT JOIN moved AS v ON v.stream = k.stream AND k.event
        LEFT JOIN wanted AS w ON w.stream = k.stream AND k.event;
        IF foreign_stream IS NOT NULL THEN
            RAISE EXCEPTION 'the events of stream % are written by another service', foreign_stream
                USING ERRCODE = 'insufficient_privilege';
        END IF;
    END IF;
    now_at := clock_timestamp();
    WITH written AS (
        INSERT INTO bus.outbox (topic, partition, schema, producer, id, cause, correlation, concludes, revision, at,
                                name, stream, actor, body)
        SELECT 'domain', crc32(convert_to(m.stream, 'UTF8')) & 63, m.schema, append.producer, m.id, m.cause,
               m.correlation, m.concludes, m.revision, now_at, m.name, m.stream, m.actor, m.body
        FROM unnest(ids, names, schemas, streams, revisions, bodies, causes, correlations, actors, concluding)
             WITH ORDINALITY
             AS m (id, name, schema, stream, revision, body, cause, correlation, actor, concludes, ordinal)
        ORDER BY m.ordinal
        RETURNING outbox.position, outbox.concludes
    ), concluded AS (
        INSERT INTO bus.outcome (command, status, position, at)
        SELECT w.concludes, s.status, w.position, now_at
        FROM written AS w JOIN unnest(concluding, statuses) AS s (command, status) ON s.command = w.concludes
    )
    SELECT max(w.position) INTO last FROM written AS w;
    RETURN last;
END $$;

CREATE OR REPLACE FUNCTION bus.record_shots(
    producer integer, name text, schema smallint, devices text[], epochs text[], numbers bigint[], ids uuid[],
    streams text[], actors text[], bodies jsonb[]
) RETURNS TABLE (device text, epoch text, recorded bigint, repeated bigint, missing int8multirange)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
#variable_conflict use_column
DECLARE
    fresh uuid[];
BEGIN
    PERFORM bus.check_producer(record_shots.producer, ARRAY[record_shots.name]);
    INSERT INTO bus.device_shots AS d (device, epoch, seen)
    SELECT DISTINCT s.device, s.epoch, '{}'::int8multirange FROM unnest(devices, epochs) AS s (device, epoch) ORDER BY 1, 2
    ON CONFLICT DO NOTHING;
    PERFORM FROM bus.device_shots AS d
    WHERE (d.device, d.epoch) IN (SELECT * FROM unnest(devices, epochs))
    ORDER BY d.device, d.epoch FOR UPDATE;

    SELECT coalesce(array_agg(f.id), '{}') INTO fresh
    FROM (
        SELECT DISTINCT ON (s.device, s.epoch, s.number) s.id
        FROM unnest(devices, epochs, numbers, ids) WITH ORDINALITY AS s (device, epoch, number, id, ordinal)
        JOIN bus.device_shots AS d ON d.device = s.device AND d.epoch = s.epoch
        WHERE NOT d.seen @> s.number
        ORDER BY s.device, s.epoch, s.number, s.ordinal
    ) AS f;

    RETURN QUERY
        WITH told AS (
            SELECT s.device, s.epoch, count(*) AS n, count(*) FILTER (WHERE s.id IN (SELECT unnest(fresh))) AS recorded,
                   range_agg(int8range(s.number, s.number + 1)) AS numbers
            FROM unnest(devices, epochs, numbers, ids) AS s (device, epoch, number, id) GROUP BY 1, 2
        ), moved AS (
            UPDATE bus.device_shots AS d SET seen = d.seen + t.numbers FROM told AS t
            WHERE d.device = t.device AND d.epoch = t.epoch AND t.recorded > 0
        )
        SELECT t.device, t.epoch, t.recorded, t.n - t.recorded,
               int8multirange(int8range(lower(d.seen + t.numbers), upper(d.seen + t.numbers))) - (d.seen + t.numbers)
        FROM told AS t JOIN bus.device_shots AS d ON d.device = t.device AND d.epoch = t.epoch;

    IF EXISTS (SELECT FROM bus.device_shots AS d
               WHERE (d.device, d.epoch) IN (SELECT * FROM unnest(devices, epochs))
                 AND (SELECT count(*) FROM unnest(d.seen)) > bus.island_limit()) THEN
        RAISE EXCEPTION 'a device reports shot numbers with more than % gaps', bus.island_limit()
            USING ERRCODE = 'program_limit_exceeded';
    END IF;

    IF fresh <> '{}' THEN
        INSERT INTO bus.outbox (topic, partition, schema, producer, id, correlation, revision, at, name, stream, actor, body)
        SELECT 'telemetry', crc32(convert_to(s.stream, 'UTF8')) & 63, record_shots.schema, record_shots.producer, s.id, s.id,
               s.number, clock_timestamp(), record_shots.name, s.stream, s.actor, s.body
        FROM unnest(ids, numbers, streams, actors, bodies) WITH ORDINALITY AS s (id, number, stream, actor, body, ordinal)
        WHERE s.id IN (SELECT unnest(fresh))
        ORDER BY s.ordinal;
    END IF;
END $$;

-- What clients asked for, by the digest of scope and key.
DROP FUNCTION bus.accept(
    integer, text[], text[], bytea[], uuid[], text[], smallint[], text[], jsonb[], uuid[], text[]
);
DROP TABLE bus.accepted;
CREATE TABLE bus.accepted (
    key   uuid        PRIMARY KEY,  -- of sha256 over scope (actor and route) and idempotency key, the first 16 bytes
    id    uuid        NOT NULL UNIQUE,
    at    timestamptz NOT NULL,
    hash  bytea       NOT NULL,     -- sha256 of the request's body
    actor text        NOT NULL,
    name  text        NOT NULL
);
INSERT INTO bus.accepted (key, id, at, hash, actor, name)
SELECT encode(substr(sha256(convert_to(a.scope || E'\n' || a.key, 'UTF8')), 1, 16), 'hex')::uuid,
       a.id, a.at, a.hash, a.actor, a.name
FROM pg_temp.accepted_before AS a;
GRANT SELECT ON bus.accepted TO firingline_gateway;
GRANT SELECT (id, name) ON bus.accepted TO firingline_analyst;

-- Accepts one client's command if its key was not seen before; says whether it was not. If it was, nothing is written
-- and bus.accept says what became of the first. What a gateway with little to do calls: without arrays to build and to
-- unfold it costs the server a third less.
CREATE FUNCTION bus.accept_new(
    producer integer, key uuid, hash bytea, id uuid, name text, schema smallint, stream text, body jsonb,
    correlation uuid, actor text
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM bus.producer AS p
                   WHERE p.id = accept_new.producer AND p.role = session_user AND p.expires_at > clock_timestamp()
                     AND accept_new.name = ANY (p.names)) THEN
        PERFORM bus.check_producer(accept_new.producer, ARRAY[accept_new.name]);  -- which says what is wrong
        RAISE EXCEPTION 'producer % may not append now', accept_new.producer USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO bus.accepted (key, id, at, hash, actor, name)
    VALUES (accept_new.key, accept_new.id, clock_timestamp(), accept_new.hash, accept_new.actor, accept_new.name)
    ON CONFLICT (key) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO bus.outbox (topic, partition, schema, producer, id, correlation, at, name, stream, actor, body)
    VALUES ('domain', crc32(convert_to(accept_new.stream, 'UTF8')) & 63, accept_new.schema, accept_new.producer,
            accept_new.id, accept_new.correlation, clock_timestamp(), accept_new.name, accept_new.stream,
            accept_new.actor, accept_new.body);
    RETURN true;
END $$;

-- Accepts clients' commands: one row of the log for each key not seen before. Returns for each, in order, the id
-- under which it is known and whether it is `accepted` now, `repeated`, or `conflicting` (same key, other body).
CREATE FUNCTION bus.accept(
    producer integer, keys uuid[], hashes bytea[], ids uuid[], names text[], schemas smallint[], streams text[],
    bodies jsonb[], correlations uuid[], actors text[]
) RETURNS TABLE (ordinal bigint, id uuid, verdict text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
#variable_conflict use_column
DECLARE
    fresh uuid[];
BEGIN
    PERFORM bus.check_producer(producer, names);
    WITH inserted AS (
        INSERT INTO bus.accepted AS a (key, id, at, hash, actor, name)
        SELECT m.key, m.id, clock_timestamp(), m.hash, m.actor, m.name
        FROM unnest(keys, hashes, ids, actors, names) WITH ORDINALITY AS m (key, hash, id, actor, name, ordinal)
        ORDER BY m.key, m.ordinal
        ON CONFLICT (key) DO NOTHING
        RETURNING a.id
    )
    SELECT coalesce(array_agg(i.id), '{}') INTO fresh FROM inserted AS i;

    IF fresh <> '{}' THEN
        INSERT INTO bus.outbox (topic, partition, schema, producer, id, correlation, at, name, stream, actor, body)
        SELECT 'domain', crc32(convert_to(m.stream, 'UTF8')) & 63, m.schema, accept.producer, m.id, m.correlation,
               clock_timestamp(), m.name, m.stream, m.actor, m.body
        FROM (
            SELECT DISTINCT ON (w.id) w.*  -- the very same request may stand here twice
            FROM unnest(ids, names, schemas, streams, bodies, correlations, actors) WITH ORDINALITY
                 AS w (id, name, schema, stream, body, correlation, actor, ordinal)
            WHERE w.id IN (SELECT unnest(fresh))
            ORDER BY w.id, w.ordinal
        ) AS m
        ORDER BY m.ordinal;
    END IF;

    IF cardinality(fresh) = cardinality(ids) THEN
        RETURN QUERY SELECT m.ordinal, m.id, 'accepted' FROM unnest(ids) WITH ORDINALITY AS m (id, ordinal);
    ELSE
        RETURN QUERY
            SELECT m.ordinal, a.id,
                   CASE WHEN a.hash <> m.hash THEN 'conflicting' WHEN a.id = m.id THEN 'accepted' ELSE 'repeated' END
            FROM unnest(keys, hashes, ids) WITH ORDINALITY AS m (key, hash, id, ordinal)
            JOIN bus.accepted AS a ON a.key = m.key
            ORDER BY m.ordinal;
    END IF;
END $$;
GRANT EXECUTE ON FUNCTION
    bus.accept(integer, uuid[], bytea[], uuid[], text[], smallint[], text[], jsonb[], uuid[], text[]),
    bus.accept_new(integer, uuid, bytea, uuid, text, smallint, text, jsonb, uuid, text)
TO firingline_gateway;

RESET ROLE;

COMMIT;
