"""Read your own writes: a view is read once the service behind it has passed a position."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from bus.tasks import set_within
from gateway.ports import Ports
from gateway.problems import FOREIGN_EPOCH, VIEW_BEHIND, Problem, again_after
from gateway.queries import Position

Consumer = Literal["auth", "booking", "armory", "payment", "stats"]

PATIENCE_S: Final = 5.0
LOOK_EVERY_S: Final = 0.1
ACQUIRE_TIMEOUT_S: Final = 2.0


async def wait_until_past(ports: Ports, consumer: Consumer, position: Position) -> None:
    """Returns once the consumer has passed the position; raises the problem that it has not, or never can."""
    rung = ports.bell.waiter()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                rung.clear()
                if await _is_past(ports, consumer, position):
                    return
                await set_within(rung, LOOK_EVERY_S)
    except TimeoutError as late:
        raise again_after(VIEW_BEHIND, 1) from late
    finally:
        ports.bell.forget(rung)


async def _is_past(ports: Ports, consumer: Consumer, position: Position) -> bool:
    async with ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
        row = await connection.fetchrow(
            "SELECT max(epoch) AS epoch, bus.is_past($1, $2) AS past FROM bus.epoch", consumer, position.position
        )
    assert row is not None
    if row["epoch"] != position.epoch:
        raise Problem(FOREIGN_EPOCH)
    past: bool = row["past"]
    return past
