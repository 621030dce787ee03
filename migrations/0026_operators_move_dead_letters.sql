-- Operators see and move dead letters and waiting streams through the gateway.

BEGIN;

SET ROLE firingline_owner;

-- Operators see and move what could not be handled through the gateway, by these columns and no others.
CREATE POLICY shown ON bus.dead_letter FOR SELECT TO firingline_gateway USING (true);
CREATE POLICY shown ON bus.parked FOR SELECT TO firingline_gateway USING (true);
CREATE POLICY moved ON bus.dead_letter FOR UPDATE TO firingline_gateway USING (true);
CREATE POLICY moved ON bus.parked FOR UPDATE TO firingline_gateway USING (true);

GRANT SELECT ON bus.dead_letter, bus.parked TO firingline_gateway;
GRANT UPDATE (state) ON bus.dead_letter TO firingline_gateway;
GRANT UPDATE (held, attempts, retry_at, give_up) ON bus.parked TO firingline_gateway;

RESET ROLE;

COMMIT;
