"""14, 17 and 18: every command ends once, streams count without a gap, consumers see everything once."""

from __future__ import annotations

from collections.abc import Sequence

from asyncpg import Record

from bus.connection import Connection
from bus.message import Event
from bus.service import Service
from handlers.wiring import SERVICES
from simulation.invariants.evidence import Evidence


async def commands_not_ended_once(connection: Connection, evidence: Evidence) -> Sequence[Record]:
    """Commands that a client was told were accepted, or that the gateway wrote down so, and how often each ended."""
    return await connection.fetch(
        """
        WITH accepted AS (
            SELECT c.id, true AS told FROM unnest($1::uuid[]) AS c (id)
            UNION ALL SELECT a.id, false FROM bus.accepted AS a
        ), answers AS (
            SELECT o.concludes, count(*) AS number FROM bus.outbox AS o
            WHERE o.topic = 'domain' AND o.concludes IS NOT NULL GROUP BY o.concludes
        )
        SELECT c.id, bool_or(c.told) AS told_a_client, min(m.name) AS name, count(DISTINCT m.position) AS in_the_log,
               count(DISTINCT e.position) AS outcomes, coalesce(min(n.number), 0) AS answers
        FROM accepted AS c
        LEFT JOIN bus.outbox AS m ON m.topic = 'domain' AND m.id = c.id
        LEFT JOIN bus.outcome AS e ON e.command = c.id
        LEFT JOIN answers AS n ON n.concludes = c.id
        GROUP BY c.id
        HAVING count(DISTINCT m.position) <> 1 OR count(DISTINCT e.position) <> 1 OR coalesce(min(n.number), 0) <> 1
        LIMIT 20
        """,
        evidence.commands,
    )


async def outcomes_without_their_event(connection: Connection, _: Evidence) -> Sequence[Record]:
    """Outcomes that name a position where no event concludes the command."""
    return await connection.fetch(
        """
        SELECT e.command, e.status, e.position, o.name
        FROM bus.outcome AS e LEFT JOIN bus.outbox AS o ON o.topic = 'domain' AND o.position = e.position
        WHERE o.concludes IS DISTINCT FROM e.command
        LIMIT 20
        """
    )


async def streams_that_do_not_count(connection: Connection, _: Evidence) -> Sequence[Record]:
    """Events whose revision is not their place in their stream, counted from 1 in the log's order."""
    events = [event.name for make in SERVICES.values() for event in _said(make())]
    return await connection.fetch(
        """
        SELECT n.stream, n.position, n.name, n.revision, n.place
        FROM (
            SELECT o.stream, o.position, o.name, o.revision,
                   row_number() OVER (PARTITION BY o.stream ORDER BY o.position) AS place
            FROM bus.outbox AS o
            WHERE o.topic = 'domain' AND (o.revision IS NOT NULL OR o.name = ANY ($1))
        ) AS n
        WHERE n.revision IS DISTINCT FROM n.place
        LIMIT 20
        """,
        events,
    )


def _said(service: Service) -> list[type[Event]]:
    return [*service.says, service.rejected_as, service.failed_as]


async def cursors_that_jumped(connection: Connection, _: Evidence) -> Sequence[Record]:
    """Progress that does not begin where the same partition's last ended, from 0 on."""
    return await connection.fetch(
        """
        SELECT p.consumer, p.from_position, p.to_position, p.ended, array_agg(p.partition) AS partitions
        FROM (
            SELECT q.consumer, n.partition, q.from_position, q.to_position,
                   lag(q.to_position, 1, 0::bigint) OVER (
                       PARTITION BY q.consumer, n.partition ORDER BY q.to_position) AS ended
            FROM bus.progress AS q JOIN generate_series(0, 63) AS n (partition) ON q.partitions >> n.partition & 1 = 1
        ) AS p
        WHERE p.from_position <> p.ended
        GROUP BY p.consumer, p.from_position, p.to_position, p.ended
        LIMIT 20
        """
    )


async def batches_that_missed_something(connection: Connection, _: Evidence) -> Sequence[Record]:
    """Progress whose count or digest is not that of what the consumer listens to between its two positions.

    The digest is the xor of the positions, each times 2^64 divided by the golden ratio, modulo 2^63.
    """
    services = [make() for make in SERVICES.values()]
    return await connection.fetch(
        """
        WITH heard AS (
            SELECT b.consumer, b.partitions, b.to_position, count(*) AS there,
                   bit_xor(mod(o.position * 11400714819323198485, 9223372036854775808)::bigint) AS hashed
            FROM unnest($1::text[], $2::text[]) AS h (consumer, name)
            JOIN bus.outbox AS o ON o.name = h.name
            CROSS JOIN LATERAL (
                SELECT p.consumer, p.partitions, p.from_position, p.to_position FROM bus.progress AS p
                WHERE p.consumer = h.consumer AND p.to_position >= o.position AND p.partitions >> o.partition & 1 = 1
                ORDER BY p.to_position LIMIT 1) AS b
            WHERE o.position > b.from_position
            GROUP BY b.consumer, b.partitions, b.to_position
        ), found AS (
            SELECT p.consumer, p.from_position, p.to_position, p.count, coalesce(h.there, 0) AS there, p.digest,
                   coalesce(h.hashed, 0) AS hashed
            FROM bus.progress AS p
            LEFT JOIN heard AS h
                ON h.consumer = p.consumer AND h.partitions = p.partitions AND h.to_position = p.to_position
        )
        SELECT f.consumer, f.from_position, f.to_position, f.count, f.there, f.digest, f.hashed
        FROM found AS f WHERE f.count <> f.there OR f.digest <> f.hashed
        LIMIT 20
        """,
        [service.name for service in services for _ in service.catalogue.names],
        [name for service in services for name in service.catalogue.names],
    )


async def consumers_left_behind(connection: Connection, _: Evidence) -> Sequence[Record]:
    """Messages that a consumer listens to and has not come to, or has put aside."""
    services = [make() for make in SERVICES.values()]
    return await connection.fetch(
        """
        WITH reading AS MATERIALIZED (
            SELECT c.consumer, bus.cursors_of(c.consumer) AS cursors
            FROM (SELECT DISTINCT u.consumer FROM unnest($1::text[]) AS u (consumer)) AS c
        )
        SELECT h.consumer, o.position, o.name, o.stream
        FROM unnest($1::text[], $2::text[]) AS h (consumer, name)
        JOIN reading AS r ON r.consumer = h.consumer
        JOIN bus.outbox AS o ON o.name = h.name
        WHERE o.position > r.cursors[o.partition + 1]
        UNION ALL
        SELECT w.consumer, w.head, 'parked: ' || w.cause, w.stream FROM bus.parked AS w
        UNION ALL
        SELECT d.consumer, d.position, 'dead: ' || d.name || ': ' || d.cause, d.stream FROM bus.dead_letter AS d
        LIMIT 20
        """,
        [service.name for service in services for _ in service.catalogue.names],
        [name for service in services for name in service.catalogue.names],
    )
