-- The log has a retention: old spans are dropped once nobody needs them, and keys are forgotten.

BEGIN;

SET ROLE firingline_owner;

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
-- dead letter that may be requeued. `consumers` are those that ought to exist; whoever ever held a consumer's lease
-- counts besides.
CREATE FUNCTION bus.log_needed_from(consumers text[]) RETURNS TABLE ("position" bigint, holder text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
    SELECT n.position, n.holder
    FROM (
        SELECT bus.cursor_of(c.consumer) + 1 AS position, format('%s has not passed it', c.consumer) AS holder
        FROM (
            SELECT unnest(consumers)
            UNION SELECT split_part(l.name, ':', 2) FROM bus.lease AS l WHERE l.name LIKE 'consumer:%'
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

RESET ROLE;

COMMIT;
