-- Analysts read within limits of their own.

BEGIN;

-- Analysts read at length, on few connections, with one core each, and never at the cost of the range.
ALTER ROLE firingline_analyst CONNECTION LIMIT 8;
ALTER ROLE firingline_analyst SET max_parallel_workers_per_gather = 0;
ALTER ROLE firingline_analyst SET statement_timeout = '30min';
ALTER ROLE firingline_analyst SET transaction_timeout = '1h';
ALTER ROLE firingline_analyst SET lock_timeout = '5s';
ALTER ROLE firingline_analyst SET idle_in_transaction_session_timeout = '1min';

COMMIT;
