"""`firingline verify`: the auditor. It proves from the rows themselves what the bus promises of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bus.audit import Reading, Row
from bus.connection import Connection
from bus.errors import Refusal
from bus.partitions import ALL, NONE, PARTITIONS, each
from bus.service import Service
from handlers.wiring import SERVICES
from ops import custody
from ops.database import connected
from ops.settings import Settings

SPAN: Final = 20_000  # positions looked at together
ROWS_NAMED: Final = 10  # of each kind of fault
ROWS_TOGETHER: Final = 1_000  # of progress; no more than 64 end at one place

DROPPED: Final = """
    WITH dropped AS (
        SELECT coalesce(max(to_position), -1) AS upto, coalesce(max(last_at), '-infinity') + interval '1 minute' AS at
        FROM bus.dropped WHERE topic = 'domain'
    )
"""
"""Up to where the log of domain messages was dropped, and when what went was written: an id that is not in the log
may have been there if it was given before then, with a minute for the clocks of those who give ids."""

CHECKS: Final[Mapping[str, str]] = {
    "the events of every stream are numbered 1, 2, 3 …": """
        SELECT format('%s at %s has revision %s, and is the event %s of it', n.stream, n.position, n.revision, n.nth)
        FROM (
            SELECT stream, position, revision,
                   row_number() OVER w + CASE WHEN d.upto < 0 THEN 0 ELSE first_value(revision) OVER w - 1 END AS nth
            FROM bus.outbox CROSS JOIN dropped AS d WHERE topic = 'domain' AND revision IS NOT NULL
            WINDOW w AS (PARTITION BY stream ORDER BY position)
        ) AS n
        WHERE n.revision <> n.nth LIMIT $1
    """,
    "no stream has lost its last events": """
        SELECT format('%s has %s events, and its head says %s', h.stream, coalesce(e.last, 0), h.revision)
        FROM dropped AS d CROSS JOIN bus.stream_head AS h
        LEFT JOIN (
            SELECT stream, max(revision) AS last FROM bus.outbox
            WHERE topic = 'domain' AND revision IS NOT NULL GROUP BY stream
        ) AS e USING (stream)
        WHERE CASE WHEN d.upto < 0 THEN h.revision <> coalesce(e.last, 0) ELSE h.revision <> e.last END LIMIT $1
    """,
    "every outcome was given by an event that concludes its command": """
        SELECT format('the outcome of %s is said to be at %s, where no event concludes it', u.command, u.position)
        FROM dropped AS d CROSS JOIN bus.outcome AS u
        LEFT JOIN bus.outbox AS o ON o.position = u.position AND o.topic = 'domain' AND o.concludes = u.command
        WHERE o.position IS NULL AND u.position > d.upto LIMIT $1
    """,
    "no command has a second outcome": """
        SELECT format('%s at %s concludes %s, whose outcome is at %s', o.name, o.position, o.concludes,
                      coalesce(u.position::text, 'no position'))
        FROM bus.outbox AS o LEFT JOIN bus.outcome AS u ON u.command = o.concludes
        WHERE o.topic = 'domain' AND o.concludes IS NOT NULL AND u.position IS DISTINCT FROM o.position LIMIT $1
    """,
    "every command accepted is in the log, and what was concluded was asked before": """
        SELECT format('the command %s (%s) was accepted and is not in the log', a.id, a.name)
        FROM dropped AS d CROSS JOIN bus.accepted AS a
        WHERE NOT EXISTS (SELECT FROM bus.outbox AS o WHERE o.id = a.id AND o.topic = 'domain')
          AND uuid_extract_timestamp(a.id) > d.at
        UNION ALL
        SELECT format('%s at %s concludes %s, which nobody asked before', e.name, e.position, e.concludes)
        FROM dropped AS d CROSS JOIN bus.outbox AS e
        LEFT JOIN bus.outbox AS c ON c.id = e.concludes AND c.topic = 'domain'
        WHERE e.topic = 'domain' AND e.concludes IS NOT NULL
          AND (c.position IS NULL AND uuid_extract_timestamp(e.concludes) > d.at OR c.position >= e.position)
        LIMIT $1
    """,
    "every cause is in the log, and earlier": """
        SELECT format('%s at %s was caused by %s, %s', e.name, e.position, e.cause,
                      coalesce('which is later: ' || c.position, 'which is not in the log'))
        FROM dropped AS d CROSS JOIN bus.outbox AS e LEFT JOIN bus.outbox AS c ON c.id = e.cause
        WHERE e.cause IS NOT NULL
          AND (c.position IS NULL AND uuid_extract_timestamp(e.cause) > d.at OR c.position >= e.position) LIMIT $1
    """,
    "every message has an id of its own": """
        SELECT format('the id %s stands at %s and %s', id, min(position), max(position))
        FROM bus.outbox GROUP BY id HAVING count(*) > 1 LIMIT $1
    """,
}
"""What is true, and the statement that finds what contradicts it, each in one snapshot."""


@click.command
def verify() -> None:
    """Prove from the log that every service saw every message that it hears exactly once.

    For each service: its progress has no gap and no overlap in any partition, its fences never go back, and each row
    tells of just the messages that the log has there. For the log: streams are numbered without a gap, every outcome
    and every cause exists, no command was answered twice. And every weapon's custody book is whole, as `firingline
    custody verify` says it; the first broken entry is named. It reads with the analyst's role while the range goes on;
    the exit code is 1 if anything is wrong, and each fault names its row.

    What a service hears is taken from this version's code: after a version that heard other names, the rows of its
    time are told as faults. That a table is what its events say is checked by `firingline rebuild SERVICE --verify`.
    """
    settings = Settings.from_environment()
    faults = asyncio.run(_verify(settings.dsn("analyst"), Console(stderr=True)))
    faults += _verify_custody(asyncio.run(custody.check(settings.admin_url)))
    if faults:
        raise Refusal(f"{faults} {'thing is' if faults == 1 else 'things are'} not as promised.")


def _verify_custody(found: custody.Finding) -> int:
    click.echo(f"every custody book is whole: {'NO' if found.broken else 'yes'}")
    for weapon, broken in found.broken[:ROWS_NAMED]:
        click.echo(f"WRONG: weapon {weapon}: entry {broken.entry}: {broken.why}")
    return len(found.broken)


async def _verify(dsn: str, console: Console) -> int:
    faults = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        async with connected(dsn) as connection:
            horizon: int = await connection.fetchval("SELECT bus.horizon()")
            task = bar.add_task("positions", total=horizon)
            readings = {name: await _reading(connection, make()) for name, make in SERVICES.items()}
            async for fault in read_again(connection, readings, horizon, lambda at: bar.update(task, completed=at)):
                faults += 1
                if faults <= ROWS_NAMED:
                    click.echo(f"WRONG: {fault}")
            if faults > ROWS_NAMED:
                click.echo(f"and {faults - ROWS_NAMED} more of the kind")
            for one in readings.values():
                click.echo(f"{one.consumer}: {one.messages:,} messages in {one.rows:,} rows, up to {one.cursor:,}")
            task = bar.add_task("the whole log", total=len(CHECKS))
            for claim, statement in CHECKS.items():
                rows = await connection.fetch(DROPPED + statement, ROWS_NAMED)
                click.echo(f"{claim}: {'yes' if not rows else 'NO'}")
                for row in rows:
                    click.echo(f"WRONG: {row[0]}")
                faults += len(rows)
                bar.advance(task)
    return faults


async def read_again(
    connection: Connection, readings: Mapping[str, Reading], horizon: int, tell: Callable[[int], None]
) -> AsyncIterator[str]:
    """Goes through the log once, span by span, beside the progress of all services; yields what is wrong."""
    services = {name: SERVICES[name]() for name in readings}
    for after in range(0, horizon, SPAN):
        upto = min(after + SPAN, horizon)
        for name, reading in readings.items():
            if upto <= reading.begins_at:
                continue
            rows = [Row(*row) for row in await _progress(connection, name, after, upto)]
            for fault in reading.go_on(rows, await _heard(connection, services[name], after, upto)):
                yield fault
        tell(upto)


async def _reading(connection: Connection, service: Service) -> Reading:
    """A reading that begins where the first of a service's transactions ended that touched what retention dropped."""
    since: int = await connection.fetchval(
        "SELECT coalesce(max(d.to_position), 0) FROM bus.dropped AS d WHERE d.topic = ANY ($1::bus.topic[])",
        service.topics,
    )
    begins, missing, after = [0] * PARTITIONS, ALL if since else NONE, since
    while missing:
        rows = await connection.fetch(
            f"""
            SELECT partitions, to_position FROM bus.progress WHERE consumer = $1 AND to_position >= $2
            ORDER BY to_position LIMIT {ROWS_TOGETHER}
            """,  # noqa: S608 - a constant
            service.name,
            after,
        )
        for row in rows:
            for number in each(row["partitions"] & missing):
                begins[number] = row["to_position"]
            missing &= ~row["partitions"]
        if len(rows) < ROWS_TOGETHER:
            break
        after = rows[-1]["to_position"]
    return Reading(service.name, since, begins)


async def _heard(connection: Connection, service: Service, after: int, upto: int) -> list[tuple[int, int]]:
    rows = await connection.fetch(
        """
        SELECT position, partition FROM bus.outbox
        WHERE position > $1 AND position <= $2 AND topic = ANY ($3::bus.topic[])
          AND (name = ANY ($4::text[]) OR revision IS NULL AND topic = 'domain' AND starts_with(name, $5::text || '.'))
        ORDER BY position
        """,
        after,
        upto,
        service.topics,
        service.catalogue.names,
        service.own,
    )
    return [(row["position"], row["partition"]) for row in rows]


async def _progress(connection: Connection, consumer: str, after: int, upto: int) -> list[tuple[int, ...]]:
    rows = await connection.fetch(
        """
        SELECT partitions, from_position, to_position, count, digest, fence FROM bus.progress
        WHERE consumer = $1 AND to_position > $2 AND to_position <= $3
        ORDER BY to_position, from_position
        """,
        consumer,
        after,
        upto,
    )
    return [tuple(row) for row in rows]
