-- The weapon register in full; who may shoot what, as the counter checks it.
SET ROLE firingline_owner;

ALTER TABLE armory.weapon
    ADD COLUMN maker text,
    ADD COLUMN model text,
    ADD COLUMN condition text NOT NULL DEFAULT 'good',
    ADD COLUMN owner uuid,
    ADD COLUMN location text,
    ADD COLUMN gone text CHECK (gone IN ('lost', 'retired'));
ALTER TABLE armory.weapon ALTER COLUMN condition DROP DEFAULT;

ALTER TABLE armory.known_lane ADD COLUMN weapon_classes text[] NOT NULL DEFAULT '{}';
ALTER TABLE armory.known_lane ALTER COLUMN weapon_classes DROP DEFAULT;

CREATE TABLE armory.known_entitlement (
    person       uuid      NOT NULL,
    weapon_class text      NOT NULL,
    during       tstzrange NOT NULL CHECK (NOT isempty(during)),
    PRIMARY KEY (person, weapon_class, during)
);

-- What was told before armory listened.
UPDATE armory.known_lane AS k SET weapon_classes = l.weapon_classes FROM booking.lane AS l WHERE l.lane = k.lane;
INSERT INTO armory.known_entitlement (person, weapon_class, during)
SELECT person, weapon_class, during FROM booking.known_entitlement;

CREATE OR REPLACE VIEW armory.weapons AS
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

CREATE VIEW armory.lanes AS
    SELECT l.lane, l.weapon_classes FROM armory.known_lane AS l;

CREATE VIEW armory.entitlements AS
    SELECT e.person, e.weapon_class, e.during FROM armory.known_entitlement AS e;

GRANT SELECT, INSERT, UPDATE, DELETE ON armory.known_entitlement TO firingline_armory;
GRANT SELECT ON armory.lanes, armory.entitlements TO firingline_gateway;
