"""Shots and sessions to test with, and a stand-in for the worker that handles them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from bus.connection import Connection
from bus.handling import Handling
from bus.message import Envelope, Message, Received
from bus.outbox import Outbox
from handlers.booking.events import CeaseFireOrdered, SessionFinished, SessionStarted
from handlers.stats.commands import PublishInterim
from handlers.stats.events import ShotRecorded
from handlers.stats.service import service
from tests.handlers.scenario import NOON

SHOOTER = UUID(int=7)


class NoProducer:
    id = 0


def shot(number: int = 1, *, at_s: float = 60, **facts: object) -> ShotRecorded:
    return ShotRecorded.model_validate(
        {
            "device": "target-1",
            "epoch": "e1",
            "number": number,
            "lane": "lane-1",
            "kind": "match",
            "miss": False,
            "x_um": 0,
            "y_um": 0,
            "elapsed_ms": None,
            "received_at": NOON + timedelta(seconds=at_s),
            "face": None,
            "raw_sha256": "0" * 64,
        }
        | facts
    )


def started(session: int = 1, *, at_s: float = 0, lane: str = "lane-1", **facts: object) -> SessionStarted:
    return SessionStarted.model_validate(
        {
            "booking": UUID(int=session),
            "person": SHOOTER,
            "lane": lane,
            "discipline": "air-pistol-10m",
            "started_at": NOON + timedelta(seconds=at_s),
        }
        | facts
    )


def finished(session: int = 1, *, at_s: float = 3600, lane: str = "lane-1") -> SessionFinished:
    return SessionFinished(
        booking=UUID(int=session),
        person=SHOOTER,
        lane=lane,
        finished_at=NOON + timedelta(seconds=at_s),
        finished_by="person:00000000-0000-0000-0000-000000000009",
    )


def ceased(*, at_s: float = 100) -> CeaseFireOrdered:
    return CeaseFireOrdered(
        range="hall",
        cease_fire=UUID(int=5),
        lanes=("lane-1", "lane-3"),
        reason="alarm",
        ordered_by="service:test",
        ordered_at=NOON + timedelta(seconds=at_s),
    )


class Stats:
    """Handles messages as a worker would, but for the log: what is said is returned."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._handling = Handling(service(), Outbox(service(), NoProducer()))

    async def hear(self, *messages: Message, at: datetime = NOON + timedelta(hours=2)) -> list[Message]:
        async with self.connection.transaction():
            said = await self._handling.handle(self.connection, [received(one) for one in messages], at)
        return [one.message for one in said]

    async def scheduled(self) -> list[PublishInterim]:
        rows = await self.connection.fetch("DELETE FROM bus.scheduled RETURNING body")
        return [PublishInterim.model_validate_json(row["body"]) for row in rows]


def received(message: Message) -> Received[Message]:
    envelope = Envelope(
        position=1,
        topic=message.topic,
        partition=0,
        schema=message.version,
        producer=0,
        id=UUID(int=99),
        cause=None,
        correlation=UUID(int=99),
        concludes=None,
        revision=None,
        at=NOON,
        name=message.name,
        stream=message.stream,
        actor="service:test",
        body="",
    )
    return Received(envelope, message)


def only(said: Sequence[Message], kind: type[Message]) -> Message:
    (found,) = [one for one in said if isinstance(one, kind)]
    return found
