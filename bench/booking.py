"""How long a booking takes from request to confirmation, through the gateway, the log and all five services."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from bench.figures import Measured, Size, Tell, in_turns, percentile
from bench.ground import connected, database
from bench.one_transaction import one_transaction
from bench.range_at_work import Readiness, at_work, program
from bench.small_range import LANE, WEAPON_CLASS, WEAPON_TYPE, Shooter, open_small_range
from bench.talk import Talk, post
from bus.clock import now
from bus.errors import Refusal
from bus.group_commit import Asked
from bus.identity import uuid7
from handlers.booking.commands import BookSession
from ops.address import address_of
from ops.api import Api
from ops.services import SERVICES
from ops.settings import Settings

PAUSE_S: Final = 0.02  # light load: what follows a confirmation is over before the next request
A_SECOND: Final = 10  # bookings for each second that a stretch may last
MOST: Final = 17_000  # half-hours within the year that can be booked
WARM_UP: Final = 10
SLOT: Final = timedelta(minutes=30)
ROUNDS: Final = 1
PATH: Final = "/v1/bookings"
WAIT: Final = "wait=20"
CREATED: Final = 201

Book = Callable[[dict[str, Any]], Awaitable[None]]
"""Books a time and returns once that is confirmed."""


async def booking(server: Settings, size: Size, tell: Tell) -> Measured:
    """Bookings through a whole range at work, beside the same work of all services in one transaction."""
    programs = [program("gateway", "gateway"), *(program(name, "worker", name) for name in SERVICES)]
    bookings = max(3, round(size.seconds * A_SECOND))
    if bookings * (size.rounds + 1) > MOST:
        raise Refusal(f"A range has {MOST:,} times to book: ask for fewer rounds or shorter ones.")
    tell("opening a range", 0, 1)
    async with database(server, "booking") as log:
        async with at_work(log, programs, _is_ready) as settings:
            shooter = await open_small_range(address_of(settings), settings)
        # nobody works on it now, so that it can be copied
        async with database(server, "baseline", copied_from=log) as copy, at_work(log, programs, _is_ready) as settings:
            ours, baseline = await _side_by_side(settings, copy, shooter, bookings, size.rounds, tell)
    return Measured(
        [percentile(one, 50) for one in ours],
        [percentile(one, 50) for one in baseline],
        {"bookings": bookings, "p99": _p99(ours), "baseline_p99": _p99(baseline)},
    )


async def _side_by_side(
    settings: Settings, copy: Settings, shooter: Shooter, bookings: int, rounds: int, tell: Tell
) -> tuple[list[list[float]], list[list[float]]]:
    async with Api(address_of(settings)) as api, connected(copy.admin_url) as connection:
        token = (await api.log_in(shooter.login, shooter.password)).token
        client, together = await _client(settings.port, str(token)), await one_transaction(connection)

        async def at_once(wish: dict[str, Any]) -> None:
            id_ = uuid7()
            command = BookSession.model_validate_json(json.dumps({**wish, "booking": str(id_)}))
            actor = f"person:{shooter.person}"
            await together.book(Asked(id_, b"", id_, command, actor))

        try:
            for book in (client.book, at_once):  # before anything counts: every process plans its statements
                await _milliseconds(book, _wishes(shooter.person, rounds * bookings, min(bookings, WARM_UP)))
            return await in_turns(
                rounds,
                lambda number: _milliseconds(client.book, _wishes(shooter.person, number * bookings, bookings)),
                lambda number: _milliseconds(at_once, _wishes(shooter.person, number * bookings, bookings)),
                tell,
            )
        finally:
            client.close()


async def _milliseconds(book: Book, wishes: Sequence[dict[str, Any]]) -> list[float]:
    taken = []
    for wish in wishes:
        began_s = time.perf_counter()
        await book(wish)
        taken.append((time.perf_counter() - began_s) * 1000)
        await asyncio.sleep(PAUSE_S)
    return taken


def _wishes(person: UUID, first: int, bookings: int) -> list[dict[str, Any]]:
    """One half-hour after the other, from the first that is asked for; they are counted from the day after tomorrow."""
    begins_at = datetime.combine(now().date() + timedelta(days=2), datetime.min.time(), UTC)
    times = [begins_at + SLOT * (first + one) for one in range(bookings)]
    asked = {"person": str(person), "lane": LANE, "weapon_class": WEAPON_CLASS, "weapon_type": WEAPON_TYPE}
    return [
        {**asked, "rounds": ROUNDS, "starts_at": at.isoformat(), "ends_at": (at + SLOT).isoformat()} for at in times
    ]


class _Client:
    """Books over one connection, and waits for each answer."""

    def __init__(self, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}", "Prefer": WAIT}
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.talk = Talk(self._answered, self._lost)

    async def book(self, wish: dict[str, Any]) -> None:
        self._answer = asyncio.get_running_loop().create_future()
        self.talk.send(post(PATH, json.dumps(wish).encode(), Idempotency_Key=str(uuid7()), **self._headers))
        status, body = await self._answer
        if status != CREATED:
            raise Refusal(f"A booking was not confirmed: {status} {body[:500].decode(errors='replace')}.")

    def close(self) -> None:
        self.talk.close()

    def _answered(self, status: int, body: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((status, body))

    def _lost(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Refusal("The gateway closed the connection."))


async def _client(port: int, token: str) -> _Client:
    client = _Client(token)
    await asyncio.get_running_loop().create_connection(lambda: client.talk, "127.0.0.1", port)
    return client


def _is_ready(readiness: Readiness) -> bool:
    return bool(readiness["ready"])


def _p99(rounds: Sequence[Sequence[float]]) -> float:
    return round(percentile([one for each in rounds for one in each], 99), 3)
