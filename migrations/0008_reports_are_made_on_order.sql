-- Reports that stats makes on order, and their files.

BEGIN;

SET LOCAL ROLE firingline_owner;

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

COMMIT;
