-- A story's messages are handled by one worker of a consumer at a time.

BEGIN;

GRANT EXECUTE ON FUNCTION pg_advisory_xact_lock(int, int) TO firingline_owner;

SET ROLE firingline_owner;

-- Keeps other workers of a consumer away from some stories until COMMIT. A story's messages lie in several streams, and
-- so in several workers' partitions; decisions about one of them look at what the others have left behind.
CREATE FUNCTION bus.hold_stories(consumer text, correlations uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = bus, pg_temp AS $$
BEGIN
    PERFORM bus.check_consumer(consumer);
    PERFORM pg_advisory_xact_lock(hashtext(hold_stories.consumer), s.key)
    FROM (SELECT DISTINCT hashtext(u.correlation::text) AS key FROM unnest(correlations) AS u (correlation) ORDER BY 1) AS s;
END $$;

GRANT EXECUTE ON FUNCTION bus.hold_stories(text, uuid[]) TO
    firingline_auth, firingline_booking, firingline_armory, firingline_payment, firingline_stats;

RESET ROLE;

COMMIT;
