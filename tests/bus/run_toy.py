"""The toy as a worker's process, which may stop itself at a chosen moment: `python -m tests.bus.run_toy <plan>`."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal
from unittest.mock import patch
from uuid import UUID

from pydantic import BaseModel

from bus.connection import Connection, close_pool, connect_pool
from bus.consumer import Consumer
from bus.identity import uuid7
from bus.outbox import Outbox, Said
from bus.producer import Registration, ServiceToken
from bus.worker import Worker
from tests.bus import toy


class Plan(BaseModel):
    """How this process behaves; durations are short, so that a test need not wait."""

    dsn: str
    batch: int = 10
    work_s: float = 0.0  # a decision takes so long
    lasts_s: float = 30.0  # without a sign of life
    look_every_s: float = 0.05
    stops_in: Literal["decide", "append", "never"] = "never"
    stops_at: int = 0  # the amount that makes it stop itself, once


class Stopping(toy.Faults):
    """Stops the process in the middle of a decision."""

    def __init__(self, plan: Plan) -> None:
        super().__init__({}, [])
        self._plan = plan

    def strike(self, amount: int) -> None:
        time.sleep(self._plan.work_s)
        if self._plan.stops_in == "decide" and self._plan.stops_at == amount and amount not in self.seen:
            self.seen.append(amount)
            os.kill(os.getpid(), signal.SIGSTOP)


class StoppingOutbox(Outbox):
    """Stops the process when the rows are in, and COMMIT has not been sent."""

    plan: Plan
    stopped = False

    async def append(self, connection: Connection, said: Sequence[Said]) -> int | None:
        position = await super().append(connection, said)
        amounts = [one.message.amount for one in said if isinstance(one.message, toy.Added)]
        if self.plan.stops_in == "append" and self.plan.stops_at in amounts and not self.stopped:
            self.stopped = True
            os.kill(os.getpid(), signal.SIGSTOP)
        return position


async def obtain(_boot: UUID, _names: Sequence[str]) -> ServiceToken:
    at = datetime.now(UTC)
    return ServiceToken("untested", uuid7(), at, at + timedelta(hours=1))


async def work(plan: Plan) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    service = toy.toy(Stopping(plan))
    pool = await connect_pool(plan.dsn, "toy/pool", most=2)
    boot = uuid7()
    registration = Registration(pool, boot, service.may_append, obtain)
    outbox = StoppingOutbox(service, registration)
    outbox.plan = plan
    try:
        await Worker(service, plan.dsn, pool, boot, registration, toy.AllTrusted(), outbox).run(stopping)
    finally:
        await close_pool(pool)


def main() -> None:
    plan = Plan.model_validate_json(sys.argv[1])
    with (
        patch("bus.membership.LASTS", timedelta(seconds=plan.lasts_s)),
        patch("bus.membership.LOOK_EVERY_S", plan.look_every_s),
        patch("bus.maintenance.LOOK_EVERY_S", 0.1),
        patch("bus.worker.Consumer", partial(Consumer, batch=plan.batch)),
    ):
        asyncio.run(work(plan))


if __name__ == "__main__":
    main()
