-- A waiting list: who is next in line is offered a lane that comes free.
SET ROLE firingline_owner;

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

GRANT SELECT, INSERT, UPDATE, DELETE ON booking.waitlist_entry TO firingline_booking;

CREATE VIEW booking.waitlist AS
SELECT w.entry, w.person, w.range, w.discipline, w.lane, w.starts_at, w.ends_at, w.weapon_class, w.weapon_type, w.rounds,
       w.joined_at, w.state, w.offered_lane, w.offered_taken, w.offered_until, w.booking
FROM booking.waitlist_entry AS w;

GRANT SELECT ON booking.waitlist TO firingline_gateway;

RESET ROLE;
