-- Ammunition by calibre and lot; what a booking's cartridges come to against the shots that were counted.
SET ROLE firingline_owner;

CREATE TABLE armory.lot (
    calibre    text        NOT NULL,
    lot        text        NOT NULL,
    rounds     bigint      NOT NULL CHECK (rounds >= 0),
    expires_at timestamptz,
    recalled   text,
    PRIMARY KEY (calibre, lot)
);
INSERT INTO armory.lot (calibre, lot, rounds) SELECT calibre, 'unnumbered', rounds FROM armory.ammunition;

ALTER TABLE armory.handover ADD COLUMN lot text;
ALTER TABLE armory.loan
    ADD COLUMN lot text,
    ADD COLUMN rounds_written_off integer CHECK (rounds_written_off >= 0),
    DROP CONSTRAINT loan_check1,
    DROP CONSTRAINT loan_check2;
UPDATE armory.loan SET rounds_written_off = 0 WHERE returned_at IS NOT NULL;
ALTER TABLE armory.loan
    ADD CONSTRAINT loan_whole
        CHECK (num_nulls(returned_at, taken_by, rounds_returned, rounds_fired, rounds_written_off) IN (0, 5)),
    ADD CONSTRAINT loan_balanced CHECK (rounds_issued = rounds_returned + rounds_fired + rounds_written_off);
CREATE INDEX loan_of_booking ON armory.loan (booking);
CREATE INDEX loan_of_lot ON armory.loan (lot);

CREATE TABLE armory.known_lane (
    lane       text    PRIMARY KEY,
    has_target boolean NOT NULL
);
CREATE TABLE armory.known_score (
    booking uuid    PRIMARY KEY,
    lane    text    NOT NULL,
    shots   integer NOT NULL CHECK (shots >= 0)
);
-- What was told before armory listened.
INSERT INTO armory.known_lane (lane, has_target) SELECT lane, target_address IS NOT NULL FROM booking.lane;
INSERT INTO armory.known_score (booking, lane, shots)
SELECT DISTINCT ON (stream) (body ->> 'session')::uuid, body ->> 'lane',
       (body -> 'group' ->> 'shots')::int + (body ->> 'sighters')::int + (body ->> 'misses')::int
FROM bus.outbox WHERE topic = 'domain' AND name = 'stats.session-scored' ORDER BY stream, position DESC;

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

CREATE TABLE armory.explanation (
    booking      uuid        NOT NULL REFERENCES armory.reservation,
    number       integer     NOT NULL CHECK (number > 0),
    reason       text        NOT NULL,
    rounds       integer     NOT NULL CHECK (rounds > 0),
    explained_by uuid        NOT NULL,
    explained_at timestamptz NOT NULL,
    PRIMARY KEY (booking, number)
);

CREATE OR REPLACE VIEW armory.ammunition_stock AS
    SELECT l.calibre, l.rounds, l.lot, l.expires_at, l.recalled,
           l.recalled IS NULL AND coalesce(l.expires_at > now(), true) AS issuable
    FROM armory.lot AS l;

CREATE OR REPLACE VIEW armory.weapon_types AS
    SELECT t.weapon_type, t.weapon_class, t.calibre, t.title, t.units,
           (SELECT count(*) FROM armory.weapon AS w JOIN armory.loan AS l USING (weapon)
            WHERE w.weapon_type = t.weapon_type AND l.returned_at IS NULL) AS units_out,
           (SELECT coalesce(sum(s.rounds), 0)::bigint FROM armory.ammunition_stock AS s
            WHERE s.calibre = t.calibre AND s.issuable) AS rounds_in_stock
    FROM armory.weapon_type AS t;

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

CREATE VIEW armory.issued_lots AS
    SELECT t.calibre, coalesce(l.lot, 'unnumbered') AS lot, l.weapon, l.entry, l.booking, l.holder, l.issued_at,
           l.rounds_issued, l.rounds_returned, l.rounds_fired, l.rounds_written_off
    FROM armory.loan AS l JOIN armory.weapon AS w USING (weapon) JOIN armory.weapon_type AS t USING (weapon_type)
    WHERE l.rounds_issued > 0;

DROP TABLE armory.ammunition;

GRANT SELECT, INSERT, UPDATE, DELETE ON armory.lot, armory.known_lane, armory.known_score, armory.reckoning
TO firingline_armory;
GRANT SELECT, INSERT ON armory.explanation TO firingline_armory;
GRANT SELECT ON armory.cartridges, armory.explanations, armory.issued_lots TO firingline_gateway;
