"""Dead letters that a person has put back: each is tried once more, when its stream is not parked before it."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

import structlog

from bus import parking
from bus.connection import Connection
from bus.desk import Desk
from bus.message import Envelope
from bus.reading import MESSAGE_COLUMNS
from bus.redoing import redoing
from bus.trust import Trust

LOOK_EVERY_S: Final = 1.0
AT_ONCE: Final = 100

log = structlog.get_logger(__name__)


class Requeued:
    """What has been put back for one consumer. It runs after later messages of its stream that were done meanwhile."""

    def __init__(self, desk: Desk, trust: Trust) -> None:
        self._desk = desk
        self._trust = trust
        self._look_at = 0.0  # on the monotonic clock

    def look_due(self) -> bool:
        """Whether it is time to see what a person has done; nothing rings for that."""
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_EVERY_S
        return True

    async def retry(self) -> None:
        desk = self._desk
        for envelope in await _waiting(desk.connection, desk.consumer, desk.membership.partitions):
            if desk.admission.blocked(envelope) is not None:
                continue
            # Counted, and dead again, before the try: a message that kills its process does so once a requeue.
            async with desk.under_share():
                if not await _begin(desk.connection, desk.consumer, envelope.position):
                    continue
            try:
                await redoing(partial(self._try, envelope))
            except Exception as error:
                if desk.ends_the_turn(error):
                    raise
                async with desk.under_share():
                    await _failed_again(desk.connection, desk.consumer, envelope.position, error)
                log.warning("requeued.failed-again", position=envelope.position, error=repr(error))

    async def _try(self, envelope: Envelope) -> None:
        desk = self._desk
        await self._trust.must_be_entitled(desk.connection, [envelope])
        received = desk.catalogue.read(envelope)
        at = await desk.connection.fetchval("SELECT clock_timestamp()")
        answers = await desk.admission.ask([received], at)
        async with desk.connection.transaction():
            said = await desk.handle([received], at, answers)
            await _done(desk.connection, desk.consumer, envelope.position)
            await desk.check_share()
            await desk.outbox.append(desk.connection, said)
        log.info("requeued.done", position=envelope.position, name=envelope.name)
        if said:
            desk.ring()


async def _waiting(connection: Connection, consumer: str, partitions: int) -> list[Envelope]:
    """What was put back in these partitions, but for what waits in a parked stream: that would be drained with it."""
    rows = await connection.fetch(
        f"""
        SELECT {MESSAGE_COLUMNS} FROM bus.outbox
        WHERE position = ANY (ARRAY(
            SELECT d.position FROM bus.dead_letter AS d
            WHERE d.consumer = $1 AND d.state = 'requeued' AND bus.is_in(d.stream, $2) AND NOT EXISTS (
                SELECT FROM bus.parked AS p
                WHERE p.consumer = d.consumer AND p.stream = d.stream AND d.position BETWEEN p.head AND p.last)
            ORDER BY d.position LIMIT {AT_ONCE}))
        ORDER BY position
        """,  # noqa: S608 - constants of this package
        consumer,
        partitions,
    )
    return [Envelope(*row) for row in rows]


async def _begin(connection: Connection, consumer: str, position: int) -> bool:
    begun = await connection.fetchval(
        """
        UPDATE bus.dead_letter SET state = 'dead', attempts = attempts + 1
        WHERE consumer = $1 AND position = $2 AND state = 'requeued' RETURNING true
        """,
        consumer,
        position,
    )
    return begun is True


async def _done(connection: Connection, consumer: str, position: int) -> None:
    await connection.execute("DELETE FROM bus.dead_letter WHERE consumer = $1 AND position = $2", consumer, position)


async def _failed_again(connection: Connection, consumer: str, position: int, error: BaseException) -> None:
    await connection.execute(
        """
        UPDATE bus.dead_letter SET cause = $3, error = $4, at = clock_timestamp()
        WHERE consumer = $1 AND position = $2
        """,
        consumer,
        position,
        parking.cause_of(error),
        parking.described(error),
    )
