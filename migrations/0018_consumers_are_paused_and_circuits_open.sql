-- Consumers, handlers and streams are paused by hand; how the circuits of handlers stand is told.

BEGIN;

SET ROLE firingline_owner;

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

GRANT SELECT, INSERT, UPDATE, DELETE ON bus.pause, bus.circuit TO
    firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats;
GRANT SELECT ON bus.pause, bus.circuit TO firingline_gateway, firingline_analyst, firingline_operator;

RESET ROLE;

COMMIT;
