-- Gateways keep every frame in a journal of their own first; the log's database says how far each is drained.
SET ROLE firingline_owner;

CREATE TABLE tracking.journal_segment (
    segment uuid   PRIMARY KEY,
    drained bigint NOT NULL CHECK (drained >= 0)
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE, DELETE ON tracking.journal_segment TO firingline_gateway;

RESET ROLE;
