-- Stock audits and incidents.
SET ROLE firingline_owner;

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

CREATE VIEW armory.stock_audits AS
    SELECT a.audit, a.location, a.expected, a.scanned, a.audited_by, a.audited_at FROM armory.stock_audit AS a;

CREATE VIEW armory.audit_findings AS
    SELECT f.audit, f.weapon, f.found, f.registered, f.place FROM armory.audit_finding AS f;

CREATE VIEW armory.incidents AS
    SELECT i.incident, i.kind, i.range, i.lane, i.booking, i.weapon, i.happened_at, i.reported_by, i.reported_at
    FROM armory.incident AS i;

GRANT SELECT, INSERT ON armory.stock_audit, armory.audit_finding, armory.incident TO firingline_armory;
GRANT SELECT ON armory.stock_audits, armory.audit_findings, armory.incidents TO firingline_gateway;
