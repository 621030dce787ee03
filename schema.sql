-- Firingline's whole schema.
--
-- One append-only log, bus.outbox, holds everything that was asked for (commands) and everything that
-- happened (events). Writers append through the functions below; services read the log in the order of
-- `position`, decide, and append what follows. Nothing else connects them.
--
-- A message's life, and the order of this file:
--
--   roles        who may connect, and as what
--   bus          producer -> accepted -> outbox -> (horizon) -> worker, progress -> parked -> outcome
--   auth ... stats   one schema a service: its own tables, and the views that others may read
--
-- Why no reader ever skips a message. `position` comes from one sequence, so a later position can be
-- committed before an earlier one, and a reader that remembers only "position > last" would lose the late
-- one. Here every writer first takes a shared, transaction-level advisory lock, the *mark*, whose key is the
-- sequence's last value at that moment: whatever it inserts afterwards has a larger position. A reader first
-- reads the sequence's last value, then the smallest mark held, then rows up to the smaller of the two: the
-- *horizon*. What lies below it is committed or rolled back for good. The three steps are three statements
-- with three snapshots; one statement would lose messages again.
--
-- Why a mark is short. Locks, keys and state come first, the mark and the rows last, then COMMIT. A holder
-- older than bus.mark_limit() is ended by bus.end_stale_marks().
--
-- NOTIFY is a bell, never the message: the channel is constant, the payload empty, and it is rung after
-- COMMIT on a connection of its own. Reading by polling stays correct without it.

BEGIN;

-- Roles ------------------------------------------------------------------------------------------------

-- Roles belong to the cluster, so a second database finds them there already. They get LOGIN and a password
-- from `firingline migrate`; only the owner never logs in while the range is running.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY[
        'firingline_owner', 'firingline_auth', 'firingline_booking', 'firingline_armory', 'firingline_payment',
        'firingline_stats', 'firingline_gateway', 'firingline_analyst', 'firingline_operator'
    ] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS', wanted);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
END $$;

-- The owner of the bus's functions sees when a backend began and may end one that holds a mark for too long.
GRANT pg_read_all_stats, pg_signal_backend TO firingline_owner;

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO firingline_owner, firingline_auth, firingline_booking, firingline_armory, '
        'firingline_payment, firingline_stats, firingline_gateway, firingline_analyst, firingline_operator',
        current_database());
    EXECUTE format('GRANT CREATE ON DATABASE %I TO firingline_owner', current_database());
END $$;

CREATE EXTENSION IF NOT EXISTS btree_gist;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- Advisory locks are the bus's; only its functions, which run as the owner, may take them.
REVOKE EXECUTE ON FUNCTION
    pg_advisory_lock(bigint), pg_advisory_lock(int, int),
    pg_advisory_lock_shared(bigint), pg_advisory_lock_shared(int, int),
    pg_advisory_xact_lock(bigint), pg_advisory_xact_lock(int, int),
    pg_advisory_xact_lock_shared(bigint), pg_advisory_xact_lock_shared(int, int),
    pg_try_advisory_lock(bigint), pg_try_advisory_lock(int, int),
    pg_try_advisory_lock_shared(bigint), pg_try_advisory_lock_shared(int, int),
    pg_try_advisory_xact_lock(bigint), pg_try_advisory_xact_lock(int, int),
    pg_try_advisory_xact_lock_shared(bigint), pg_try_advisory_xact_lock_shared(int, int)
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_advisory_xact_lock_shared(bigint), pg_advisory_xact_lock(int, int) TO firingline_owner;

SET ROLE firingline_owner;

-- Bus ---------------------------------------------------------------------------------------------------

CREATE SCHEMA bus;
GRANT USAGE ON SCHEMA bus TO
    firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats,
    firingline_gateway, firingline_analyst, firingline_operator;
ALTER DEFAULT PRIVILEGES IN SCHEMA bus REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- Which numbered migrations this database has had.
CREATE TABLE bus.migration (
    number     integer     PRIMARY KEY,
    name       text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Which life of the log this is. Positions are reissued after a restore to an earlier point, so whoever keeps
-- a position outside this database keeps the epoch beside it; a restore begins a new one.
CREATE TABLE bus.epoch (
    epoch integer     PRIMARY KEY,
    began timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO bus.epoch (epoch) VALUES (1);

-- Who may append. A worker registers, at its start and at each renewal, the service token that auth signed
-- for its database role and boot. The token's statement is kept so that every consumer can verify it; it is
-- no bearer token: it serves only this role, this boot, and once.
CREATE TABLE bus.producer (
    id            integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    role          name        NOT NULL,
    boot          uuid        NOT NULL,
    token_id      uuid        NOT NULL UNIQUE,
    names         text[]      NOT NULL,  -- the message names it says it may append; consumers check them against the token
    token         text        NOT NULL CHECK (octet_length(token) <= 8192),
    expires_at    timestamptz NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION bus.register_producer(
    boot uuid, token_id uuid, names text[], token text, expires_at timestamptz
) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = bus, pg_temp AS $$
DECLARE
    registered integer;
BEGIN
    IF register_producer.expires_at > clock_timestamp() + interval '1 hour 1 minute' THEN
        RAISE EXCEPTION 'a producer''s token lasts an hour at most' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO bus.producer (role, boot, token_id, names, token, expires_at)
    VALUES (session_user, register_producer.boot, register_producer.token_id, register_producer.names,
            register_producer.token, register_producer.expires_at)
    RETURNING id INTO registered;
    RETURN registered;
END $$;

-- Raises unless the calling role registered this producer, its token still holds by this database's clock,
-- and every name is one it may append.
CREATE FUNCTION bus.check_producer(producer integer, names text[]) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
DECLARE
    found bus.producer;
BEGIN
    SELECT * INTO found FROM bus.producer AS p WHERE p.id = check_producer.producer;
    IF found.id IS NULL OR found.role <> session_user THEN
        RAISE EXCEPTION 'producer % is not registered for %', producer, session_user
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF found.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'the token of producer % expired at %', producer, found.expires_at
            USING ERRCODE = 'invalid_authorization_specification';
    END IF;
    IF NOT check_producer.names <@ found.names THEN
        RAISE EXCEPTION 'producer % (%) may not append %', producer, session_user,
            (SELECT string_agg(DISTINCT n, ', ') FROM unnest(check_producer.names) AS n WHERE n <> ALL (found.names))
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;

-- The log. CACHE 1 and one sequence give one global order. The first value is spent at once, so that the
-- sequence always has a last value.
CREATE SEQUENCE bus.outbox_position AS bigint CACHE 1;
SELECT nextval('bus.outbox_position');

CREATE TYPE bus.topic AS ENUM ('domain', 'telemetry');

CREATE TABLE bus.outbox (
    position    bigint      NOT NULL DEFAULT nextval('bus.outbox_position'),
    topic       bus.topic   NOT NULL,
    partition   smallint    NOT NULL,  -- crc32(stream) & 63: which part of a consumer's work this is
    schema      smallint    NOT NULL,  -- the version of the body's shape
    producer    integer     NOT NULL,
    id          uuid        NOT NULL,
    cause       uuid,                  -- the message that led to this one
    correlation uuid        NOT NULL,  -- the command that began the whole story
    concludes   uuid,                  -- the command whose outcome this event is
    revision    bigint,                -- 1..n within a domain stream's events; a shot's device number; none for commands
    at          timestamptz NOT NULL,  -- this database's clock; order is by position, never by time
    name        text        NOT NULL,
    stream      text        NOT NULL,
    actor       text        NOT NULL,  -- on whose authority: 'person:…', 'device:…', 'service:…'
    body        jsonb       NOT NULL
) PARTITION BY LIST (topic);

CREATE TABLE bus.outbox_domain PARTITION OF bus.outbox FOR VALUES IN ('domain') PARTITION BY RANGE (position);
CREATE TABLE bus.outbox_telemetry PARTITION OF bus.outbox FOR VALUES IN ('telemetry') PARTITION BY RANGE (position);

-- How many positions one partition of the log spans.
CREATE FUNCTION bus.partition_span() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 4194304::bigint';

-- Makes the partitions that hold the next `ahead` spans of positions. They are made apart and then attached:
-- CREATE TABLE … PARTITION OF would wait behind an analyst's open snapshot, and everything behind it.
CREATE FUNCTION bus.extend_log(ahead integer) RETURNS integer
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

-- The mark's key: a namespace in the top 16 bits, a position in the other 48.
CREATE FUNCTION bus.mark_namespace() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 61::bigint << 48';

-- Takes the mark before any statement writes to the log, whoever writes (bus.append, a restore, an operator's COPY): a
-- statement's BEFORE trigger runs before its first row, and so before the first nextval. A NULL is an error, never 0.
CREATE FUNCTION bus.take_mark() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
    -- Asked for in an IF, not by PERFORM: an expression is evaluated in place, where a query would be planned and run.
    IF pg_advisory_xact_lock_shared(bus.mark_namespace() + pg_sequence_last_value('bus.outbox_position')) IS NULL THEN
        RAISE EXCEPTION 'the log''s sequence has no last value' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER mark BEFORE INSERT ON bus.outbox FOR EACH STATEMENT EXECUTE FUNCTION bus.take_mark();
CREATE TRIGGER mark BEFORE INSERT ON bus.outbox_domain
    FOR EACH STATEMENT EXECUTE FUNCTION bus.take_mark();
CREATE TRIGGER mark BEFORE INSERT ON bus.outbox_telemetry
    FOR EACH STATEMENT EXECUTE FUNCTION bus.take_mark();

SELECT bus.extend_log(3);

-- The position up to which the log is settled: no message at or below it can still appear.
-- It may step back by a little between two calls; it never passes a message.
CREATE FUNCTION bus.horizon() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
DECLARE
    last   bigint;
    lowest bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the log is read in READ COMMITTED: an older snapshot would pass committed messages unseen'
            USING ERRCODE = 'active_sql_transaction';
    END IF;
    SELECT last_value INTO last FROM bus.outbox_position;
    IF last IS NULL THEN
        RAISE EXCEPTION 'the log''s sequence has no last value' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT min((l.classid::bigint << 32 | l.objid::bigint) - bus.mark_namespace()) INTO lowest
    FROM pg_locks AS l
    WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.classid::bigint >> 16 = bus.mark_namespace() >> 48;
    RETURN least(last, lowest);
END $$;

-- How many positions one read covers at most: whoever reads few names from far back gets on step by step, each well
-- inside its statement_timeout.
CREATE FUNCTION bus.read_span() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 500000::bigint';

-- Messages after a position, in order, up to the horizon, of these topics, names (NULL: all names) and partitions, and
-- no further than `upto`. With `own`, a service's name, all commands to that service come too, by whatever name: one
-- that its code does not know must not be passed over.
-- One row more comes last, without a name: its position is how far this read covers, its schema 1 if the horizon lies
-- beyond that, its revision the sequence's last value (so the reader knows whether something may still appear), its
-- time this database's clock.
CREATE FUNCTION bus.read(
    after bigint, topics bus.topic[], names text[], most integer, partitions bigint DEFAULT -1,
    upto bigint DEFAULT NULL, own text DEFAULT NULL
)
RETURNS TABLE (
    "position" bigint, topic bus.topic, partition smallint, schema smallint, producer integer, id uuid, cause uuid,
    correlation uuid, concludes uuid, revision bigint, at timestamptz, name text, stream text, actor text, body jsonb
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
#variable_conflict use_column
DECLARE
    horizon bigint := bus.horizon();
    until   bigint := least(horizon, after + bus.read_span(), read.upto);
    prefix  text   := own || '.';
    head    bigint;
BEGIN
    RETURN QUERY
        SELECT o.position, o.topic, o.partition, o.schema, o.producer, o.id, o.cause, o.correlation, o.concludes,
               o.revision, o.at, o.name, o.stream, o.actor, o.body
        FROM bus.outbox AS o
        WHERE o.position > after AND o.position <= until AND o.topic = ANY (topics)
          AND (partitions = -1 OR partitions >> o.partition & 1 = 1)
          AND (names IS NULL OR o.name = ANY (names)
               OR o.revision IS NULL AND o.topic = 'domain' AND starts_with(o.name, prefix))
        ORDER BY o.position
        LIMIT most;
    SELECT last_value INTO head FROM bus.outbox_position;
    RETURN QUERY SELECT greatest(until, after), NULL::bus.topic, NULL::smallint, (until < horizon)::integer::smallint,
        NULL::integer, NULL::uuid, NULL::uuid, NULL::uuid, NULL::uuid, head, clock_timestamp(), NULL::text, NULL::text,
        NULL::text, NULL::jsonb;
END $$;

-- The last revision of each domain stream, and the one role that writes its events.
CREATE TABLE bus.stream_head (
    stream   text   PRIMARY KEY,
    revision bigint NOT NULL CHECK (revision > 0),
    writer   name   NOT NULL
) WITH (fillfactor = 70);

-- The one terminal answer to each command: which event gave it, and how it ended.
CREATE TABLE bus.outcome (
    command  uuid        PRIMARY KEY,
    status   text        NOT NULL CHECK (status IN ('done', 'rejected', 'failed')),
    position bigint      NOT NULL,
    at       timestamptz NOT NULL
);

-- Appends events and internal commands in the caller's transaction, as its last statement before COMMIT.
-- Arrays of equal length, one element a message. `events` says which are events (they get the next revision
-- of their stream); `concluding`/`statuses` name the command that an event answers. Returns the last position.
-- Order inside: producer, stream heads (sorted), the rows (whose trigger takes the mark).
CREATE FUNCTION bus.append(
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

-- What clients asked for, by their idempotency key. Written with the command itself, so a repeated request finds
-- the first one's id whatever became of its answer.
CREATE TABLE bus.accepted (
    key   uuid        PRIMARY KEY,  -- of sha256 over scope (actor and route) and idempotency key, the first 16 bytes
    id    uuid        NOT NULL UNIQUE,
    at    timestamptz NOT NULL,
    hash  bytea       NOT NULL,     -- sha256 of the request's body
    actor text        NOT NULL,
    name  text        NOT NULL
);

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

-- Which shot numbers of each device and epoch (its boot or session) are in the log: a prefix and islands after it.
CREATE TABLE bus.device_shots (
    device text           NOT NULL,
    epoch  text           NOT NULL,
    seen   int8multirange NOT NULL,
    PRIMARY KEY (device, epoch)
);

-- How many islands of shot numbers one device and epoch may have before it is refused as unsound.
CREATE FUNCTION bus.island_limit() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1000';

-- Appends shots that devices report. A shot is known by (device, epoch, number), whichever way it came: one that is
-- in the log already is counted and dropped. Devices are locked in order. Returns a row a device and epoch: how many
-- were recorded, how many were repeated, and which numbers below the highest are still missing.
CREATE FUNCTION bus.record_shots(
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

-- Who does a piece of work now that only one may do: a target's connection, say. Times are this database's clock.
-- `fence` grows with each holder; whoever writes on the strength of a lease shows it.
CREATE TABLE bus.lease (
    name          text        PRIMARY KEY,
    holder        uuid        NOT NULL,  -- the boot id of the process
    fence         bigint      NOT NULL,
    expires_at    timestamptz NOT NULL,
    released      boolean     NOT NULL,  -- given back in good order
    backend       integer     NOT NULL,  -- the holder's connection: if it is gone, so is the holder
    backend_start timestamptz NOT NULL
);

-- A consumer's lease belongs to the role of its name; nobody takes, prolongs or gives back another's.
CREATE FUNCTION bus.check_lease_name(name text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
    IF name LIKE 'consumer:%' THEN
        PERFORM bus.check_consumer(split_part(name, ':', 2));
    END IF;
END $$;

-- Takes a lease that is free, expired, or whose holder's connection has ended. Returns its fence, and whether the
-- holder before went without giving it back; no row if somebody holds it.
CREATE FUNCTION bus.take_lease(name text, holder uuid, lasts interval) RETURNS TABLE (fence bigint, unclean boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
#variable_conflict use_column
DECLARE
    started timestamptz := (SELECT a.backend_start FROM pg_stat_activity AS a WHERE a.pid = pg_backend_pid());
    was     bus.lease;
BEGIN
    PERFORM bus.check_lease_name(name);
    INSERT INTO bus.lease AS l (name, holder, fence, expires_at, released, backend, backend_start)
    VALUES (take_lease.name, take_lease.holder, 1, clock_timestamp() + lasts, false, pg_backend_pid(), started)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN QUERY SELECT 1::bigint, false;
        RETURN;
    END IF;
    SELECT * INTO was FROM bus.lease AS l WHERE l.name = take_lease.name FOR UPDATE;
    IF NOT was.released AND was.expires_at > clock_timestamp() AND EXISTS (
        SELECT FROM pg_stat_activity AS a WHERE a.pid = was.backend AND a.backend_start = was.backend_start
    ) THEN
        RETURN;
    END IF;
    UPDATE bus.lease AS l
    SET holder = take_lease.holder, fence = was.fence + 1, expires_at = clock_timestamp() + lasts, released = false,
        backend = pg_backend_pid(), backend_start = started
    WHERE l.name = take_lease.name;
    RETURN QUERY SELECT was.fence + 1, NOT was.released;
END $$;

-- Prolongs a lease; false if it is no longer the caller's.
CREATE FUNCTION bus.renew_lease(name text, fence bigint, lasts interval) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
    PERFORM bus.check_lease_name(name);
    UPDATE bus.lease AS l SET expires_at = clock_timestamp() + lasts
    WHERE l.name = renew_lease.name AND l.fence = renew_lease.fence AND l.expires_at > clock_timestamp();
    RETURN FOUND;
END $$;

CREATE FUNCTION bus.release_lease(name text, fence bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
    PERFORM bus.check_lease_name(name);
    UPDATE bus.lease AS l SET released = true, expires_at = clock_timestamp()
    WHERE l.name = release_lease.name AND l.fence = release_lease.fence;
END $$;

-- Refuses whoever does not hold this lease any more: whoever wakes up after it ran out writes nothing.
-- The row stays locked until COMMIT, so that nobody can take it over in between.
CREATE FUNCTION bus.check_lease(name text, fence bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
    PERFORM FROM bus.lease AS l
    WHERE l.name = check_lease.name AND l.fence = check_lease.fence AND l.expires_at > clock_timestamp()
    FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the lease % (fence %) is no longer held', name, fence USING ERRCODE = 'FL001';
    END IF;
END $$;

-- Who works for each consumer. Streams are spread over 64 partitions (crc32(stream) & 63), and a consumer's workers
-- share them out: every message is handled by the one worker that holds its partition. All changes of a consumer's
-- shares are made under the lock of its row here.
CREATE TABLE bus.consumer (
    consumer text        PRIMARY KEY,
    fence    bigint      NOT NULL,  -- the last that was given out
    unclean  bigint      NOT NULL,  -- partitions whose holder went without giving them back; nobody has them yet
    topics   bus.topic[] NOT NULL,  -- what it hears, as its latest worker said
    names    text[]      NOT NULL
);

-- A worker's heartbeat and its share, by this database's clock. A worker whose time ran out or whose connection ended
-- is gone: whoever notices first takes its row away, and with it its right to commit. `fence` grows with every change
-- of a share, so that no row of bus.progress can be written on the strength of an older one.
CREATE TABLE bus.worker (
    consumer      text        NOT NULL,
    boot          uuid        NOT NULL,  -- made at the start of the process: host and pid come again
    host          text        NOT NULL,
    pid           integer     NOT NULL,
    fence         bigint      NOT NULL,
    partitions    bigint      NOT NULL,  -- bit n: partition n; -1: all 64
    expires_at    timestamptz NOT NULL,
    backend       integer     NOT NULL,  -- its connection: if it is gone, so is the worker
    backend_start timestamptz NOT NULL,
    PRIMARY KEY (consumer, boot),
    UNIQUE (consumer, fence)
);

CREATE FUNCTION bus.is_alive(worker bus.worker) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
    SELECT worker.expires_at > clock_timestamp() AND EXISTS (
        SELECT FROM pg_stat_get_activity(worker.backend) AS a WHERE a.backend_start = worker.backend_start
    );
$$;

-- Whether living workers hold all of a consumer's partitions.
CREATE FUNCTION bus.at_work(consumer text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
    SELECT coalesce(bit_or(w.partitions), 0) = -1 FROM bus.worker AS w
    WHERE w.consumer = at_work.consumer AND bus.is_alive(w);
$$;

-- How many partitions a worker should hold: all hold equally many but for one. Who holds more keeps more, so that as
-- few as possible change hands. NULL for one that is gone.
CREATE FUNCTION bus.fair_share(consumer text, boot uuid) RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
    SELECT (64 / r.workers + (r.rank <= 64 % r.workers)::integer)::integer
    FROM (
        SELECT w.boot, count(*) OVER () AS workers,
               row_number() OVER (ORDER BY bit_count(w.partitions::bit(64)) DESC, w.boot) AS rank
        FROM bus.worker AS w WHERE w.consumer = fair_share.consumer AND bus.is_alive(w)
    ) AS r
    WHERE r.boot = fair_share.boot;
$$;

-- Whether a stream lies in one of these partitions.
CREATE FUNCTION bus.is_in(stream text, partitions bigint) RETURNS boolean
LANGUAGE sql STABLE AS $$ SELECT partitions >> (crc32(convert_to(stream, 'UTF8')) & 63)::integer & 1 = 1 $$;

-- `most` of the partitions in a mask, the lowest first.
CREATE FUNCTION bus.some_of(partitions bigint, most integer) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(bit_or(1::bigint << s.n), 0)
    FROM (SELECT n FROM generate_series(0, 63) AS n WHERE partitions >> n & 1 = 1 ORDER BY n LIMIT most) AS s;
$$;

-- Enters a worker, with no share yet. Returns its fence; NULL while a transaction of this very process, from before it
-- lost its connection, may still commit.
CREATE FUNCTION bus.enter(
    consumer text, boot uuid, host text, pid integer, topics bus.topic[], names text[], lasts interval
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
#variable_conflict use_column
DECLARE
    known  bus.consumer;
    before bus.worker;
BEGIN
    PERFORM bus.check_consumer(enter.consumer);
    INSERT INTO bus.consumer AS c (consumer, fence, unclean, topics, names)
    VALUES (enter.consumer, 0, 0, enter.topics, enter.names)
    ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT known FROM bus.consumer AS c WHERE c.consumer = enter.consumer FOR UPDATE;
    IF EXISTS (SELECT FROM bus.worker AS w WHERE w.consumer = enter.consumer AND w.boot = enter.boot) THEN
        SELECT * INTO before FROM bus.worker AS w
        WHERE w.consumer = enter.consumer AND w.boot = enter.boot FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
        DELETE FROM bus.worker AS w WHERE w.consumer = enter.consumer AND w.boot = enter.boot;
    END IF;
    UPDATE bus.consumer AS c
    SET fence = known.fence + 1, unclean = known.unclean | coalesce(before.partitions, 0),
        topics = enter.topics, names = enter.names
    WHERE c.consumer = enter.consumer;
    INSERT INTO bus.worker (consumer, boot, host, pid, fence, partitions, expires_at, backend, backend_start)
    SELECT enter.consumer, enter.boot, enter.host, enter.pid, known.fence + 1, 0, clock_timestamp() + lasts,
           a.pid, a.backend_start
    FROM pg_stat_get_activity(pg_backend_pid()) AS a;
    NOTIFY firingline_workers;
    RETURN known.fence + 1;
END $$;

-- A worker's sign of life, written when a third of its time is over. Returns whether shares have to change, by
-- bus.balance; NULL if the worker is gone: one whose time ran out does not come back by itself.
CREATE FUNCTION bus.heartbeat(consumer text, boot uuid, lasts interval) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
#variable_conflict use_column
DECLARE
    mine  bus.worker;
    held  integer;
    share integer := bus.fair_share(consumer, boot);
BEGIN
    PERFORM bus.check_consumer(heartbeat.consumer);
    SELECT * INTO mine FROM bus.worker AS w
    WHERE w.consumer = heartbeat.consumer AND w.boot = heartbeat.boot AND w.expires_at > clock_timestamp();
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF mine.expires_at < clock_timestamp() + lasts * 2 / 3 THEN
        UPDATE bus.worker AS w SET expires_at = clock_timestamp() + lasts
        WHERE w.consumer = mine.consumer AND w.boot = mine.boot AND w.expires_at > clock_timestamp();
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    held := bit_count(mine.partitions::bit(64));
    RETURN EXISTS (SELECT FROM bus.worker AS w WHERE w.consumer = mine.consumer AND NOT bus.is_alive(w))
        OR held > share
        OR held < share AND (SELECT bit_or(w.partitions) <> -1 FROM bus.worker AS w WHERE w.consumer = mine.consumer);
END $$;

-- Brings the caller's share nearer to its fair one: takes away the rows of workers that are gone, then gives back what
-- the caller has too much, or takes what is free. The caller is between two transactions: nothing of the old share is
-- under way. `suspect` are those of its partitions in which a worker before it may have died of a message. Returns the
-- fence and the share from now on, and which of the newly taken partitions were left by one that died.
CREATE FUNCTION bus.balance(consumer text, under bigint, suspect bigint)
RETURNS TABLE (fence bigint, partitions bigint, unclean bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
#variable_conflict use_column
DECLARE
    known bus.consumer;
    mine  bus.worker;
    gone  bus.worker;
    more  integer;
    given bigint := 0;
    taken bigint := 0;
BEGIN
    PERFORM bus.check_consumer(balance.consumer);
    SELECT * INTO STRICT known FROM bus.consumer AS c WHERE c.consumer = balance.consumer FOR UPDATE;
    SELECT * INTO mine FROM bus.worker AS w
    WHERE w.consumer = balance.consumer AND w.fence = balance.under AND bus.is_alive(w);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the share of % under fence % is no longer held', consumer, under USING ERRCODE = 'FL001';
    END IF;
    FOR gone IN  -- but for one whose last transaction may still commit: it holds its row until then
        SELECT * FROM bus.worker AS w WHERE w.consumer = balance.consumer AND NOT bus.is_alive(w) FOR UPDATE SKIP LOCKED
    LOOP
        DELETE FROM bus.worker AS w WHERE w.consumer = gone.consumer AND w.boot = gone.boot;
        known.unclean := known.unclean | gone.partitions;
    END LOOP;
    more := coalesce(bus.fair_share(mine.consumer, mine.boot) - bit_count(mine.partitions::bit(64)), 0);
    IF more < 0 THEN
        given := bus.some_of(mine.partitions, -more);
        known.unclean := known.unclean | (given & suspect);
        NOTIFY firingline_workers;
    ELSE
        taken := bus.some_of(
            ~(SELECT bit_or(w.partitions) FROM bus.worker AS w WHERE w.consumer = mine.consumer), more);
    END IF;
    IF given | taken <> 0 THEN
        known.fence := known.fence + 1;
        mine.fence := known.fence;
        mine.partitions := (mine.partitions & ~given) | taken;
        UPDATE bus.worker AS w SET fence = mine.fence, partitions = mine.partitions
        WHERE w.consumer = mine.consumer AND w.boot = mine.boot;
    END IF;
    UPDATE bus.consumer AS c SET fence = known.fence, unclean = known.unclean & ~taken
    WHERE c.consumer = known.consumer AND (c.fence, c.unclean) <> (known.fence, known.unclean & ~taken);
    RETURN QUERY SELECT mine.fence, mine.partitions, taken & known.unclean;
END $$;

-- Gives a whole share back, in good order but for the partitions in `suspect`.
CREATE FUNCTION bus.leave(consumer text, fence bigint, suspect bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
#variable_conflict use_column
DECLARE
    given bigint;
BEGIN
    PERFORM bus.check_consumer(leave.consumer);
    PERFORM FROM bus.consumer AS c WHERE c.consumer = leave.consumer FOR UPDATE;
    DELETE FROM bus.worker AS w WHERE w.consumer = leave.consumer AND w.fence = leave.fence
    RETURNING w.partitions INTO given;
    UPDATE bus.consumer AS c SET unclean = c.unclean | (given & suspect)
    WHERE c.consumer = leave.consumer AND given & suspect <> 0;
    NOTIFY firingline_workers;
END $$;

-- Refuses whoever does not hold all of these partitions any more: a worker that wakes up after its time ran out writes
-- nothing. Its row stays locked until COMMIT, so that nobody can take it away in between; a heartbeat passes.
CREATE FUNCTION bus.check_share(consumer text, fence bigint, partitions bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
    PERFORM FROM bus.worker AS w
    WHERE w.consumer = check_share.consumer AND w.fence = check_share.fence AND w.expires_at > clock_timestamp()
      AND w.partitions & check_share.partitions = check_share.partitions
    FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the share of % under fence % is no longer held', consumer, fence USING ERRCODE = 'FL001';
    END IF;
END $$;

-- Keeps other workers of a consumer away from some stories until COMMIT. A story's messages lie in several streams, and
-- so in several workers' partitions; decisions about one of them look at what the others have left behind.
CREATE FUNCTION bus.hold_stories(consumer text, correlations uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
    PERFORM bus.check_consumer(consumer);
    PERFORM pg_advisory_xact_lock(hashtext(hold_stories.consumer), s.key)
    FROM (SELECT DISTINCT hashtext(u.correlation::text) AS key FROM unnest(correlations) AS u (correlation) ORDER BY 1) AS s;
END $$;

-- What each consumer has gone through, a row a batch, never changed: (from_position, to_position] of the partitions
-- in the mask, of which `count` messages were its own; `digest` is the xor of their positions' hashes. The cursor of
-- a partition is the largest to_position of a row with its bit.
CREATE TABLE bus.progress (
    consumer      text        NOT NULL,
    partitions    bigint      NOT NULL,  -- bit n: partition n; -1: all 64
    from_position bigint      NOT NULL,
    to_position   bigint      NOT NULL,
    count         integer     NOT NULL,
    digest        bigint      NOT NULL,
    fence         bigint      NOT NULL,
    at            timestamptz NOT NULL,
    PRIMARY KEY (consumer, from_position, partitions),
    CHECK (to_position > from_position)
);
CREATE INDEX progress_cursor ON bus.progress (consumer, to_position);

-- How far a consumer has come in each of its 64 partitions: element n + 1 is the cursor of partition n. Goes back
-- through the latest rows until all are found; no more than 64 rows end at the same place.
CREATE FUNCTION bus.cursors_of(consumer text) RETURNS bigint[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
DECLARE
    cursors bigint[] := array_fill(0::bigint, ARRAY[64]);
    missing bigint   := -1;
    found   bigint;
    upto    bigint   := 9223372036854775807;
    rows    integer;
    part    record;
BEGIN
    LOOP
        rows := 0;
        FOR part IN
            SELECT p.partitions, p.to_position FROM bus.progress AS p
            WHERE p.consumer = cursors_of.consumer AND p.to_position <= upto
            ORDER BY p.to_position DESC LIMIT 200
        LOOP
            rows := rows + 1;
            upto := part.to_position;
            found := part.partitions & missing;
            IF found = -1 THEN
                RETURN array_fill(upto, ARRAY[64]);
            END IF;
            CONTINUE WHEN found = 0;
            FOR n IN 0 .. 63 LOOP
                IF found >> n & 1 = 1 THEN
                    cursors[n + 1] := upto;
                END IF;
            END LOOP;
            missing := missing & ~found;
            IF missing = 0 THEN
                RETURN cursors;
            END IF;
        END LOOP;
        IF rows < 200 THEN
            RETURN cursors;
        END IF;
    END LOOP;
END $$;

-- The position that a consumer has passed in all its partitions.
CREATE FUNCTION bus.cursor_of(consumer text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
    SELECT min(c) FROM unnest(bus.cursors_of(cursor_of.consumer)) AS c;
$$;

-- Whether a consumer has handled, or set aside, everything that it hears up to a position.
CREATE FUNCTION bus.is_past(consumer text, "position" bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
DECLARE
    cursors bigint[] := bus.cursors_of(consumer);
    lowest  bigint   := (SELECT min(c) FROM unnest(cursors) AS c);
    hears   bus.consumer;
BEGIN
    IF lowest >= is_past.position THEN
        RETURN true;
    END IF;
    SELECT * INTO hears FROM bus.consumer AS c WHERE c.consumer = is_past.consumer;
    IF NOT FOUND OR is_past.position > (SELECT last_value FROM bus.outbox_position) THEN
        RETURN false;
    END IF;
    RETURN NOT EXISTS (
        SELECT FROM bus.outbox AS o
        WHERE o.position > lowest AND o.position <= is_past.position AND o.position > cursors[o.partition + 1]
          AND o.topic = ANY (hears.topics) AND o.name = ANY (hears.names)
    );
END $$;

-- Records a batch in the transaction that did it, under the worker's share.
CREATE FUNCTION bus.advance(
    consumer text, fence bigint, partitions bigint, from_position bigint, to_position bigint, count integer,
    digest bigint
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
    PERFORM bus.check_consumer(consumer);
    PERFORM bus.check_share(consumer, fence, partitions);
    INSERT INTO bus.progress (consumer, partitions, from_position, to_position, count, digest, fence, at)
    VALUES (advance.consumer, advance.partitions, advance.from_position, advance.to_position, advance.count,
            advance.digest, advance.fence, clock_timestamp());
END $$;

-- A consumer belongs to the role of its name; nobody moves another's.
CREATE FUNCTION bus.check_consumer(consumer text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
    IF session_user <> 'firingline_' || split_part(consumer, '/', 1) THEN
        RAISE EXCEPTION 'consumer % does not belong to %', consumer, session_user USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;

-- Streams with a message that could not be handled yet. While a stream is here, the consumer's cursor passes its
-- messages by: they wait in the log, from `head` to `last`, and are drained in order once the head succeeds.
-- States: waiting (next try at retry_at) -> held (attempts used up and the policy is to wait for a person).
CREATE TABLE bus.parked (
    consumer text        NOT NULL,
    stream   text        NOT NULL,
    head     bigint      NOT NULL,
    last     bigint      NOT NULL,
    attempts integer     NOT NULL,
    retry_at timestamptz NOT NULL,
    held     boolean     NOT NULL DEFAULT false,
    give_up  boolean     NOT NULL DEFAULT false,  -- a person wants the head given up; the consumer does it
    cause    text        NOT NULL,  -- the exception's type and place, to group by
    error    text        NOT NULL,
    PRIMARY KEY (consumer, stream),
    CHECK (last >= head)
);

-- Messages given up after their last attempt, for a person to look at; their stream went on without them.
-- States: dead -> requeued (the consumer tries it once more, soon: done, it leaves this table; failed, it is dead again),
-- dead -> discarded (a person wants it no more; it stays, so that a rebuild leaves it out too).
CREATE TABLE bus.dead_letter (
    consumer text        NOT NULL,
    position bigint      NOT NULL,
    stream   text        NOT NULL,
    name     text        NOT NULL,
    attempts integer     NOT NULL,
    cause    text        NOT NULL,
    error    text        NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    state    text        NOT NULL DEFAULT 'dead' CHECK (state IN ('dead', 'requeued', 'discarded')),
    PRIMARY KEY (consumer, position)
);
-- Every consumer looks here once a second.
CREATE INDEX dead_letter_requeued ON bus.dead_letter (consumer, position) WHERE state = 'requeued';

-- Tries begun after an unclean takeover, committed before the try itself, so that a message that kills its process
-- is counted too. Emptied once the consumer has passed them.
CREATE TABLE bus.attempt (
    consumer text    NOT NULL,
    position bigint  NOT NULL,
    begun    integer NOT NULL,
    PRIMARY KEY (consumer, position)
);

-- Messages to be appended at a later time, by the service that asked for them. A key names at most one.
CREATE TABLE bus.scheduled (
    service     text        NOT NULL,
    key         text        NOT NULL,
    due_at      timestamptz NOT NULL,
    name        text        NOT NULL,
    schema      smallint    NOT NULL,
    stream      text        NOT NULL,
    body        jsonb       NOT NULL,
    cause       uuid,
    correlation uuid        NOT NULL,
    actor       text        NOT NULL,
    PRIMARY KEY (service, key)
);
CREATE INDEX scheduled_due ON bus.scheduled (service, due_at);

-- Each service sees and moves its own rows of these tables only.
ALTER TABLE bus.parked ENABLE ROW LEVEL SECURITY;
ALTER TABLE bus.dead_letter ENABLE ROW LEVEL SECURITY;
ALTER TABLE bus.attempt ENABLE ROW LEVEL SECURITY;
ALTER TABLE bus.scheduled ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON bus.parked USING (session_user = 'firingline_' || split_part(consumer, '/', 1));
CREATE POLICY own ON bus.dead_letter USING (session_user = 'firingline_' || split_part(consumer, '/', 1));
CREATE POLICY own ON bus.attempt USING (session_user = 'firingline_' || split_part(consumer, '/', 1));
CREATE POLICY own ON bus.scheduled USING (session_user = 'firingline_' || service);

-- How long a transaction may hold a mark before it is ended: everybody's horizon waits behind it.
CREATE FUNCTION bus.mark_limit() RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT interval '3 seconds' $$;

-- Ends the connections that hold a mark and have stood still for longer than the limit: in one statement, or between
-- two (a batch that worked for longer and has only just taken its mark is left alone). Returns whom. A superuser's
-- cannot be ended from here: it is returned all the same, for the operator to see.
CREATE FUNCTION bus.end_stale_marks() RETURNS TABLE (pid integer, role name, age interval, ended boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
#variable_conflict use_column
BEGIN
    FOR pid, role, age, ended IN
        SELECT a.pid, a.usename, clock_timestamp() - a.xact_start, NOT r.rolsuper
        FROM pg_stat_activity AS a JOIN pg_roles AS r ON r.oid = a.usesysid
        WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
          AND a.state_change < clock_timestamp() - bus.mark_limit()
          AND EXISTS (
              SELECT FROM pg_locks AS l
              WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
                AND l.classid::bigint >> 16 = bus.mark_namespace() >> 48)
    LOOP
        ended := ended AND pg_terminate_backend(pid);
        RETURN NEXT;
    END LOOP;
END $$;

-- How many partitions each topic of the log has ready beyond the one in use: the smaller number of the two.
CREATE FUNCTION bus.partitions_ahead() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
    SELECT min(t.last) - (SELECT s.last_value FROM bus.outbox_position AS s) / bus.partition_span()
    FROM (
        SELECT max(split_part(c.relname, '_', 3)::bigint) AS last
        FROM unnest(ARRAY['bus.outbox_domain', 'bus.outbox_telemetry']::regclass[]) AS p (parent)
        LEFT JOIN pg_inherits AS i ON i.inhparent = p.parent
        LEFT JOIN pg_class AS c ON c.oid = i.inhrelid
        GROUP BY p.parent
    ) AS t;
$$;

-- How long the messages of a topic, and the idempotency keys (`accepted`), are kept. Without a row: for ever.
CREATE TABLE bus.retention (
    what   text        PRIMARY KEY CHECK (what IN ('domain', 'telemetry', 'accepted')),
    days   integer     NOT NULL CHECK (days >= 1),
    set_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO bus.retention (what, days) VALUES ('accepted', 90);

-- Spans of the log that were dropped, and what stood in them: what a rebuild, a replay and the auditor cannot go
-- back to.
CREATE TABLE bus.dropped (
    topic         bus.topic   NOT NULL,
    from_position bigint      NOT NULL,
    to_position   bigint      NOT NULL,
    messages      bigint      NOT NULL,
    names         jsonb       NOT NULL,  -- how many messages of each name
    last_at       timestamptz,           -- when its last message was written; NULL: it was empty
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, from_position)
);

-- Declares how long something is kept; NULL: for ever.
CREATE FUNCTION bus.set_retention(what text, days integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
    DELETE FROM bus.retention AS r WHERE r.what = set_retention.what;
    IF days IS NOT NULL THEN
        INSERT INTO bus.retention (what, days) VALUES (set_retention.what, set_retention.days);
    END IF;
END $$;

-- The lowest position that somebody still needs, and who: a consumer that has not passed it, a parked stream's head, a
-- dead letter that may be requeued. `consumers` are those that ought to exist; whoever ever had a
-- worker counts besides.
CREATE FUNCTION bus.log_needed_from(consumers text[]) RETURNS TABLE ("position" bigint, holder text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
    SELECT n.position, n.holder
    FROM (
        SELECT bus.cursor_of(c.consumer) + 1 AS position, format('%s has not passed it', c.consumer) AS holder
        FROM (
            SELECT unnest(consumers)
            UNION SELECT known.consumer FROM bus.consumer AS known
        ) AS c (consumer)
        UNION ALL SELECT p.head, format('%s has parked %s there', p.consumer, p.stream) FROM bus.parked AS p
        UNION ALL SELECT d.position, format('%s has a dead letter of %s there', d.consumer, d.stream)
            FROM bus.dead_letter AS d WHERE d.state <> 'discarded'
    ) AS n
    ORDER BY n.position LIMIT 1;
$$;

-- The spans of a topic that are in the log, oldest first.
CREATE FUNCTION bus.spans_of(topic bus.topic) RETURNS TABLE (span bigint, from_position bigint, to_position bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
    SELECT s.span, s.span * bus.partition_span(), (s.span + 1) * bus.partition_span() - 1
    FROM (
        SELECT split_part(c.relname, '_', 3)::bigint AS span
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass('bus.outbox_' || spans_of.topic)
    ) AS s
    ORDER BY s.span;
$$;

-- What stands in a span: how many messages of each name, and when the last one was written.
CREATE FUNCTION bus.span_contents(topic bus.topic, span bigint)
RETURNS TABLE (messages bigint, names jsonb, last_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT coalesce(sum(n.n), 0)::bigint, coalesce(jsonb_object_agg(n.name, n.n), ''{}''), max(n.at)
         FROM (SELECT o.name, count(*) AS n, max(o.at) AS at FROM bus.%I AS o GROUP BY o.name) AS n',
        format('outbox_%s_%s', topic, span));
END $$;

-- Takes the oldest span of a topic out of the log, if its retention is declared and over and nobody needs it. Whoever
-- reads the log sees the whole of it or nothing. The rows go with bus.forget_span. DETACH waits for nobody for longer
-- than a moment: all appends would wait behind it.
CREATE FUNCTION bus.drop_span(topic bus.topic, span bigint, consumers text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    keep     interval := (SELECT make_interval(days => r.days) FROM bus.retention AS r
                          WHERE r.what = drop_span.topic::text);
    oldest   record;
    needed   record;
    contents record;
BEGIN
    SELECT * INTO oldest FROM bus.spans_of(topic) LIMIT 1;
    SELECT * INTO needed FROM bus.log_needed_from(consumers);
    SELECT * INTO contents FROM bus.span_contents(topic, span);
    IF keep IS NULL OR contents.last_at >= clock_timestamp() - keep THEN
        RAISE EXCEPTION 'span % of topic % is kept', span, topic USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF oldest.span IS DISTINCT FROM drop_span.span OR oldest.to_position >= bus.horizon() THEN
        RAISE EXCEPTION 'span % of topic % is not the oldest, or still written to', span, topic
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF needed.position <= oldest.to_position THEN
        RAISE EXCEPTION 'span % of topic % is needed from position % on: %', span, topic, needed.position, needed.holder
            USING ERRCODE = 'object_in_use';
    END IF;
    EXECUTE format('ALTER TABLE bus.outbox_%s DETACH PARTITION bus.%I', topic, format('outbox_%s_%s', topic, span));
    INSERT INTO bus.dropped (topic, from_position, to_position, messages, names, last_at)
    VALUES (drop_span.topic, oldest.from_position, oldest.to_position, contents.messages, contents.names,
            contents.last_at);
END $$;

-- The spans that were taken out of the log and whose rows are still there.
CREATE FUNCTION bus.spans_to_forget() RETURNS TABLE (topic bus.topic, span bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
    SELECT d.topic, d.from_position / bus.partition_span()
    FROM bus.dropped AS d
    WHERE to_regclass(format('bus.outbox_%s_%s', d.topic, d.from_position / bus.partition_span())) IS NOT NULL
    ORDER BY d.from_position;
$$;

-- Forgets `most` messages of a dropped span after a position, with the outcomes they gave and the keys of the commands
-- among them. Returns up to where; NULL when there is no more, and the table is gone.
CREATE FUNCTION bus.forget_span(topic bus.topic, span bigint, after bigint, most integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    leaf      text := format('outbox_%s_%s', topic, span);
    ended     bigint := (span + 1) * bus.partition_span() - 1;
    upto      bigint;
    commands  uuid[];
    concluded uuid[];
BEGIN
    IF NOT EXISTS (SELECT FROM bus.spans_to_forget() AS f WHERE f.topic = forget_span.topic AND f.span = forget_span.span) THEN
        RAISE EXCEPTION 'span % of topic % was not dropped', span, topic
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF topic = 'domain' THEN
        EXECUTE format(
            'SELECT max(o.position), coalesce(array_agg(o.id) FILTER (WHERE o.revision IS NULL), ''{}''),
                    coalesce(array_agg(o.concludes) FILTER (WHERE o.concludes IS NOT NULL), ''{}'')
             FROM (SELECT * FROM bus.%I WHERE position > $1 ORDER BY position LIMIT $2) AS o', leaf)
        INTO upto, commands, concluded USING after, most;
    END IF;
    IF upto IS NULL THEN
        EXECUTE format('DROP TABLE bus.%I', leaf);
        RETURN NULL;
    END IF;
    DELETE FROM bus.outcome AS u WHERE u.command = ANY (concluded) AND u.position <= ended;
    DELETE FROM bus.accepted AS a WHERE a.id = ANY (commands);
    RETURN upto;
END $$;

-- Forgets the keys in some blocks of bus.accepted that are older than their retention and whose command has ended.
-- Goes by blocks, so that no index by time is paid for at each command. Returns how many went.
CREATE FUNCTION bus.rotate_accepted(from_block bigint, blocks integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
DECLARE
    forgotten bigint;
BEGIN
    DELETE FROM bus.accepted AS a
    WHERE a.ctid >= format('(%s,0)', from_block)::tid AND a.ctid < format('(%s,0)', from_block + blocks)::tid
      AND a.at < clock_timestamp() - (SELECT make_interval(days => r.days) FROM bus.retention AS r WHERE r.what = 'accepted')
      AND EXISTS (SELECT FROM bus.outcome AS u WHERE u.command = a.id);
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;

CREATE FUNCTION bus.accepted_blocks() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
    SELECT pg_relation_size('bus.accepted') / current_setting('block_size')::bigint;
$$;

-- What a person has paused: a whole consumer, the messages of one name, a stream. It holds until a person resumes it.
CREATE TABLE bus.pause (
    consumer text        NOT NULL,
    kind     text        NOT NULL CHECK (kind IN ('consumer', 'handler', 'stream')),
    what     text        NOT NULL,  -- a message's name, a stream; empty for the consumer
    reason   text        NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, kind, what),
    CHECK ((kind = 'consumer') = (what = ''))
);

-- How the circuits stand that handlers depend on, as a worker of the consumer last met them; for people to see.
CREATE TABLE bus.circuit (
    consumer text        NOT NULL,
    circuit  text        NOT NULL,
    state    text        NOT NULL CHECK (state IN ('closed', 'open', 'half-open')),
    since    timestamptz NOT NULL,
    opened   bigint      NOT NULL,  -- how often
    PRIMARY KEY (consumer, circuit)
);

ALTER TABLE bus.pause ENABLE ROW LEVEL SECURITY;
ALTER TABLE bus.circuit ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON bus.pause USING (session_user = 'firingline_' || split_part(consumer, '/', 1));
CREATE POLICY own ON bus.circuit USING (session_user = 'firingline_' || split_part(consumer, '/', 1));
CREATE POLICY shown ON bus.pause FOR SELECT TO firingline_gateway, firingline_analyst, firingline_operator USING (true);
CREATE POLICY shown ON bus.circuit FOR SELECT TO firingline_gateway, firingline_analyst, firingline_operator USING (true);

-- Operators see and move what could not be handled through the gateway, by these columns and no others.
CREATE POLICY shown ON bus.dead_letter FOR SELECT TO firingline_gateway USING (true);
CREATE POLICY shown ON bus.parked FOR SELECT TO firingline_gateway USING (true);
CREATE POLICY moved ON bus.dead_letter FOR UPDATE TO firingline_gateway USING (true);
CREATE POLICY moved ON bus.parked FOR UPDATE TO firingline_gateway USING (true);

-- What each role may do with the bus. Services append by bus.append alone: nobody has INSERT, UPDATE or DELETE on
-- the log.
GRANT SELECT ON bus.outbox, bus.producer, bus.epoch, bus.outcome, bus.progress, bus.migration, bus.lease,
    bus.consumer, bus.worker TO
    firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats,
    firingline_gateway, firingline_analyst, firingline_operator;
GRANT SELECT ON SEQUENCE bus.outbox_position TO
    firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats,
    firingline_gateway, firingline_analyst, firingline_operator;
GRANT SELECT ON bus.accepted, bus.device_shots TO firingline_gateway;
GRANT SELECT ON bus.stream_head TO firingline_analyst;  -- the auditor's
GRANT SELECT (id, name) ON bus.accepted TO firingline_analyst;
GRANT SELECT, INSERT, UPDATE, DELETE ON bus.parked, bus.dead_letter, bus.attempt, bus.scheduled TO
    firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats;
GRANT EXECUTE ON FUNCTION
    bus.horizon(), bus.cursors_of(text), bus.cursor_of(text), bus.is_past(text, bigint), bus.at_work(text),
    bus.partition_span(), bus.mark_namespace(), bus.mark_limit(),
    bus.read(bigint, bus.topic[], text[], integer, bigint, bigint, text)
TO firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats,
   firingline_gateway, firingline_analyst, firingline_operator;
GRANT EXECUTE ON FUNCTION
    bus.register_producer(uuid, uuid, text[], text, timestamptz), bus.check_producer(integer, text[]),
    bus.append(integer, uuid[], text[], smallint[], text[], boolean[], jsonb[], uuid[], uuid[], text[], uuid[], text[]),
    bus.take_lease(text, uuid, interval), bus.renew_lease(text, bigint, interval), bus.release_lease(text, bigint), bus.check_lease(text, bigint),
    bus.end_stale_marks(), bus.extend_log(integer)
TO firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats, firingline_gateway;
GRANT EXECUTE ON FUNCTION bus.end_stale_marks(), bus.extend_log(integer) TO firingline_operator;
GRANT EXECUTE ON FUNCTION
    bus.check_consumer(text), bus.is_in(text, bigint), bus.enter(text, uuid, text, integer, bus.topic[], text[], interval),
    bus.heartbeat(text, uuid, interval), bus.balance(text, bigint, bigint), bus.leave(text, bigint, bigint),
    bus.check_share(text, bigint, bigint), bus.hold_stories(text, uuid[]), bus.advance(text, bigint, bigint, bigint, bigint, integer, bigint)
TO
    firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats;
GRANT EXECUTE ON FUNCTION
    bus.accept(integer, uuid[], bytea[], uuid[], text[], smallint[], text[], jsonb[], uuid[], text[]),
    bus.accept_new(integer, uuid, bytea, uuid, text, smallint, text, jsonb, uuid, text),
    bus.record_shots(integer, text, smallint, text[], text[], bigint[], uuid[], text[], text[], jsonb[])
TO firingline_gateway;
GRANT SELECT ON bus.retention, bus.dropped TO
    firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats,
    firingline_gateway, firingline_analyst, firingline_operator;
GRANT EXECUTE ON FUNCTION
    bus.partitions_ahead(), bus.log_needed_from(text[]), bus.spans_of(bus.topic),
    bus.span_contents(bus.topic, bigint), bus.drop_span(bus.topic, bigint, text[]), bus.spans_to_forget(),
    bus.forget_span(bus.topic, bigint, bigint, integer), bus.rotate_accepted(bigint, integer), bus.accepted_blocks()
TO firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats, firingline_gateway,
   firingline_operator;
GRANT EXECUTE ON FUNCTION bus.set_retention(text, integer) TO firingline_operator;
GRANT EXECUTE ON FUNCTION bus.take_lease(text, uuid, interval), bus.release_lease(text, bigint) TO firingline_operator;
GRANT SELECT, INSERT, UPDATE, DELETE ON bus.pause, bus.circuit TO
    firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats;
GRANT SELECT ON bus.pause, bus.circuit TO firingline_gateway, firingline_analyst, firingline_operator;
GRANT SELECT ON bus.dead_letter, bus.parked TO firingline_gateway;
GRANT UPDATE (state) ON bus.dead_letter TO firingline_gateway;
GRANT UPDATE (held, attempts, retry_at, give_up) ON bus.parked TO firingline_gateway;

-- Auth --------------------------------------------------------------------------------------------------

CREATE SCHEMA auth;

-- What follows from auth's events, and from nothing else.

-- Who has an account, and what that person may be at the range.
CREATE TABLE auth.person (
    person uuid   PRIMARY KEY,
    roles  text[] NOT NULL CHECK (
        roles <@ ARRAY['shooter', 'instructor', 'armourer', 'cashier', 'analyst', 'admin']
        AND array_position(roles, NULL) IS NULL),
    disabled     boolean     NOT NULL,  -- the account is not to be used until it is enabled again
    tokens_since timestamptz,  -- access tokens issued before count no more
    logins_since timestamptz,  -- logins opened before have ended
    erased       boolean     NOT NULL,  -- nobody stands behind this id any more
    age          integer     NOT NULL  -- at least, as staff has seen; 0 where nobody has
);
-- The few who are more than shooters: every decision about authority reads them.
CREATE INDEX person_staff ON auth.person (person) WHERE roles && ARRAY['instructor', 'armourer', 'cashier', 'admin'];

-- The few whose tokens were revoked of late: every gateway reads them every second.
CREATE INDEX person_tokens_since ON auth.person (tokens_since) WHERE tokens_since IS NOT NULL;

CREATE TABLE auth.licence (
    licence     uuid        PRIMARY KEY,
    person      uuid        NOT NULL,
    category    text        NOT NULL,
    valid_from  timestamptz NOT NULL,
    valid_until timestamptz NOT NULL,
    -- recorded: entered, and does not count yet; confirmed: staff has seen it, it counts;
    -- suspended: it counts no more, until it is confirmed again; revoked: it will never count again
    state       text        NOT NULL CHECK (state IN ('recorded', 'confirmed', 'suspended', 'revoked')),
    reason      text,  -- why it was suspended or revoked
    CHECK (valid_from < valid_until),
    CHECK (isfinite(valid_from) AND isfinite(valid_until))
);
CREATE INDEX licence_person ON auth.licence (person, licence);

-- What each person may shoot, from when to when, as it was last published.
CREATE TABLE auth.entitlement (
    person       uuid      NOT NULL,
    weapon_class text      NOT NULL,
    during       tstzrange NOT NULL CHECK (lower_inc(during) AND NOT upper_inc(during)
                                           AND NOT lower_inf(during) AND NOT upper_inf(during)),
    rule_set     text      NOT NULL,
    rule_version integer   NOT NULL,
    expiry_foreseen boolean NOT NULL,  -- it ends within 30 days, and that was told
    supervised_at_most integer NOT NULL,  -- under supervision, with so many at a time; 0: without
    CONSTRAINT entitlement_pkey PRIMARY KEY (person, weapon_class, supervised_at_most, during WITHOUT OVERLAPS)
);

-- The rules as data: who may shoot which class under which conditions. What took effect last decides.
CREATE TABLE auth.rule_set (
    code            text        NOT NULL,
    version         integer     NOT NULL,
    body            jsonb       NOT NULL,
    takes_effect_at timestamptz NOT NULL,
    in_force_since  timestamptz,
    PRIMARY KEY (code, version)
);

-- Bookings that depend on what their shooters may shoot, of booking's events; those that are over are gone.
CREATE TABLE auth.known_booking (
    booking      uuid      PRIMARY KEY,
    person       uuid      NOT NULL,
    weapon_class text      NOT NULL,
    during       tstzrange NOT NULL,
    supervised   boolean   NOT NULL  -- auth allowed it under supervision
);
CREATE INDEX known_booking_begins ON auth.known_booking (lower(during), booking);
CREATE INDEX known_booking_supervised ON auth.known_booking USING gist (during) WHERE supervised;

-- Which lane a target reports for.
CREATE TABLE auth.device (
    device     text    PRIMARY KEY,
    lane       text    NOT NULL,
    public_key text,  -- Ed25519, base64url: with one, it signs what it posts
    revoked    boolean NOT NULL  -- it reports no more until it is registered again
);

-- What is kept apart from the log: secrets, and what says who a person is.

-- Keys that sign tokens. The private half is sealed under the master key, which lies in a file outside this
-- database. A key signs from not_before until retired_at, and is kept for ever to verify what it signed.
CREATE TABLE auth.signing_key (
    kid            text        PRIMARY KEY,
    public_key     bytea       NOT NULL CHECK (octet_length(public_key) = 32),
    sealed_private bytea       NOT NULL,
    created_at     timestamptz NOT NULL,
    not_before     timestamptz NOT NULL,
    retired_at     timestamptz CHECK (retired_at >= not_before)
);
-- One key at a time has no end.
CREATE UNIQUE INDEX signing_key_in_force ON auth.signing_key ((retired_at IS NULL)) WHERE retired_at IS NULL;

-- The key of each person, sealed under the master key. Whatever says who somebody is is sealed under that
-- person's key; without it nothing of it can be read any more, in this database or in a backup.
CREATE TABLE auth.person_key (
    person uuid  PRIMARY KEY,
    sealed bytea NOT NULL
);

CREATE TABLE auth.account (
    person         uuid        PRIMARY KEY,
    login_hash     bytea       NOT NULL UNIQUE CHECK (octet_length(login_hash) = 32),  -- keyed; finds the login name
    password_hash  text        NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    sealed_profile bytea       NOT NULL,  -- login name and display name
    registered_at  timestamptz NOT NULL
);

-- The first admin came by the secret of set-up; that way is closed once this row stands.
CREATE TABLE auth.bootstrap (
    done   boolean     PRIMARY KEY CHECK (done),
    person uuid        NOT NULL,
    at     timestamptz NOT NULL
);

-- A login and all refresh tokens that came from it, one after the other.
CREATE TABLE auth.session (
    session    uuid        PRIMARY KEY,
    person     uuid        NOT NULL,
    opened_at  timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > opened_at),
    closed_at  timestamptz,
    -- logout: the person ended it; reuse: a spent refresh token came again, so somebody else may have it;
    -- ended: the person ended it from another login
    closed_by  text        CHECK (closed_by IN ('logout', 'reuse', 'ended')),
    second_factor boolean  NOT NULL,  -- it was opened with a code besides the password
    CHECK ((closed_at IS NULL) = (closed_by IS NULL))
);
CREATE INDEX session_expires ON auth.session (expires_at);
CREATE INDEX session_person ON auth.session (person);

CREATE TABLE auth.refresh_token (
    token_hash bytea       PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    session    uuid        NOT NULL REFERENCES auth.session ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    spent_at   timestamptz  -- since then its one successor holds
);
CREATE INDEX refresh_token_session ON auth.refresh_token (session);

-- What makes a person's codes, sealed under that person's key. Each time step is taken once, the latest is last_step.
CREATE TABLE auth.second_factor (
    person       uuid        PRIMARY KEY,
    sealed       bytea       NOT NULL,
    confirmed_at timestamptz,  -- until then it asks for nothing
    last_step    bigint      NOT NULL CHECK (last_step >= 0)
);

-- Codes for who has lost what makes the others, each good once: keyed hashes.
CREATE TABLE auth.recovery_code (
    code_hash bytea PRIMARY KEY CHECK (octet_length(code_hash) = 32),
    person    uuid  NOT NULL REFERENCES auth.second_factor ON DELETE CASCADE
);
CREATE INDEX recovery_code_person ON auth.recovery_code (person);

-- How often a login failed of late, by account, by address, and by both; only keyed hashes of either.
CREATE TABLE auth.login_attempt (
    key          bytea       PRIMARY KEY CHECK (octet_length(key) = 32),
    failures     integer     NOT NULL CHECK (failures >= 0),
    next_at      timestamptz NOT NULL,  -- before then a try is turned away unread
    last_at      timestamptz NOT NULL,
    succeeded_at timestamptz  -- a login from here once worked
);
CREATE INDEX login_attempt_last ON auth.login_attempt (last_at);

-- The licence as it was read: number and authority, sealed under the person's key.
CREATE TABLE auth.licence_document (
    licence     uuid  PRIMARY KEY,
    person      uuid  NOT NULL,
    fingerprint bytea NOT NULL UNIQUE CHECK (octet_length(fingerprint) = 32),  -- keyed; the same licence twice
    sealed      bytea NOT NULL
);

CREATE TABLE auth.device_secret (
    device      text        PRIMARY KEY,
    secret_hash bytea       NOT NULL CHECK (octet_length(secret_hash) = 32),
    issued_at   timestamptz NOT NULL
);

-- What each service proves itself with, and the names it may ask to append. Written by set-up.
CREATE TABLE auth.service_credential (
    service     text   PRIMARY KEY,
    secret_hash bytea  NOT NULL CHECK (octet_length(secret_hash) = 32),
    may_append  text[] NOT NULL
);

-- What others may read: nothing of it says who anybody is.

CREATE VIEW auth.public_keys AS
    SELECT kid, public_key, not_before, retired_at FROM auth.signing_key;

CREATE VIEW auth.roles AS
    SELECT person, roles FROM auth.person;

CREATE VIEW auth.revocations AS
    SELECT person, tokens_since FROM auth.person WHERE tokens_since IS NOT NULL;

CREATE VIEW auth.licences AS
    SELECT licence, person, category, valid_from, valid_until, state, reason FROM auth.licence;

CREATE VIEW auth.entitlements AS
    SELECT person, weapon_class, lower(during) AS valid_from, upper(during) AS valid_until, rule_set, rule_version,
           expiry_foreseen, supervised_at_most
    FROM auth.entitlement;

CREATE VIEW auth.rule_sets AS
    SELECT code, version, body, takes_effect_at, in_force_since FROM auth.rule_set;

CREATE VIEW auth.devices AS
    SELECT device, lane, public_key FROM auth.device WHERE NOT revoked;

-- Everybody verifies tokens, with auth running or not.
GRANT USAGE ON SCHEMA auth TO
    firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats,
    firingline_gateway, firingline_analyst, firingline_operator;
GRANT SELECT ON auth.public_keys TO
    firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats,
    firingline_gateway, firingline_analyst, firingline_operator;
GRANT SELECT ON auth.roles, auth.revocations, auth.licences, auth.entitlements, auth.devices, auth.rule_sets
TO firingline_auth, firingline_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    auth.person, auth.licence, auth.entitlement, auth.device, auth.person_key, auth.account, auth.session,
    auth.refresh_token, auth.login_attempt, auth.licence_document, auth.device_secret,
    auth.second_factor, auth.recovery_code, auth.rule_set, auth.known_booking
TO firingline_auth;
GRANT SELECT, INSERT, UPDATE ON auth.signing_key TO firingline_auth;
GRANT SELECT, INSERT ON auth.bootstrap TO firingline_auth;
GRANT SELECT ON auth.service_credential TO firingline_auth;

-- Booking -----------------------------------------------------------------------------------------------

CREATE SCHEMA booking;

-- Ranges, and how each is run. A range that is set up again is replaced as a whole.
CREATE TABLE booking.range (
    range                  text    PRIMARY KEY,
    title                  text    NOT NULL,
    time_zone              text    NOT NULL,  -- an IANA name; opening hours are what its clocks show
    slot_minutes           integer NOT NULL CHECK (slot_minutes > 0),
    hold_seconds           integer NOT NULL CHECK (hold_seconds > 0),
    early_check_in_minutes integer NOT NULL CHECK (early_check_in_minutes >= 0),
    no_show_minutes        integer NOT NULL CHECK (no_show_minutes > 0),
    policy                 jsonb   NOT NULL  -- the house rules, as booking.range-set-up has them
);

-- Spans of a weekday (ISO: 1 is Monday), in minutes of the clock since midnight; 1440 is the end of the day.
CREATE TABLE booking.opening_hours (
    range         text     NOT NULL REFERENCES booking.range,
    weekday       smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),
    opens_minute  integer  NOT NULL CHECK (opens_minute >= 0),
    closes_minute integer  NOT NULL CHECK (closes_minute <= 1440),
    PRIMARY KEY (range, weekday, opens_minute),
    CHECK (opens_minute < closes_minute),
    EXCLUDE USING gist (range WITH =, weekday WITH =, int4range(opens_minute, closes_minute) WITH &&)
);

-- Lanes. Whoever decides on a booking or a start locks the lane's row first, then the booking's.
CREATE TABLE booking.lane (
    lane           text    PRIMARY KEY,
    range          text    NOT NULL REFERENCES booking.range,
    distance_m     integer NOT NULL CHECK (distance_m > 0),
    discipline     text    NOT NULL,
    weapon_classes text[]  NOT NULL CHECK (weapon_classes <> '{}'),
    target_address text,  -- where the electronic target listens, if there is one
    capacity       integer NOT NULL CHECK (capacity > 0),  -- how many shoot on it at once
    calibres       text[]  NOT NULL,  -- that may be fired; none: any
    most_energy_j  integer CHECK (most_energy_j > 0)  -- at the muzzle, that its backstop holds; none: any
);
CREATE INDEX lane_range ON booking.lane (range);

-- Times for which a lane is closed. Whoever closes one holds the lane's row, as whoever books it does.
CREATE TABLE booking.closure (
    closure uuid      PRIMARY KEY,
    lane    text      NOT NULL REFERENCES booking.lane,
    during  tstzrange NOT NULL CHECK (NOT isempty(during) AND isfinite(lower(during)) AND isfinite(upper(during))),
    reason  text      NOT NULL
);
CREATE INDEX closure_of_lane ON booking.closure USING gist (lane, during);

-- Cease fires; one holds on a range until fire is resumed.
CREATE TABLE booking.cease_fire (
    cease_fire uuid        PRIMARY KEY,
    range      text        NOT NULL REFERENCES booking.range,
    reason     text        NOT NULL,
    ordered_by text        NOT NULL,
    ordered_at timestamptz NOT NULL,
    resumed_by text,
    resumed_at timestamptz,
    CHECK (num_nonnulls(resumed_by, resumed_at) IN (0, 2) AND resumed_at >= ordered_at)
);
CREATE UNIQUE INDEX one_cease_fire_a_range ON booking.cease_fire (range) WHERE resumed_at IS NULL;
CREATE INDEX cease_fire_of_range ON booking.cease_fire (range, ordered_at);

-- Bookings and sessions. States:
--   held -> confirmed -> checked-in -> in-use -> finished
--   held -> rejected;  held, confirmed, checked-in -> cancelled;  confirmed -> no-show
-- The first four are active: lane and shooters are taken `during` the time booked, and from the start of a session
-- that begins early. That no two active ones overlap is kept here and in booking.shooter_time, whatever the code decides. A session may run
-- beyond its time, so those in use are kept apart by themselves.
CREATE TABLE booking.booking (
    booking       uuid        PRIMARY KEY,
    command       uuid        NOT NULL UNIQUE,  -- the wish that it came from
    person        uuid        NOT NULL,
    range         text        NOT NULL REFERENCES booking.range,
    lane          text        NOT NULL REFERENCES booking.lane,
    discipline    text        NOT NULL,
    starts_at     timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL,
    during        tstzrange   NOT NULL,
    weapon_class  text        NOT NULL,
    weapon_type   text,                  -- none: the shooter's own weapon
    rounds        integer     NOT NULL CHECK (rounds >= 0),
    state         text        NOT NULL CHECK (state IN (
        'held', 'confirmed', 'checked-in', 'in-use', 'finished', 'rejected', 'cancelled', 'no-show')),
    held_until    timestamptz NOT NULL,
    no_show_at    timestamptz NOT NULL,
    invoice       uuid        UNIQUE,
    total_minor   bigint,
    currency      text,
    refused_by    text,
    rule          text,
    rule_version  integer,
    reason        text,
    checked_in_at timestamptz,
    started_at    timestamptz,
    finished_at   timestamptz,
    entitlement_lost_at timestamptz,  -- since then the shooter's licences cover it no more; staff must end it
    -- Bookings of one claim may overlap: one that is rescheduled, and the one that is to take its place.
    claim         uuid        NOT NULL,
    replaces      uuid        REFERENCES booking.booking,
    replaced_by   uuid,
    participants  uuid[]      NOT NULL,  -- who shoots on the lane besides the person
    calibre       text,                  -- of the shooter's own weapon
    energy_j      integer,
    taken         tstzrange   NOT NULL,  -- when the lane is taken: `during`, and the buffers before and after
    series        uuid,
    CONSTRAINT time_is_bounded CHECK (
        isfinite(starts_at) AND isfinite(ends_at) AND starts_at < ends_at AND ends_at - starts_at <= interval '24 hours'),
    CONSTRAINT during_is_a_time CHECK (
        NOT isempty(during) AND NOT lower_inf(during) AND NOT upper_inf(during)
        AND lower_inc(during) AND NOT upper_inc(during)
        AND lower(during) <= starts_at AND upper(during) = ends_at AND isfinite(lower(during))),
    CONSTRAINT hold_before_no_show CHECK (held_until <= no_show_at AND no_show_at > starts_at),
    CONSTRAINT confirmed_is_invoiced CHECK (
        num_nonnulls(invoice, total_minor, currency) = CASE
            WHEN state IN ('held', 'rejected') THEN 0
            WHEN state = 'cancelled' AND invoice IS NULL THEN 0
            ELSE 3 END),
    CONSTRAINT rejected_has_a_reason CHECK (
        num_nonnulls(refused_by, rule, rule_version, reason) = CASE
            WHEN state = 'rejected' THEN 4
            WHEN state = 'cancelled' AND rule IS NOT NULL THEN 4  -- called off by a rule, not by a person
            ELSE 0 END),
    CONSTRAINT session_in_order CHECK (
        CASE WHEN state IN ('checked-in', 'in-use', 'finished') THEN checked_in_at IS NOT NULL
             WHEN state = 'cancelled' THEN true ELSE checked_in_at IS NULL END
        AND (started_at IS NOT NULL) = (state IN ('in-use', 'finished'))
        AND (finished_at IS NOT NULL) = (state = 'finished')),
    CONSTRAINT taken_holds_during CHECK (
        taken @> during AND NOT lower_inf(taken) AND NOT upper_inf(taken) AND isfinite(lower(taken))
        AND isfinite(upper(taken)) AND lower_inc(taken) AND NOT upper_inc(taken)),
    CONSTRAINT one_booking_a_lane EXCLUDE USING gist (lane WITH =, taken WITH &&, claim WITH <>)
        WHERE (state IN ('held', 'confirmed', 'checked-in', 'in-use')),
    CONSTRAINT one_session_a_lane EXCLUDE (lane WITH =) WHERE (state = 'in-use'),
    CONSTRAINT one_session_a_shooter EXCLUDE (person WITH =) WHERE (state = 'in-use')
);
-- A shooter's bookings of a period, and everybody's for staff, in the order they are listed.
CREATE INDEX booking_of_person ON booking.booking (person, starts_at, booking);
CREATE INDEX booking_in_order ON booking.booking (starts_at, booking);
-- Whoever is at the range now: their weapons may be out before and after the time booked.
CREATE INDEX booking_at_the_range ON booking.booking (booking) WHERE state IN ('checked-in', 'in-use');

CREATE UNIQUE INDEX one_replacement_at_a_time ON booking.booking (replaces) WHERE state = 'held';

CREATE INDEX booking_of_series ON booking.booking (series) WHERE series IS NOT NULL;

-- When everybody is taken who shoots in an active booking: its shooter and the participants.
CREATE TABLE booking.shooter_time (
    booking uuid      NOT NULL REFERENCES booking.booking,
    person  uuid      NOT NULL,
    during  tstzrange NOT NULL CHECK (NOT isempty(during) AND isfinite(lower(during)) AND isfinite(upper(during))),
    claim   uuid      NOT NULL,
    PRIMARY KEY (booking, person),
    CONSTRAINT one_booking_a_shooter EXCLUDE USING gist (person WITH =, during WITH &&, claim WITH <>)
);

-- The waiting list. States: waiting -> offered -> accepted; waiting and offered -> lapsed, left. What is offered is kept
-- for one alone: no two offers of a lane overlap, and whoever books a lane or offers it holds the lane's row.
CREATE TABLE booking.waitlist_entry (
    entry         uuid        PRIMARY KEY,
    person        uuid        NOT NULL,
    range         text        NOT NULL REFERENCES booking.range,
    discipline    text        NOT NULL,
    lane          text,  -- none: any of the discipline
    starts_at     timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL CHECK (isfinite(starts_at) AND isfinite(ends_at) AND starts_at < ends_at),
    weapon_class  text        NOT NULL,
    weapon_type   text,
    rounds        integer     NOT NULL CHECK (rounds >= 0),
    calibre       text,
    energy_j      integer,
    joined_at     timestamptz NOT NULL,
    state         text        NOT NULL CHECK (state IN ('waiting', 'offered', 'accepted', 'lapsed', 'left')),
    offered_lane  text        REFERENCES booking.lane,
    offered_taken tstzrange,
    offered_until timestamptz,
    booking       uuid,
    CHECK (num_nonnulls(offered_lane, offered_taken, offered_until) IN (0, 3)),
    CHECK (state NOT IN ('offered', 'accepted') OR offered_lane IS NOT NULL),
    CHECK ((booking IS NOT NULL) = (state = 'accepted')),
    CONSTRAINT one_offer_a_lane EXCLUDE USING gist (offered_lane WITH =, offered_taken WITH &&) WHERE (state = 'offered')
);
CREATE INDEX waitlist_in_line ON booking.waitlist_entry (range, discipline, joined_at) WHERE state = 'waiting';
CREATE INDEX waitlist_of_person ON booking.waitlist_entry (person, starts_at);

-- What others told, kept for decisions and views. Each table is written by the events of one service alone, and
-- rows of different streams never touch: the order in which streams arrive makes no difference.

-- Who works at the range, of auth.person-registered and auth.roles-assigned; mere shooters are not here.
CREATE TABLE booking.known_staff (
    person uuid   PRIMARY KEY,
    roles  text[] NOT NULL CHECK (roles <> '{}')
);

-- What a person may shoot, of auth.entitlements-published, which replaces all rows of the person.
CREATE TABLE booking.known_entitlement (
    person       uuid      NOT NULL,
    weapon_class text      NOT NULL,
    during       tstzrange NOT NULL CHECK (NOT isempty(during)),
    expiry_foreseen boolean NOT NULL,  -- its end is near, of auth.expiry-foreseen
    supervised_at_most integer NOT NULL,  -- under supervision, with so many at a time; 0: without
    CONSTRAINT known_entitlement_pkey PRIMARY KEY (person, weapon_class, supervised_at_most, during)
);

-- How many units of each weapon type are fit for use, and when some are kept for a service, of
-- armory.weapon-type-stocked.
CREATE TABLE booking.known_weapon_type (
    weapon_type  text        PRIMARY KEY,
    weapon_class text        NOT NULL,
    title        text        NOT NULL,
    units        integer     NOT NULL CHECK (units >= 0),
    away         tstzrange[] NOT NULL
);

-- The calibre of each weapon type, of armory.weapon-type-added.
CREATE TABLE booking.known_calibre (
    weapon_type text PRIMARY KEY,
    calibre     text NOT NULL
);

-- Which services have said yes to a booking so far, of auth.licence-validated and armory.weapon-reserved.
CREATE TABLE booking.known_agreement (
    booking uuid NOT NULL,
    service text NOT NULL CHECK (service IN ('auth', 'armory')),
    supervised boolean NOT NULL,  -- auth allowed it under supervision
    PRIMARY KEY (booking, service)
);

-- Weapons handed out for a booking, of armory.weapon-issued and -returned; issued_at is when for the first time. While
-- returned_at is NULL it is out.
CREATE TABLE booking.known_custody (
    booking     uuid        NOT NULL,
    weapon      uuid        NOT NULL,
    issued_at   timestamptz NOT NULL,
    returned_at timestamptz,
    PRIMARY KEY (booking, weapon)
);
CREATE INDEX known_custody_out ON booking.known_custody (booking) WHERE returned_at IS NULL;

-- Bookings whose invoice is paid, of payment.invoice-settled.
CREATE TABLE booking.known_settlement (
    booking    uuid        PRIMARY KEY,
    settled_at timestamptz NOT NULL
);

CREATE VIEW booking.ranges AS
SELECT r.range, r.title, r.time_zone, r.slot_minutes, r.hold_seconds, r.early_check_in_minutes, r.no_show_minutes,
       coalesce((
           SELECT json_agg(json_build_object('weekday', h.weekday, 'opens_minute', h.opens_minute,
                                             'closes_minute', h.closes_minute) ORDER BY h.weekday, h.opens_minute)
           FROM booking.opening_hours AS h WHERE h.range = r.range), '[]') AS opening_hours,
       r.policy
FROM booking.range AS r;

-- Lanes as they are at this moment. A session in use counts until it is finished, however late it is; `until` is
-- when the booking that has the lane ends, or when the next one takes it.
CREATE VIEW booking.lanes AS
SELECT l.lane, l.range, l.distance_m, l.discipline, l.weapon_classes,
       CASE WHEN present.state IS NULL THEN 'free' WHEN present.state = 'confirmed' THEN 'booked' ELSE present.state END
           AS state,
       CASE WHEN present.state IS NULL THEN next.starts_at ELSE present.ends_at END AS until,
       ceased.ordered_at AS cease_fire_since, l.capacity, l.calibres,
       l.most_energy_j
FROM booking.lane AS l
LEFT JOIN LATERAL (
    SELECT b.state, b.ends_at
    FROM booking.booking AS b
    WHERE b.lane = l.lane AND (
        b.state = 'in-use' OR b.state IN ('held', 'confirmed', 'checked-in') AND b.taken @> now() AND b.during @> now())
    ORDER BY b.state = 'in-use' DESC
    LIMIT 1
) AS present ON true
LEFT JOIN LATERAL (
    SELECT min(lower(b.during)) AS starts_at
    FROM booking.booking AS b
    WHERE b.lane = l.lane AND b.state IN ('held', 'confirmed', 'checked-in', 'in-use')
      AND b.during && tstzrange(now(), NULL)
) AS next ON true
LEFT JOIN booking.cease_fire AS ceased ON ceased.range = l.range AND ceased.resumed_at IS NULL;

CREATE VIEW booking.cease_fires AS
SELECT c.cease_fire, c.range, c.reason, c.ordered_by, c.ordered_at, c.resumed_by, c.resumed_at
FROM booking.cease_fire AS c;

-- The electronic targets, for those who connect to them.
CREATE VIEW booking.targets AS
SELECT l.lane, l.range, l.distance_m, l.discipline, l.target_address
FROM booking.lane AS l
WHERE l.target_address IS NOT NULL;

CREATE VIEW booking.bookings AS
SELECT b.booking, b.person, b.range, b.lane, b.discipline, b.starts_at, b.ends_at, b.during,
       b.weapon_class, b.weapon_type, b.rounds, b.state, b.held_until,
       b.starts_at - make_interval(mins => r.early_check_in_minutes) AS check_in_from, b.no_show_at,
       b.invoice, b.total_minor, b.currency, s.settled_at, b.refused_by, b.rule, b.rule_version, b.reason,
       b.checked_in_at, b.started_at, b.finished_at,
       EXISTS (SELECT FROM booking.known_custody AS c WHERE c.booking = b.booking AND c.returned_at IS NULL) AS weapon_out,
       b.entitlement_lost_at, b.participants, b.replaces, b.replaced_by, b.taken,
       b.series
FROM booking.booking AS b
JOIN booking.range AS r USING (range)
LEFT JOIN booking.known_settlement AS s USING (booking);

-- When units of weapon types are taken, as the armoury counts them: by an active booking for its time, from when the
-- weapon was handed out if that was earlier; and by whoever has a weapon out, in whatever state the booking is. One
-- that is out past its end is taken until it comes back. One that is kept for a service is taken for its time.
CREATE VIEW booking.weapons_taken AS
SELECT b.weapon_type, b.during, false AS out, b.taken
FROM booking.booking AS b
WHERE b.weapon_type IS NOT NULL AND b.state IN ('held', 'confirmed')
UNION ALL
SELECT b.weapon_type, o.during, o.out, o.during
FROM booking.booking AS b
LEFT JOIN LATERAL (
    SELECT min(c.issued_at) AS issued_at, bool_or(c.returned_at IS NULL) AS out
    FROM booking.known_custody AS c WHERE c.booking = b.booking
) AS c ON true
CROSS JOIN LATERAL (
    SELECT tstzrange(least(lower(b.during), c.issued_at), upper(b.during)) AS during, coalesce(c.out, false) AS out
) AS o
WHERE b.weapon_type IS NOT NULL AND b.state IN ('checked-in', 'in-use')
UNION ALL
SELECT b.weapon_type, o.during, true, o.during
FROM booking.known_custody AS c JOIN booking.booking AS b USING (booking)
CROSS JOIN LATERAL (
    SELECT tstzrange(least(lower(b.during), c.issued_at), upper(b.during)) AS during
) AS o
WHERE c.returned_at IS NULL AND b.weapon_type IS NOT NULL AND b.state NOT IN ('held', 'confirmed', 'checked-in', 'in-use')
UNION ALL
SELECT t.weapon_type, a.during, false, a.during
FROM booking.known_weapon_type AS t, unnest(t.away) AS a (during);

CREATE VIEW booking.entitlements AS
SELECT e.person, e.weapon_class, e.during, e.expiry_foreseen, e.supervised_at_most FROM booking.known_entitlement AS e;

-- When shooters are booked under supervision, as auth counts them.
CREATE VIEW booking.supervised AS
SELECT tstzrange(b.starts_at, b.ends_at) AS during
FROM booking.booking AS b JOIN booking.known_agreement AS a USING (booking)
WHERE a.supervised AND b.state IN ('held', 'confirmed', 'checked-in', 'in-use');

CREATE VIEW booking.weapon_types AS
SELECT t.weapon_type, t.weapon_class, t.title, t.units, c.calibre
FROM booking.known_weapon_type AS t LEFT JOIN booking.known_calibre AS c USING (weapon_type);

CREATE VIEW booking.closures AS
SELECT c.closure, c.lane, c.during, c.reason FROM booking.closure AS c;

-- What `GET /v1/slots` needs of lanes, without who has them now.
CREATE VIEW booking.lane_settings AS
SELECT l.lane, l.range, l.distance_m, l.discipline, l.weapon_classes, l.calibres FROM booking.lane AS l;

CREATE VIEW booking.shooter_times AS
SELECT s.person, s.during FROM booking.shooter_time AS s;

CREATE VIEW booking.waitlist AS
SELECT w.entry, w.person, w.range, w.discipline, w.lane, w.starts_at, w.ends_at, w.weapon_class, w.weapon_type, w.rounds,
       w.joined_at, w.state, w.offered_lane, w.offered_taken, w.offered_until, w.booking
FROM booking.waitlist_entry AS w;

GRANT USAGE ON SCHEMA booking TO firingline_booking, firingline_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    booking.range, booking.opening_hours, booking.lane, booking.booking, booking.known_staff, booking.known_entitlement,
    booking.known_weapon_type, booking.known_agreement, booking.known_custody, booking.known_settlement,
    booking.cease_fire, booking.shooter_time, booking.closure, booking.known_calibre,
    booking.waitlist_entry
TO firingline_booking;
GRANT SELECT ON
    booking.ranges, booking.lanes, booking.targets, booking.bookings, booking.entitlements, booking.weapon_types,
    booking.supervised, booking.weapons_taken, booking.cease_fires, booking.closures, booking.waitlist,
    booking.lane_settings, booking.shooter_times
TO firingline_gateway;

-- Armory ------------------------------------------------------------------------------------------------

CREATE SCHEMA armory;

-- Types of weapons. `units` is how many are fit for use, `away` when some of these are kept for a service. Whoever decides on a reservation locks the type's row first,
-- so that two requests never count on the same unit.
CREATE TABLE armory.weapon_type (
    weapon_type  text    PRIMARY KEY,
    weapon_class text    NOT NULL,
    calibre      text    NOT NULL,
    title        text    NOT NULL,
    units        integer NOT NULL CHECK (units >= 0),
    service_after_rounds integer CHECK (service_after_rounds > 0),  -- none: by rounds, no service is ever due
    service_after_days   integer CHECK (service_after_days > 0),  -- none: nor by time
    service_minutes      integer NOT NULL CHECK (service_minutes > 0),
    away                 tstzrange[] NOT NULL
);

-- The register: every weapon the club has. The unique index also finds the units of a type. A weapon is fit for use
-- if it is not in quarantine and no service is due: by its rounds, or because `service_due_at` is over (`overdue`).
CREATE TABLE armory.weapon (
    weapon      uuid PRIMARY KEY,
    weapon_type text NOT NULL REFERENCES armory.weapon_type,
    serial      text NOT NULL,
    quarantine  text,  -- why it is kept back, if it is
    rounds_fired         bigint NOT NULL CHECK (rounds_fired >= 0),
    rounds_since_service bigint NOT NULL CHECK (rounds_since_service >= 0),
    service_from   timestamptz,  -- when it was last serviced, or came; none: before that was written down
    service_due_at timestamptz,
    overdue        boolean   NOT NULL,
    planned        tstzrange CHECK (
        NOT isempty(planned) AND NOT lower_inf(planned) AND NOT upper_inf(planned)
        AND lower_inc(planned) AND NOT upper_inc(planned)),
    planned_work   text,
    barrel         integer   NOT NULL CHECK (barrel > 0),  -- its first, second …
    barrel_rounds  bigint    NOT NULL CHECK (barrel_rounds >= 0),
    maker          text,
    model          text,
    condition      text      NOT NULL,
    owner          uuid,  -- none: the club
    location       text,
    gone           text      CHECK (gone IN ('lost', 'retired')),
    UNIQUE (weapon_type, serial),
    CONSTRAINT weapon_planned CHECK (num_nulls(planned, planned_work) IN (0, 2))
);

-- Services of a weapon, counted 1, 2, 3 …, with the rounds it had fired by then. Entries are only ever added.
CREATE TABLE armory.service (
    weapon               uuid        NOT NULL REFERENCES armory.weapon,
    number               integer     NOT NULL CHECK (number > 0),
    work                 text        NOT NULL,
    rounds_fired         bigint      NOT NULL,
    rounds_since_service bigint      NOT NULL,
    serviced_by          uuid        NOT NULL,
    serviced_at          timestamptz NOT NULL,
    barrel               integer     NOT NULL,
    barrel_rounds        bigint,  -- by then; none: before that was written down
    PRIMARY KEY (weapon, number)
);

-- What a person may shoot, of auth.entitlements-published, which replaces all rows of the person.
CREATE TABLE armory.known_entitlement (
    person       uuid      NOT NULL,
    weapon_class text      NOT NULL,
    during       tstzrange NOT NULL CHECK (NOT isempty(during)),
    PRIMARY KEY (person, weapon_class, during)
);

-- When ranges are open, of booking.range-set-up: services are planned for then.
CREATE TABLE armory.known_hours (
    range         text    NOT NULL,
    time_zone     text    NOT NULL,
    weekday       integer NOT NULL,
    opens_minute  integer NOT NULL,
    closes_minute integer NOT NULL,
    PRIMARY KEY (range, weekday, opens_minute, closes_minute)
);

-- Days that were closed, with every weapon of the range back.
CREATE TABLE armory.day_closing (
    range     text        NOT NULL,
    closed_at timestamptz NOT NULL,
    closed_by uuid        NOT NULL,
    PRIMARY KEY (range, closed_at)
);

-- Cartridges that lie in the armoury, by calibre and lot: stocked - issued + returned - written off. A lot that was
-- recalled, or has expired, is not issued.
CREATE TABLE armory.lot (
    calibre    text        NOT NULL,
    lot        text        NOT NULL,
    rounds     bigint      NOT NULL CHECK (rounds >= 0),
    expires_at timestamptz,
    recalled   text,  -- why, if it is
    PRIMARY KEY (calibre, lot)
);

-- A unit of a type kept for a booking, whichever unit it will be. States: kept -> released.
CREATE TABLE armory.reservation (
    booking     uuid      PRIMARY KEY,
    person      uuid      NOT NULL,
    range       text      NOT NULL,
    weapon_type text      NOT NULL REFERENCES armory.weapon_type,
    during      tstzrange NOT NULL CHECK (
        NOT isempty(during) AND NOT lower_inf(during) AND NOT upper_inf(during)
        AND lower_inc(during) AND NOT upper_inc(during)),
    released    boolean   NOT NULL
);
-- What is kept of a type in a time: the only question asked of it under the type's lock.
CREATE INDEX reservation_kept ON armory.reservation USING gist (weapon_type, during) WHERE NOT released;

-- What booking told of a booking, in whatever order it came. A closed one is a tombstone: a request for a weapon that
-- comes after it does nothing. States: (none) -> checked in -> closed, or closed at once.
CREATE TABLE armory.known_booking (
    booking       uuid        PRIMARY KEY,
    checked_in_at timestamptz,
    closed        text        CHECK (closed IN ('rejected', 'cancelled', 'no-show', 'finished'))
);

-- The custody book: every handover of a weapon, from whom to whom. Entries are only ever added. A weapon's entries
-- count 1, 2, 3 … without a gap; the odd ones are issues, the even ones returns, so the two alternate and there is
-- one holder at any time. An entry that was wrong is taken back by another, which says which and why. `hash` is SHA-256
-- over the hash of the entry before (of the first: 32 zero bytes) and the entry's content as handlers/armory/model/chain.py
-- writes it down: an entry that is changed, swapped or taken out breaks the chain.
CREATE TABLE armory.handover (
    weapon      uuid        NOT NULL REFERENCES armory.weapon,
    entry       integer     NOT NULL CHECK (entry > 0),
    previous    integer     GENERATED ALWAYS AS (nullif(entry - 1, 0)) STORED,
    kind        text        NOT NULL CHECK (kind = CASE entry % 2 WHEN 1 THEN 'issue' ELSE 'return' END),
    booking     uuid        NOT NULL REFERENCES armory.reservation,
    from_person uuid        NOT NULL,
    to_person   uuid        NOT NULL CHECK (to_person <> from_person),  -- it takes two
    rounds      integer     NOT NULL CHECK (rounds >= 0),  -- cartridges that went along
    at          timestamptz NOT NULL,
    corrects    integer     CHECK (corrects = entry - 1),
    reason      text,
    hash        bytea       NOT NULL CHECK (octet_length(hash) = 32),
    lot         text,  -- of the cartridges that were issued
    PRIMARY KEY (weapon, entry),
    CHECK (num_nulls(corrects, reason) IN (0, 2)),
    FOREIGN KEY (weapon, previous) REFERENCES armory.handover (weapon, entry)
);
CREATE INDEX handover_of_booking ON armory.handover (booking);

-- A weapon's time out of the armoury, begun by the entry of the custody book of that number. States: out (returned_at
-- is null) -> returned. Issued cartridges are returned, written off (they would not fire), or fired, as the counter has
-- it; how many were fired in truth the reckoning says, which counts shots.
CREATE TABLE armory.loan (
    weapon          uuid        NOT NULL,
    entry           integer     NOT NULL,
    booking         uuid        NOT NULL REFERENCES armory.reservation,
    holder          uuid        NOT NULL,
    issued_by       uuid        NOT NULL,
    issued_at       timestamptz NOT NULL,
    rounds_issued   integer     NOT NULL CHECK (rounds_issued >= 0),
    returned_at     timestamptz CHECK (returned_at >= issued_at),
    taken_by        uuid,
    rounds_returned integer     CHECK (rounds_returned >= 0),
    rounds_fired    integer     CHECK (rounds_fired >= 0),
    lot             text,
    rounds_written_off integer  CHECK (rounds_written_off >= 0),
    PRIMARY KEY (weapon, entry),
    FOREIGN KEY (weapon, entry) REFERENCES armory.handover,
    CONSTRAINT loan_whole
        CHECK (num_nulls(returned_at, taken_by, rounds_returned, rounds_fired, rounds_written_off) IN (0, 5)),
    CONSTRAINT loan_balanced CHECK (rounds_issued = rounds_returned + rounds_fired + rounds_written_off)
);
-- One holder of a weapon, and one weapon of a booking, at a time.
CREATE UNIQUE INDEX loan_one_holder ON armory.loan (weapon) WHERE returned_at IS NULL;
CREATE UNIQUE INDEX loan_one_weapon ON armory.loan (booking) WHERE returned_at IS NULL;
CREATE INDEX loan_of_booking ON armory.loan (booking);
CREATE INDEX loan_of_lot ON armory.loan (lot);

-- Which lanes have a target that counts shots, and what is shot there, of booking.lane-opened; and what it counted, of stats.session-scored.
CREATE TABLE armory.known_lane (
    lane           text    PRIMARY KEY,
    has_target     boolean NOT NULL,
    weapon_classes text[]  NOT NULL
);
CREATE TABLE armory.known_score (
    booking uuid    PRIMARY KEY,
    lane    text    NOT NULL,
    shots   integer NOT NULL CHECK (shots >= 0)
);

-- What a booking's cartridges come to, once its shots are counted and its weapons are back. `unexplained` is what does
-- not add up: nobody has said why yet. `adjusted` is by how many rounds the weapon's count was changed for it.
CREATE TABLE armory.reckoning (
    booking     uuid    PRIMARY KEY REFERENCES armory.reservation,
    counted     integer CHECK (counted >= 0),
    issued      integer NOT NULL CHECK (issued >= 0),
    fired       integer NOT NULL CHECK (fired >= 0),
    returned    integer NOT NULL CHECK (returned >= 0),
    written_off integer NOT NULL CHECK (written_off >= 0),
    unexplained integer NOT NULL,
    adjusted    integer NOT NULL,
    weapon      uuid    NOT NULL REFERENCES armory.weapon,
    CONSTRAINT reckoning_balanced CHECK (issued = fired + returned + written_off + unexplained)
);
CREATE INDEX reckoning_unexplained ON armory.reckoning (booking) WHERE unexplained <> 0;

-- Why a booking's cartridges and its counted shots differ. Entries are only ever added.
CREATE TABLE armory.explanation (
    booking      uuid        NOT NULL REFERENCES armory.reservation,
    number       integer     NOT NULL CHECK (number > 0),
    reason       text        NOT NULL,
    rounds       integer     NOT NULL CHECK (rounds > 0),
    explained_by uuid        NOT NULL,
    explained_at timestamptz NOT NULL,
    PRIMARY KEY (booking, number)
);

-- What was scanned in the armoury against the register, and what did not agree; the ids of unknown weapons, too.
CREATE TABLE armory.stock_audit (
    audit      uuid        PRIMARY KEY,
    location   text,
    expected   integer     NOT NULL CHECK (expected >= 0),
    scanned    integer     NOT NULL CHECK (scanned >= 0),
    audited_by uuid        NOT NULL,
    audited_at timestamptz NOT NULL
);
CREATE TABLE armory.audit_finding (
    audit      uuid NOT NULL REFERENCES armory.stock_audit,
    weapon     uuid NOT NULL,
    found      text NOT NULL CHECK (found IN ('missing', 'unexpected', 'misplaced')),
    registered text NOT NULL,
    place      text,
    PRIMARY KEY (audit, weapon)
);

-- What should not have happened. In codes: words about people do not belong here.
CREATE TABLE armory.incident (
    incident    uuid        PRIMARY KEY,
    kind        text        NOT NULL,
    range       text        NOT NULL,
    lane        text,
    booking     uuid,
    weapon      uuid,
    happened_at timestamptz NOT NULL,
    reported_by uuid        NOT NULL,
    reported_at timestamptz NOT NULL
);

CREATE VIEW armory.ammunition_stock AS
    SELECT l.calibre, l.rounds, l.lot, l.expires_at, l.recalled,
           l.recalled IS NULL AND coalesce(l.expires_at > now(), true) AS issuable
    FROM armory.lot AS l;

CREATE VIEW armory.weapon_types AS
    SELECT t.weapon_type, t.weapon_class, t.calibre, t.title, t.units,
           (SELECT count(*) FROM armory.weapon AS w JOIN armory.loan AS l USING (weapon)
            WHERE w.weapon_type = t.weapon_type AND l.returned_at IS NULL) AS units_out,
           (SELECT coalesce(sum(s.rounds), 0)::bigint FROM armory.ammunition_stock AS s
            WHERE s.calibre = t.calibre AND s.issuable) AS rounds_in_stock
    FROM armory.weapon_type AS t;

-- A booking's cartridges, as they stand: what its loans say, and what the reckoning says once there is one.
CREATE VIEW armory.cartridges AS
    SELECT r.booking, r.person, r.range, l.out, l.issued, l.returned, l.misfired, l.claimed,
           k.counted, k.fired, k.written_off, k.unexplained, lower(r.during) AS starts_at
    FROM armory.reservation AS r
    JOIN LATERAL (
        SELECT bool_or(l.returned_at IS NULL) AS out, sum(l.rounds_issued) AS issued,
               coalesce(sum(l.rounds_returned), 0) AS returned, coalesce(sum(l.rounds_written_off), 0) AS misfired,
               coalesce(sum(l.rounds_fired), 0) AS claimed
        FROM armory.loan AS l WHERE l.booking = r.booking
    ) AS l ON l.issued IS NOT NULL
    LEFT JOIN armory.reckoning AS k ON k.booking = r.booking;

CREATE VIEW armory.explanations AS
    SELECT e.booking, e.number, e.reason, e.rounds, e.explained_by, e.explained_at
    FROM armory.explanation AS e;

-- Who had cartridges of a lot.
CREATE VIEW armory.issued_lots AS
    SELECT t.calibre, coalesce(l.lot, 'unnumbered') AS lot, l.weapon, l.entry, l.booking, l.holder, l.issued_at,
           l.rounds_issued, l.rounds_returned, l.rounds_fired, l.rounds_written_off
    FROM armory.loan AS l JOIN armory.weapon AS w USING (weapon) JOIN armory.weapon_type AS t USING (weapon_type)
    WHERE l.rounds_issued > 0;

CREATE VIEW armory.weapons AS
    SELECT w.weapon, w.weapon_type, t.weapon_class, t.calibre, t.title, w.serial,
           l.holder AS out_with, l.booking AS out_for, l.issued_by, l.issued_at, l.rounds_issued,
           w.quarantine, w.rounds_fired, w.rounds_since_service, t.service_after_rounds,
           w.overdue OR w.rounds_since_service >= t.service_after_rounds IS TRUE AS service_due,
           t.service_after_days, w.service_due_at, lower(w.planned) AS planned_from, upper(w.planned) AS planned_until,
           w.planned_work, w.barrel, w.barrel_rounds, w.maker, w.model, w.condition, w.owner, w.location,
           CASE WHEN w.gone IS NOT NULL THEN w.gone
                WHEN l.weapon IS NOT NULL THEN 'out'
                WHEN w.quarantine IS NOT NULL THEN 'quarantined'
                WHEN w.overdue OR w.rounds_since_service >= t.service_after_rounds THEN 'due'
                ELSE 'ready' END AS state
    FROM armory.weapon AS w
    JOIN armory.weapon_type AS t USING (weapon_type)
    LEFT JOIN armory.loan AS l ON l.weapon = w.weapon AND l.returned_at IS NULL;

CREATE VIEW armory.reservations AS
    SELECT r.booking, r.person, r.weapon_type, t.title, lower(r.during) AS starts_at, upper(r.during) AS ends_at,
           CASE WHEN NOT r.released THEN 'kept' WHEN k.closed = 'finished' THEN 'done' ELSE 'released' END AS state
    FROM armory.reservation AS r
    JOIN armory.weapon_type AS t USING (weapon_type)
    LEFT JOIN armory.known_booking AS k USING (booking);

-- Reservations that may come to nothing: at some moment of their time more are kept, for bookings and for services, than
-- there are units fit for use.
CREATE VIEW armory.reservations_beyond_stock AS
    SELECT r.booking, r.person, r.weapon_type, t.title, lower(r.during) AS starts_at, upper(r.during) AS ends_at,
           t.units, crowd.kept
    FROM armory.reservation AS r
    JOIN armory.weapon_type AS t USING (weapon_type)
    JOIN LATERAL (
        SELECT max((
            SELECT count(*) FROM armory.reservation AS o
            WHERE o.weapon_type = r.weapon_type AND NOT o.released AND o.during @> m.moment
        ) + (SELECT count(*) FROM unnest(t.away) AS a (during) WHERE a.during @> m.moment)) AS kept
        FROM (
            SELECT greatest(lower(i.during), lower(r.during)) AS moment
            FROM armory.reservation AS i
            WHERE i.weapon_type = r.weapon_type AND NOT i.released AND i.during && r.during
            UNION ALL
            SELECT greatest(lower(a.during), lower(r.during))
            FROM unnest(t.away) AS a (during) WHERE a.during && r.during
        ) AS m
    ) AS crowd ON crowd.kept > t.units
    WHERE NOT r.released AND upper(r.during) > now();

CREATE VIEW armory.services AS
    SELECT s.weapon, s.number, s.work, s.rounds_fired, s.rounds_since_service, s.serviced_by, s.serviced_at, s.barrel,
           s.barrel_rounds
    FROM armory.service AS s;

CREATE VIEW armory.lanes AS
    SELECT l.lane, l.weapon_classes FROM armory.known_lane AS l;

CREATE VIEW armory.entitlements AS
    SELECT e.person, e.weapon_class, e.during FROM armory.known_entitlement AS e;

CREATE VIEW armory.stock_audits AS
    SELECT a.audit, a.location, a.expected, a.scanned, a.audited_by, a.audited_at FROM armory.stock_audit AS a;

CREATE VIEW armory.audit_findings AS
    SELECT f.audit, f.weapon, f.found, f.registered, f.place FROM armory.audit_finding AS f;

CREATE VIEW armory.incidents AS
    SELECT i.incident, i.kind, i.range, i.lane, i.booking, i.weapon, i.happened_at, i.reported_by, i.reported_at
    FROM armory.incident AS i;

CREATE VIEW armory.handovers AS
    SELECT h.weapon, h.entry, h.kind, h.booking, h.from_person, h.to_person, h.rounds, h.at, h.corrects, h.reason,
           CASE WHEN h.corrects IS NOT NULL THEN CASE h.kind WHEN 'issue' THEN h.from_person ELSE h.to_person END END
               AS corrected_by, h.hash
    FROM armory.handover AS h;

CREATE VIEW armory.loans AS
    SELECT l.weapon, l.entry, l.booking, l.holder, l.issued_by, l.issued_at, l.rounds_issued, l.returned_at, l.taken_by,
           l.rounds_returned, l.rounds_fired
    FROM armory.loan AS l;

GRANT USAGE ON SCHEMA armory TO firingline_armory, firingline_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    armory.weapon_type, armory.weapon, armory.lot, armory.reservation, armory.known_booking, armory.loan,
    armory.known_lane, armory.known_score, armory.known_hours, armory.known_entitlement,
    armory.reckoning
TO firingline_armory;
GRANT SELECT, INSERT ON armory.handover, armory.service, armory.day_closing, armory.explanation,
    armory.stock_audit, armory.audit_finding, armory.incident
TO firingline_armory;
GRANT SELECT ON
    armory.weapon_types, armory.weapons, armory.ammunition_stock, armory.reservations, armory.handovers, armory.loans,
    armory.reservations_beyond_stock, armory.services, armory.cartridges, armory.explanations, armory.issued_lots,
    armory.lanes, armory.entitlements, armory.stock_audits, armory.audit_findings, armory.incidents
TO firingline_gateway;

-- Payment -----------------------------------------------------------------------------------------------

CREATE SCHEMA payment;

-- Every price list there was. The one published last, of whatever currency, holds.
CREATE TABLE payment.price_list (
    currency           text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    price_list_version integer NOT NULL CHECK (price_list_version > 0),
    ordinal            integer NOT NULL UNIQUE CHECK (ordinal > 0),  -- 1 for the first ever published, and so on
    tax_permille       integer NOT NULL CHECK (tax_permille BETWEEN 0 AND 1000),
    lane_hour_minor    bigint  NOT NULL CHECK (lane_hour_minor >= 0),
    weapon_minor       jsonb   NOT NULL,  -- by weapon type
    round_minor        jsonb   NOT NULL,  -- by weapon class
    PRIMARY KEY (currency, price_list_version)
);

-- The last number given in each series and year. A number is given to a document in the transaction that issues it,
-- under this row's lock, so the series has no gaps.
CREATE TABLE payment.number_series (
    series text    NOT NULL CHECK (series IN ('invoice', 'credit-note')),
    year   integer NOT NULL,
    last   integer NOT NULL CHECK (last > 0),
    PRIMARY KEY (series, year)
);

-- Invoices as they were issued; never changed. What was paid on one stands in payment.balance.
CREATE TABLE payment.invoice (
    invoice            uuid        PRIMARY KEY,
    booking            uuid        NOT NULL,
    person             uuid        NOT NULL,
    number             text        NOT NULL UNIQUE CHECK (number ~ '^\d{4}-\d{6,}$'),
    currency           text        NOT NULL,
    net_minor          bigint      NOT NULL,
    tax_minor          bigint      NOT NULL CHECK (tax_minor >= 0),
    total_minor        bigint      NOT NULL CHECK (total_minor >= 0),
    price_list_version integer     NOT NULL,
    issued_at          timestamptz NOT NULL,
    year               integer     GENERATED ALWAYS AS (split_part(number, '-', 1)::integer) STORED,
    ordinal            integer     GENERATED ALWAYS AS (split_part(number, '-', 2)::integer) STORED,
    previous           integer     GENERATED ALWAYS AS (nullif(split_part(number, '-', 2)::integer - 1, 0)) STORED,
    purpose            text        NOT NULL CHECK (purpose IN ('booking', 'cancellation-fee', 'overtime')),
    CHECK (net_minor + tax_minor = total_minor),
    UNIQUE (year, ordinal),
    FOREIGN KEY (year, previous) REFERENCES payment.invoice (year, ordinal),  -- no gap in a year's numbers
    FOREIGN KEY (currency, price_list_version) REFERENCES payment.price_list,
    UNIQUE (booking, purpose)
);
CREATE INDEX invoice_of_person ON payment.invoice (person, issued_at);

-- The lines of an invoice. Prices contain the tax: quantity times unit price is net and tax together.
CREATE TABLE payment.invoice_line (
    invoice      uuid    NOT NULL REFERENCES payment.invoice,
    line         integer NOT NULL CHECK (line > 0),
    item         text    NOT NULL,
    title        text    NOT NULL,
    quantity     integer NOT NULL CHECK (quantity >= 0),
    unit_minor   bigint  NOT NULL CHECK (unit_minor >= 0),
    net_minor    bigint  NOT NULL CHECK (net_minor >= 0),
    tax_minor    bigint  NOT NULL CHECK (tax_minor >= 0),
    tax_permille integer NOT NULL CHECK (tax_permille BETWEEN 0 AND 1000),
    PRIMARY KEY (invoice, line),
    CHECK (net_minor + tax_minor = quantity * unit_minor)
);

-- Credit notes: each takes back one whole invoice. Never changed.
CREATE TABLE payment.credit_note (
    invoice          uuid        PRIMARY KEY REFERENCES payment.invoice,
    number           text        NOT NULL UNIQUE CHECK (number ~ '^C\d{4}-\d{6,}$'),
    net_minor        bigint      NOT NULL,
    tax_minor        bigint      NOT NULL,
    total_minor      bigint      NOT NULL,
    refund_due_minor bigint      NOT NULL CHECK (refund_due_minor BETWEEN 0 AND total_minor),
    credited_at      timestamptz NOT NULL,
    year             integer     GENERATED ALWAYS AS (substr(split_part(number, '-', 1), 2)::integer) STORED,
    ordinal          integer     GENERATED ALWAYS AS (split_part(number, '-', 2)::integer) STORED,
    previous         integer     GENERATED ALWAYS AS (nullif(split_part(number, '-', 2)::integer - 1, 0)) STORED,
    CHECK (net_minor + tax_minor = total_minor),
    UNIQUE (year, ordinal),
    FOREIGN KEY (year, previous) REFERENCES payment.credit_note (year, ordinal)  -- no gap in a year's numbers
);

-- How an invoice stands; its row is locked by whoever decides on it. States: open -> settled (nothing is to be paid any
-- more) and, from both, credited (nothing is to be paid, and what was paid is due back).
CREATE TABLE payment.balance (
    invoice          uuid    PRIMARY KEY REFERENCES payment.invoice,
    total_minor      bigint  NOT NULL CHECK (total_minor >= 0),
    paid_minor       bigint  NOT NULL CHECK (paid_minor BETWEEN 0 AND total_minor),
    credited         boolean NOT NULL,
    refund_due_minor bigint  NOT NULL CHECK (refund_due_minor BETWEEN 0 AND paid_minor),  -- before refunds
    refunded_minor   bigint  NOT NULL CHECK (refunded_minor BETWEEN 0 AND refund_due_minor),
    settled_at       timestamptz CHECK (settled_at IS NULL OR paid_minor = total_minor),
    proposed_minor   bigint,  -- a large refund that waits for a second person
    proposed_by      uuid,
    CHECK (credited OR refund_due_minor = 0)
);

-- Money that changed hands at the desk: in for an invoice, and out again for a credited one.
CREATE TABLE payment.payment (
    payment      uuid        PRIMARY KEY,
    invoice      uuid        NOT NULL REFERENCES payment.invoice,
    amount_minor bigint      NOT NULL CHECK (amount_minor > 0),
    currency     text        NOT NULL,
    method       text        NOT NULL CHECK (method IN ('cash', 'card-terminal', 'transfer')),
    taken_by     uuid        NOT NULL,
    taken_at     timestamptz NOT NULL
);
CREATE INDEX payment_of_invoice ON payment.payment (invoice);

CREATE TABLE payment.refund (
    refund       uuid        PRIMARY KEY,
    invoice      uuid        NOT NULL REFERENCES payment.credit_note,
    amount_minor bigint      NOT NULL CHECK (amount_minor > 0),
    currency     text        NOT NULL,
    method       text        NOT NULL CHECK (method IN ('cash', 'card-terminal', 'transfer')),
    paid_by      uuid        NOT NULL,
    paid_at      timestamptz NOT NULL
);
CREATE INDEX refund_of_invoice ON payment.refund (invoice);

-- The ledger, in double entry. A transaction is what one document or payment (its `source`) did to the accounts; debits
-- are positive, credits negative, and together they are 0. Legs are only ever added; what was wrong is put right by a
-- transaction of the opposite sign.
CREATE TABLE payment.leg (
    source       text        NOT NULL,  -- 'invoice:…', 'credit-note:…', 'payment:…', 'refund:…'
    account      text        NOT NULL,
    currency     text        NOT NULL,
    amount_minor bigint      NOT NULL CHECK (amount_minor <> 0),
    at           timestamptz NOT NULL,
    PRIMARY KEY (source, account, currency)  -- a source is booked once
);
CREATE INDEX leg_of_account ON payment.leg (account, currency) INCLUDE (amount_minor);

-- Looks, at COMMIT, whether a transaction's legs are 0 in each currency. It reads the table of the schema it fires in.
CREATE FUNCTION payment.refuse_unbalanced() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unbalanced text;
BEGIN
    EXECUTE format('SELECT string_agg(b.currency, '', '') FROM (SELECT l.currency FROM %I.leg AS l WHERE l.source = $1 '
                   'GROUP BY l.currency HAVING sum(l.amount_minor) <> 0) AS b', TG_TABLE_SCHEMA)
    INTO unbalanced USING NEW.source;
    IF unbalanced IS NOT NULL THEN
        RAISE EXCEPTION 'the legs of % are not balanced in %', NEW.source, unbalanced USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER balanced AFTER INSERT OR UPDATE ON payment.leg DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION payment.refuse_unbalanced();

-- What booking told of a booking's end, in whatever order it came: a tombstone. Nothing is invoiced after it.
CREATE TABLE payment.known_booking (
    booking uuid PRIMARY KEY,
    closed  text NOT NULL CHECK (closed IN ('rejected', 'cancelled', 'no-show'))
);

CREATE VIEW payment.price_lists AS
    SELECT p.currency, p.price_list_version, p.ordinal, p.tax_permille, p.lane_hour_minor, p.weapon_minor, p.round_minor
    FROM payment.price_list AS p;

CREATE VIEW payment.invoices AS
    SELECT i.invoice, i.booking, i.person, i.number, i.currency, i.net_minor, i.tax_minor, i.total_minor,
           i.price_list_version, i.issued_at,
           CASE WHEN b.credited THEN 'credited' WHEN b.settled_at IS NOT NULL THEN 'settled' ELSE 'open' END AS state,
           b.paid_minor, CASE WHEN b.credited THEN 0 ELSE b.total_minor - b.paid_minor END AS open_minor,
           b.refund_due_minor - b.refunded_minor AS refund_due_minor, b.refunded_minor, b.settled_at,
           c.number AS credit_note, c.credited_at, i.purpose
    FROM payment.invoice AS i
    JOIN payment.balance AS b USING (invoice)
    LEFT JOIN payment.credit_note AS c USING (invoice);

CREATE VIEW payment.invoice_lines AS
    SELECT l.invoice, l.line, l.item, l.title, l.quantity, l.unit_minor, l.net_minor, l.tax_minor, l.tax_permille
    FROM payment.invoice_line AS l;

-- Money in (positive) and out (negative).
CREATE VIEW payment.payments AS
    SELECT p.payment AS id, p.invoice, p.amount_minor, p.currency, p.method, p.taken_by AS handled_by, p.taken_at AS at
    FROM payment.payment AS p
    UNION ALL
    SELECT r.refund, r.invoice, -r.amount_minor, r.currency, r.method, r.paid_by, r.paid_at FROM payment.refund AS r;

CREATE VIEW payment.legs AS
    SELECT l.source, l.account, l.currency, l.amount_minor, l.at FROM payment.leg AS l;

-- The trial balance: what each account comes to.
CREATE VIEW payment.accounts AS
    SELECT l.account, l.currency, coalesce(sum(l.amount_minor) FILTER (WHERE l.amount_minor > 0), 0)::bigint AS debit_minor,
           coalesce(-sum(l.amount_minor) FILTER (WHERE l.amount_minor < 0), 0)::bigint AS credit_minor,
           sum(l.amount_minor)::bigint AS balance_minor
    FROM payment.leg AS l GROUP BY l.account, l.currency;

GRANT USAGE ON SCHEMA payment TO firingline_payment, firingline_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    payment.price_list, payment.number_series, payment.balance, payment.known_booking
TO firingline_payment;
GRANT SELECT, INSERT ON
    payment.invoice, payment.invoice_line, payment.credit_note, payment.payment, payment.refund, payment.leg
TO firingline_payment;
GRANT SELECT ON
    payment.price_lists, payment.invoices, payment.invoice_lines, payment.payments, payment.legs, payment.accounts
TO firingline_gateway;

-- Stats -------------------------------------------------------------------------------------------------

CREATE SCHEMA stats;

-- What follows from the shots, and from the sessions' beginnings and ends.

-- The lanes that shots or sessions were seen on. Whoever adds shots holds a lane's row shared, whoever moves a
-- session's bounds holds it alone: otherwise each could miss what the other has not committed yet.
CREATE TABLE stats.lane (
    lane text PRIMARY KEY
);

CREATE TABLE stats.session (
    session     uuid        PRIMARY KEY,  -- the booking's id
    person      uuid        NOT NULL,
    lane        text        NOT NULL,
    discipline  text        NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,              -- none: it is being shot
    -- when a shot on the lane is this session's; endless while it is being shot
    during      tstzrange   NOT NULL GENERATED ALWAYS AS (tstzrange(started_at, finished_at)) STORED,
    CHECK (isfinite(started_at) AND isfinite(finished_at)),
    CHECK (finished_at >= started_at)
);
-- Which sessions of a lane a shot could belong to.
CREATE INDEX session_lane ON stats.session USING gist (lane, during);
CREATE INDEX session_person ON stats.session (person, started_at);

CREATE TABLE stats.shot (
    device       text        NOT NULL,
    epoch        text        NOT NULL,
    number       bigint      NOT NULL,
    lane         text        NOT NULL,
    kind         text        NOT NULL CHECK (kind IN ('sighter', 'match')),
    miss         boolean     NOT NULL,
    x_um         integer     NOT NULL,
    y_um         integer     NOT NULL,
    elapsed_ms   bigint,
    received_at  timestamptz NOT NULL,
    face         text,                    -- what the target said it shows
    session      uuid,                    -- none: no session of the lane contains it (yet)
    score_tenths smallint    CHECK (score_tenths BETWEEN 0 AND 109),  -- none: in no session, or of no known face
    inner_ten    boolean     NOT NULL,
    device_tenths    smallint CHECK (device_tenths BETWEEN 0 AND 109),  -- the device's own score, decimal and whole
    device_rings     smallint CHECK (device_rings BETWEEN 0 AND 10),
    device_inner_ten boolean,
    invalid          text,  -- why it counts nothing, wherever it hit
    given_tenths     smallint CHECK (given_tenths BETWEEN 0 AND 109),  -- the score that a person gave it
    assigned         uuid,  -- the session that a person gave it to
    PRIMARY KEY (device, epoch, number)
);
CREATE INDEX shot_session ON stats.shot (session, received_at) WHERE session IS NOT NULL;
-- Shots to look at again when a session's bounds become known after them.
CREATE INDEX shot_lane ON stats.shot (lane, received_at);
-- Shots that belong to nobody yet, to be assigned.
CREATE INDEX shot_unassigned ON stats.shot (received_at) WHERE session IS NULL;

-- What the shots of a session add up to, so that telling it costs the same however many there are.
CREATE TABLE stats.tally (
    session       uuid      PRIMARY KEY,
    shots         integer   NOT NULL CHECK (shots >= 0),     -- match shots that hit
    sighters      integer   NOT NULL CHECK (sighters >= 0),
    misses        integer   NOT NULL CHECK (misses >= 0),
    score_tenths  integer   NOT NULL,
    integer_score integer   NOT NULL,
    inner_tens    integer   NOT NULL,
    sum_x_um      bigint    NOT NULL,
    sum_y_um      bigint    NOT NULL,
    hull_x_um     integer[] NOT NULL,                        -- the corners of the shots' convex hull, in its order
    hull_y_um     integer[] NOT NULL,
    last_at       timestamptz,
    last_number   bigint,
    scored        integer   NOT NULL,                        -- hits that have a score
    rings         integer[] NOT NULL,                        -- how many hits of each ring from 0 to 10
    sum_squared_tenths bigint NOT NULL,
    sum_xx_um     numeric   NOT NULL,
    sum_xy_um     numeric   NOT NULL,
    sum_yy_um     numeric   NOT NULL,
    -- of all match shots with a score, misses among them: when they came, in whole seconds since 2000
    sum_s         numeric   NOT NULL,
    sum_ss        numeric   NOT NULL,
    sum_s_tenths  numeric   NOT NULL,
    CHECK (cardinality(hull_x_um) = cardinality(hull_y_um)),
    CHECK ((last_at IS NULL) = (last_number IS NULL))
) WITH (fillfactor = 70);

-- What was last told of each session, from stats' own events.
CREATE TABLE stats.result (
    session           uuid        PRIMARY KEY,
    final             boolean     NOT NULL,  -- false while it is being shot; a final result may be replaced by another
    shots             integer     NOT NULL,
    score_tenths      integer     NOT NULL,
    integer_score     integer     NOT NULL,
    inner_tens        integer     NOT NULL,
    mean_score        float8,
    centre_x_um       float8,
    centre_y_um       float8,
    mean_radius_um    float8,
    extreme_spread_um float8,
    sighters          integer     NOT NULL,
    misses            integer     NOT NULL,
    scored_at         timestamptz NOT NULL
) WITH (fillfactor = 70);

-- Cease fires, by lane, of booking.cease-fire-ordered and booking.fire-resumed: shots during them are marked.
CREATE TABLE stats.cease_fire (
    cease_fire uuid        NOT NULL,
    lane       text        NOT NULL,
    ordered_at timestamptz NOT NULL,
    resumed_at timestamptz,
    PRIMARY KEY (cease_fire, lane)
);
CREATE INDEX cease_fire_of_lane ON stats.cease_fire (lane, ordered_at);

-- Published: each session with how it stands, and each shot.
CREATE VIEW stats.sessions AS
    SELECT s.session, s.person, s.lane, s.discipline, s.started_at, s.finished_at, coalesce(r.final, false) AS final,
           r.shots, r.score_tenths, r.integer_score, r.inner_tens, r.mean_score, r.centre_x_um, r.centre_y_um,
           r.mean_radius_um, r.extreme_spread_um, r.sighters, r.misses, r.scored_at
    FROM stats.session AS s LEFT JOIN stats.result AS r USING (session);
CREATE VIEW stats.shots AS
    SELECT t.session, s.person, s.discipline, t.device, t.epoch, t.number, t.lane, t.kind, t.miss, t.x_um, t.y_um,
           t.elapsed_ms, t.received_at, t.score_tenths, t.inner_ten,
           EXISTS (
               SELECT FROM stats.cease_fire AS c
               WHERE c.lane = t.lane AND t.received_at >= c.ordered_at
                 AND t.received_at < coalesce(c.resumed_at, 'infinity')) AS during_cease_fire,
           t.device_tenths, t.device_rings, t.invalid,
           t.invalid IS NULL AND NOT t.miss AND t.score_tenths IS NOT NULL
               AND (t.device_tenths <> t.score_tenths OR t.device_rings <> t.score_tenths / 10) IS TRUE AS disagrees,
           t.given_tenths IS NOT NULL OR t.assigned IS NOT NULL AS corrected
    FROM stats.shot AS t LEFT JOIN stats.session AS s USING (session);

GRANT USAGE ON SCHEMA stats TO firingline_stats, firingline_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    stats.lane, stats.session, stats.shot, stats.tally, stats.result, stats.cease_fire
TO firingline_stats;
GRANT SELECT ON stats.sessions, stats.shots TO firingline_gateway;

-- Which club weapon and which lot of cartridges a session was shot with, of armory.weapon-issued; the last one issued.
CREATE TABLE stats.known_equipment (
    session   uuid        PRIMARY KEY,
    weapon    uuid        NOT NULL,
    lot       text,
    issued_at timestamptz NOT NULL
);
-- Of what type each weapon is, of armory.weapon-added.
CREATE TABLE stats.known_weapon (
    weapon      uuid PRIMARY KEY,
    weapon_type text NOT NULL
);
-- Who lets his results be compared with others', of stats.results-shared.
CREATE TABLE stats.sharing (
    person    uuid        PRIMARY KEY,
    shared_at timestamptz NOT NULL
);

-- Each session with what its match shots add up to: what is told of shooters is read from here, and costs the same
-- however many shots there were.
CREATE VIEW stats.session_sums AS
    SELECT s.session, s.person, s.lane, s.discipline, s.started_at, s.finished_at, e.weapon, w.weapon_type, e.lot,
           t.shots, t.sighters, t.misses, t.score_tenths, t.integer_score, t.inner_tens, t.sum_x_um, t.sum_y_um,
           t.scored, t.rings, t.sum_squared_tenths, t.sum_xx_um, t.sum_xy_um, t.sum_yy_um, t.sum_s, t.sum_ss,
           t.sum_s_tenths
    FROM stats.session AS s JOIN stats.tally AS t USING (session)
    LEFT JOIN stats.known_equipment AS e USING (session) LEFT JOIN stats.known_weapon AS w USING (weapon);
CREATE VIEW stats.shared_results AS
    SELECT person, shared_at FROM stats.sharing;

GRANT SELECT, INSERT, UPDATE, DELETE ON stats.known_equipment, stats.known_weapon, stats.sharing TO firingline_stats;
GRANT SELECT ON stats.session_sums, stats.shared_results TO firingline_gateway;

-- Reports that were ordered. States: ordered -> made; ordered -> failed -> ordered (a person tries it once more).
CREATE TABLE stats.report (
    report     uuid        PRIMARY KEY,
    kind       text        NOT NULL CHECK (kind IN ('session-card', 'season-report', 'club-report')),
    format     text        NOT NULL CHECK (format IN ('pdf', 'csv', 'parquet')),
    person     uuid,                   -- whom it is about; none: the club
    session    uuid,
    discipline text,
    since      timestamptz,
    until      timestamptz,
    time_zone  text        NOT NULL,
    ordered_by uuid        NOT NULL,
    ordered_at timestamptz NOT NULL,   -- or when it was to be made once more
    state      text        NOT NULL CHECK (state IN ('ordered', 'made', 'failed')),
    reason     text,                   -- why it failed
    size_bytes integer,
    sha256     text,
    made_at    timestamptz,
    expires_at timestamptz,
    CHECK ((state = 'failed') = (reason IS NOT NULL)),
    CHECK ((state = 'made') = (expires_at IS NOT NULL))
);
CREATE INDEX report_ordered ON stats.report (ordered_at) WHERE state = 'ordered';
CREATE INDEX report_ordered_by ON stats.report (ordered_by, ordered_at);

-- What is kept apart from the log, and not rebuilt from it.

-- How far the making of a report is. `begun` counts the tries since it was ordered, each before it is made.
CREATE TABLE stats.report_progress (
    report  uuid     PRIMARY KEY,
    begun   smallint NOT NULL,
    stage   text     NOT NULL,
    percent smallint NOT NULL CHECK (percent BETWEEN 0 AND 100)
);
-- The files, until they expire.
CREATE TABLE stats.report_file (
    report     uuid        PRIMARY KEY,
    content    bytea       NOT NULL,
    expires_at timestamptz NOT NULL
);
ALTER TABLE stats.report_file ALTER COLUMN content SET STORAGE EXTERNAL;  -- it is read in pieces
CREATE INDEX report_file_expires ON stats.report_file (expires_at);

CREATE VIEW stats.reports AS
    SELECT r.report, r.kind, r.format, r.person, r.session, r.discipline, r.since, r.until, r.time_zone, r.ordered_by,
           r.ordered_at, CASE WHEN r.state = 'ordered' AND p.report IS NOT NULL THEN 'making' ELSE r.state END AS state,
           p.stage, p.percent, r.reason, r.size_bytes, r.sha256, r.made_at, r.expires_at
    FROM stats.report AS r LEFT JOIN stats.report_progress AS p ON p.report = r.report AND r.state = 'ordered';
CREATE VIEW stats.report_files AS
    SELECT f.report, r.ordered_by, r.kind, r.format, r.made_at, r.sha256, f.content, f.expires_at
    FROM stats.report_file AS f JOIN stats.report AS r USING (report) WHERE r.state = 'made';

GRANT SELECT, INSERT, UPDATE, DELETE ON stats.report, stats.report_progress, stats.report_file TO firingline_stats;
GRANT SELECT ON stats.reports, stats.report_files TO firingline_gateway;

-- Tracking: what the gateways remember of the targets, so that a shot that comes twice is known again. It is no
-- service's state: the log has the shots, this says under which epoch a target's numbers stand there.
CREATE SCHEMA tracking;

-- One row a lane; whoever records shots of a lane holds it.
CREATE TABLE tracking.lane (
    lane text PRIMARY KEY
);

-- The latest epochs of each lane's targets. A target counts from 1 again in each session of its own and repeats what
-- it has stored at each connection, so what tells two epochs apart is the shots themselves.
CREATE TABLE tracking.target_epoch (
    device             text        NOT NULL,
    epoch              text        NOT NULL,
    lane               text        NOT NULL,
    ordinal            bigint      NOT NULL,  -- grows with each epoch of the lane
    named              boolean     NOT NULL,  -- the device named it; otherwise it was found out here
    zero_at            timestamptz,           -- when the target's clock stood at zero, at the latest
    highest            bigint      NOT NULL,  -- its highest number so far,
    highest_elapsed_ms bigint,                -- and what the target's clock said then
    PRIMARY KEY (device, epoch)
);
CREATE INDEX target_epoch_lane ON tracking.target_epoch (lane, ordinal);

-- What each shot of these epochs looked like.
CREATE TABLE tracking.fingerprint (
    device     text    NOT NULL,
    epoch      text    NOT NULL,
    number     bigint  NOT NULL,
    miss       boolean NOT NULL,
    x_um       integer NOT NULL,
    y_um       integer NOT NULL,
    elapsed_ms bigint,
    PRIMARY KEY (device, epoch, number),
    FOREIGN KEY (device, epoch) REFERENCES tracking.target_epoch ON DELETE CASCADE
);

-- How many entries of each segment of a gateway's journal are in the log, from its beginning. It moves in the
-- transaction that records their shots.
CREATE TABLE tracking.journal_segment (
    segment uuid   PRIMARY KEY,
    drained bigint NOT NULL CHECK (drained >= 0)
) WITH (fillfactor = 50);

GRANT USAGE ON SCHEMA tracking TO firingline_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON tracking.lane, tracking.target_epoch, tracking.fingerprint TO firingline_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON tracking.journal_segment TO firingline_gateway;

-- Time-outs and search path of each role ----------------------------------------------------------------

RESET ROLE;

-- Set for the role in the whole cluster: settings of a role in one database are not copied from a template.
DO $$
DECLARE
    service text;
BEGIN
    FOREACH service IN ARRAY ARRAY['auth', 'booking', 'armory', 'payment', 'stats', 'gateway', 'operator'] LOOP
        EXECUTE format('ALTER ROLE firingline_%s SET statement_timeout = %L', service, '10s');
        EXECUTE format('ALTER ROLE firingline_%s SET lock_timeout = %L', service, '5s');
        EXECUTE format('ALTER ROLE firingline_%s SET idle_in_transaction_session_timeout = %L', service, '10s');
        EXECUTE format('ALTER ROLE firingline_%s SET transaction_timeout = %L', service, '30s');
        EXECUTE format('ALTER ROLE firingline_%s SET search_path = %s, pg_temp', service,
            CASE WHEN service IN ('gateway', 'operator') THEN 'bus' ELSE service || ', bus' END);
    END LOOP;
END $$;

-- Analysts read at length, on few connections, with one core each, and never at the cost of the range.
ALTER ROLE firingline_analyst CONNECTION LIMIT 8;
ALTER ROLE firingline_analyst SET max_parallel_workers_per_gather = 0;
ALTER ROLE firingline_analyst SET statement_timeout = '30min';
ALTER ROLE firingline_analyst SET transaction_timeout = '1h';
ALTER ROLE firingline_analyst SET lock_timeout = '5s';
ALTER ROLE firingline_analyst SET idle_in_transaction_session_timeout = '1min';

COMMIT;
