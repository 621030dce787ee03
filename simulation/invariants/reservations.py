"""1, 2 and 3: nothing is reserved twice, nothing by halves, nothing for ever."""

from __future__ import annotations

from collections.abc import Sequence

from asyncpg import Record

from bus.connection import Connection
from simulation.invariants.evidence import Evidence


async def active_bookings_overlap(connection: Connection, _: Evidence) -> Sequence[Record]:
    """Two active bookings of a lane or a shooter, as the tables stand."""
    return await connection.fetch(
        """
        SELECT a.booking, b.booking AS other, a.lane, b.lane AS other_lane, a.person, a.during, b.during AS other_during
        FROM booking.booking AS a
        JOIN booking.booking AS b ON b.booking > a.booking AND (b.lane = a.lane OR b.person = a.person)
        WHERE a.state IN ('held', 'confirmed', 'checked-in', 'in-use')
          AND b.state IN ('held', 'confirmed', 'checked-in', 'in-use') AND a.during && b.during
        LIMIT 20
        """
    )


async def holds_overlapped(connection: Connection, _: Evidence) -> Sequence[Record]:
    """The same at any time before, by the log: held times that meet, both kept at one position."""
    return await connection.fetch(
        """
        WITH kept AS (
            SELECT o.body ->> 'booking' AS booking, o.body #>> '{terms,lane}' AS lane,
                   o.body #>> '{terms,person}' AS person,
                   tstzrange((o.body #>> '{terms,starts_at}')::timestamptz, (o.body #>> '{terms,ends_at}')::timestamptz)
                       AS during,
                   int8range(o.position, (
                       SELECT min(c.position) FROM bus.outbox AS c
                       WHERE c.topic = 'domain' AND c.stream = o.stream AND c.position > o.position AND c.name IN (
                           'booking.booking-rejected', 'booking.booking-cancelled', 'booking.no-show-released',
                           'booking.session-finished'))) AS positions
            FROM bus.outbox AS o
            WHERE o.topic = 'domain' AND o.name = 'booking.lane-held'
        )
        SELECT a.booking, b.booking AS other, a.lane, b.lane AS other_lane, a.person, a.during, b.during AS other_during
        FROM kept AS a JOIN kept AS b ON b.booking > a.booking AND (b.lane = a.lane OR b.person = a.person)
        WHERE a.during && b.during AND a.positions && b.positions
        LIMIT 20
        """
    )


async def sessions_overlapped(connection: Connection, _: Evidence) -> Sequence[Record]:
    """Two sessions on a lane, or of a shooter, in use at one position of the log."""
    return await connection.fetch(
        """
        WITH used AS (
            SELECT o.body ->> 'booking' AS booking, o.body ->> 'lane' AS lane, o.body ->> 'person' AS person,
                   int8range(o.position, (
                       SELECT min(c.position) FROM bus.outbox AS c
                       WHERE c.topic = 'domain' AND c.stream = o.stream AND c.position > o.position
                         AND c.name = 'booking.session-finished')) AS positions
            FROM bus.outbox AS o
            WHERE o.topic = 'domain' AND o.name = 'booking.session-started'
        )
        SELECT a.booking, b.booking AS other, a.lane, b.lane AS other_lane, a.person, a.positions,
               b.positions AS other_positions
        FROM used AS a JOIN used AS b ON b.booking > a.booking AND (b.lane = a.lane OR b.person = a.person)
        WHERE a.positions && b.positions
        LIMIT 20
        """
    )


async def weapons_were_in_two_hands(connection: Connection, _: Evidence) -> Sequence[Record]:
    """A weapon issued again before it was returned, by the log."""
    return await connection.fetch(
        """
        WITH out AS (
            SELECT o.body ->> 'weapon' AS weapon, o.body ->> 'booking' AS booking, o.position,
                   int8range(o.position, (
                       SELECT min(c.position) FROM bus.outbox AS c
                       WHERE c.topic = 'domain' AND c.stream = o.stream AND c.position > o.position
                         AND c.name = 'armory.weapon-returned' AND c.body ->> 'booking' = o.body ->> 'booking'))
                       AS positions
            FROM bus.outbox AS o
            WHERE o.topic = 'domain' AND o.name = 'armory.weapon-issued'
        )
        SELECT a.weapon, a.booking, b.booking AS other, a.positions, b.positions AS other_positions
        FROM out AS a JOIN out AS b ON b.weapon = a.weapon AND b.position > a.position
        WHERE a.positions && b.positions
        LIMIT 20
        """
    )


async def loans_overlap(connection: Connection, _: Evidence) -> Sequence[Record]:
    """A weapon with two holders at a time, by the armory's table."""
    return await connection.fetch(
        """
        SELECT a.weapon, a.booking, b.booking AS other, a.issued_at, a.returned_at, b.issued_at AS other_issued_at
        FROM armory.loan AS a JOIN armory.loan AS b ON b.weapon = a.weapon AND b.entry > a.entry
        WHERE tstzrange(a.issued_at, a.returned_at) && tstzrange(b.issued_at, b.returned_at)
        LIMIT 20
        """
    )


async def more_weapons_kept_than_there_are(connection: Connection, _: Evidence) -> Sequence[Record]:
    """At a reservation's position in the log, some moment at which more of its type are kept than the club has."""
    return await connection.fetch(
        """
        WITH kept AS (
            SELECT o.body ->> 'booking' AS booking, o.body #>> '{terms,weapon_type}' AS weapon_type, o.position,
                   tstzrange((o.body #>> '{terms,starts_at}')::timestamptz, (o.body #>> '{terms,ends_at}')::timestamptz)
                       AS during,
                   int8range(o.position, (
                       SELECT min(c.position) FROM bus.outbox AS c
                       WHERE c.topic = 'domain' AND c.stream = o.stream AND c.position > o.position
                         AND c.name = 'armory.reservation-released')) AS positions
            FROM bus.outbox AS o
            WHERE o.topic = 'domain' AND o.name = 'armory.weapon-reserved'
        )
        SELECT last.booking, last.weapon_type, lower(one.during) AS at, count(*) AS kept,
               (SELECT count(*) FROM armory.weapon AS w WHERE w.weapon_type = last.weapon_type) AS units
        FROM kept AS last
        JOIN kept AS one ON one.weapon_type = last.weapon_type AND one.positions @> last.position
        JOIN kept AS each ON each.weapon_type = last.weapon_type AND each.positions @> last.position
                         AND each.during @> lower(one.during)
        GROUP BY last.booking, last.weapon_type, one.booking, one.during
        HAVING count(*) > (SELECT count(*) FROM armory.weapon AS w WHERE w.weapon_type = last.weapon_type)
        LIMIT 20
        """
    )


async def granted_by_halves(connection: Connection, _: Evidence) -> Sequence[Record]:
    """A booking that was granted and lacks its licence check, its weapon or its invoice."""
    return await connection.fetch(
        """
        SELECT b.booking, b.state, b.weapon_type, r.weapon_type AS reserved, r.released, i.invoice, s.credited,
               l.position IS NOT NULL AS licence_validated
        FROM booking.booking AS b
        LEFT JOIN armory.reservation AS r ON r.booking = b.booking
        LEFT JOIN payment.invoice AS i ON i.booking = b.booking
        LEFT JOIN payment.balance AS s ON s.invoice = i.invoice
        LEFT JOIN bus.outbox AS l ON l.topic = 'domain' AND l.stream = 'licence-check:' || b.booking
                                 AND l.name = 'auth.licence-validated'
        WHERE b.state IN ('confirmed', 'checked-in', 'in-use', 'finished', 'no-show')
          AND (l.position IS NULL OR i.invoice IS NULL OR s.credited OR i.person <> b.person
               OR r.weapon_type IS DISTINCT FROM b.weapon_type
               OR r.booking IS NOT NULL AND (  -- a weapon handed out early is kept from then on
                   r.person <> b.person OR upper(r.during) <> b.ends_at OR lower(r.during) > b.starts_at)
               OR r.released AND b.state IN ('confirmed', 'checked-in', 'in-use'))
        LIMIT 20
        """
    )


async def kept_for_nothing(connection: Connection, _: Evidence) -> Sequence[Record]:
    """A weapon, a claim for money or a loan that is left of a booking that has ended or never was."""
    return await connection.fetch(
        """
        SELECT 'weapon reserved' AS kept, r.booking, b.state
        FROM armory.reservation AS r LEFT JOIN booking.booking AS b ON b.booking = r.booking
        WHERE NOT r.released AND coalesce(b.state, '') NOT IN ('held', 'confirmed', 'checked-in', 'in-use')
        UNION ALL
        SELECT 'invoice stands', i.booking, b.state
        FROM payment.invoice AS i
        JOIN payment.balance AS s ON s.invoice = i.invoice
        LEFT JOIN booking.booking AS b ON b.booking = i.booking
        WHERE NOT s.credited AND coalesce(b.state, 'rejected') IN ('rejected', 'cancelled')
        UNION ALL
        SELECT 'weapon out', l.booking, b.state
        FROM armory.loan AS l LEFT JOIN booking.booking AS b ON b.booking = l.booking
        WHERE l.returned_at IS NULL AND coalesce(b.state, '') NOT IN ('checked-in', 'in-use')
        LIMIT 20
        """
    )


async def holds_too_old(connection: Connection, _: Evidence) -> Sequence[Record]:
    """A hold that is still there, or was answered, more than a sweep of five seconds after its deadline."""
    return await connection.fetch(
        """
        SELECT b.booking, b.state, b.held_until, a.name AS answered_by, a.at AS answered_at
        FROM booking.booking AS b
        LEFT JOIN LATERAL (
            SELECT o.name, o.at FROM bus.outbox AS o
            WHERE o.topic = 'domain' AND o.stream = 'booking:' || b.booking AND o.name IN (
                'booking.booking-confirmed', 'booking.booking-rejected', 'booking.booking-cancelled')
            ORDER BY o.position LIMIT 1) AS a ON true
        WHERE b.held_until + interval '5 seconds' < coalesce(a.at, clock_timestamp())
        LIMIT 20
        """
    )
