-- Many workers share a consumer's partitions: a row and a fence each, and a cursor for every partition.

BEGIN;

SET ROLE firingline_owner;

DROP FUNCTION bus.read(bigint, bus.topic[], text[], integer);
DROP FUNCTION bus.advance(text, bigint, bigint, bigint, integer, bigint);
-- Consumers' leases: from now on there are workers.
DELETE FROM bus.lease WHERE name LIKE 'consumer:%';

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

-- The lowest position that somebody still needs, and who: a consumer that has not passed it, a parked stream's head, a
-- dead letter that may be requeued. `consumers` are those that ought to exist; whoever ever had a
-- worker counts besides.
CREATE OR REPLACE FUNCTION bus.log_needed_from(consumers text[]) RETURNS TABLE ("position" bigint, holder text)
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
CREATE OR REPLACE FUNCTION bus.cursor_of(consumer text) RETURNS bigint
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

GRANT SELECT ON bus.consumer, bus.worker TO
    firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats,
    firingline_gateway, firingline_analyst, firingline_operator;
GRANT EXECUTE ON FUNCTION
    bus.cursors_of(text), bus.is_past(text, bigint), bus.at_work(text),
    bus.read(bigint, bus.topic[], text[], integer, bigint, bigint, text)
TO firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats,
   firingline_gateway, firingline_analyst, firingline_operator;
GRANT EXECUTE ON FUNCTION
    bus.is_in(text, bigint), bus.enter(text, uuid, text, integer, bus.topic[], text[], interval),
    bus.heartbeat(text, uuid, interval), bus.balance(text, bigint, bigint), bus.leave(text, bigint, bigint),
    bus.check_share(text, bigint, bigint), bus.advance(text, bigint, bigint, bigint, bigint, integer, bigint)
TO firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats;

RESET ROLE;

COMMIT;
