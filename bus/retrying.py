"""How parked streams go on: their head is tried again in its time, then what waits behind it, in order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

import structlog

from bus import parking
from bus.backoff import full_jitter
from bus.desk import Desk
from bus.errors import Blocked, Later, UnknownMessage
from bus.message import Envelope
from bus.redoing import redoing
from bus.service import AfterLastAttempt

UNKNOWN_RETRY_S: Final = 30.0

log = structlog.get_logger(__name__)


class GivenUpByHand(Exception):  # noqa: N818 - a finding
    """A person gave up the message that a stream waited for."""


class SortedOut(NamedTuple):
    """What becomes of the messages of a batch."""

    going: list[Envelope]
    waiting: list[Envelope]  # behind the head of their stream
    blocked: dict[str, tuple[Envelope, Blocked]]  # by stream: its head from now on, and what that waits for


class Retrying:
    """The parked streams in one worker's partitions: nobody else touches them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._streams: set[str] = set()
        self._due_at: float | None = None  # on the monotonic clock
        self._causes: set[str] = set()  # what anything may have had to wait for when we last looked

    def __contains__(self, stream: str) -> bool:
        return stream in self._streams

    async def open(self) -> None:
        self._streams = await parking.streams(
            self._desk.connection, self._desk.consumer, self._desk.membership.partitions
        )
        await self._desk.admission.look(self._desk.connection)
        self._causes = self._desk.admission.causes
        await self._release()

    async def look(self) -> None:
        """Lets go on what was blocked and is not any more, and one message for each circuit that may be tried."""
        desk = self._desk
        await desk.admission.look(desk.connection)
        before, self._causes = self._causes, desk.admission.causes
        if before - self._causes:
            await self._release()
        for cause in desk.admission.probes_due if self._streams else ():
            await parking.release_first(desk.connection, desk.consumer, cause, desk.membership.partitions)
            await self.look_ahead()

    async def _release(self) -> None:
        desk = self._desk
        if self._streams:
            await parking.release(desk.connection, desk.consumer, self._causes, desk.membership.partitions)
        await self.look_ahead()

    def patience_s(self) -> float | None:
        """Seconds until the next try; None if nothing is parked."""
        due_s = None if self._due_at is None else max(0.0, self._due_at - time.monotonic())
        waits = (due_s, self._desk.admission.patience_s())
        return min((one for one in waits if one is not None), default=None)

    def sort_out(self, envelopes: Sequence[Envelope]) -> SortedOut:
        """What of a batch may be attempted, what waits behind its stream's head, and what becomes such a head."""
        if not self._streams and self._desk.admission.free:
            return SortedOut(list(envelopes), [], {})
        out = SortedOut([], [], {})
        for envelope in envelopes:
            if envelope.stream in self or envelope.stream in out.blocked:
                out.waiting.append(envelope)
            elif (blocked := self._desk.admission.blocked(envelope)) is not None:
                out.blocked[envelope.stream] = (envelope, blocked)
            else:
                out.going.append(envelope)
        return out

    async def park(self, envelope: Envelope, error: BaseException) -> None:
        """Writes that a stream waits, in the caller's transaction; `parked` follows after its COMMIT."""
        attempts = 0 if _uncounted(error) else 1
        await parking.park(
            self._desk.connection,
            self._desk.consumer,
            envelope,
            error,
            attempts=attempts,
            after_s=_wait_s(error, attempts),
        )

    async def parked(self, envelope: Envelope, error: BaseException) -> None:
        self._streams.add(envelope.stream)
        if isinstance(error, Blocked):
            log.info("stream.blocked", stream=envelope.stream, position=envelope.position, cause=str(error))
            return
        await self.look_ahead()
        log.warning("stream.parked", stream=envelope.stream, position=envelope.position, error=repr(error))

    async def retry(self) -> bool:
        """Tries what is due; True if anything was."""
        if self._due_at is None or time.monotonic() < self._due_at:
            return False
        for one in await parking.due(self._desk.connection, self._desk.consumer, self._desk.membership.partitions):
            await self._drain(one)
        await self.look_ahead()
        return True

    async def _drain(self, parked: parking.Parked) -> None:
        desk = self._desk
        waiting = await parking.waiting(desk.connection, desk.consumer, parked, desk.topics, desk.names, desk.own)
        if not waiting:  # what waits there is no longer heard
            async with desk.under_share():
                await parking.forget(desk.connection, desk.consumer, parked.stream)
            self._streams.discard(parked.stream)
        if waiting and parked.give_up:
            await self._give_up(waiting[0], GivenUpByHand(), parked.attempts)
            return
        for envelope in waiting:
            if (blocked := desk.admission.blocked(envelope)) is not None:
                async with desk.under_share():
                    await parking.wait_for(desk.connection, desk.consumer, envelope, blocked)
                return
            async with desk.under_share():
                attempts = await parking.begin_attempt(desk.connection, desk.consumer, envelope)
            most, _ = desk.attempts_of(envelope)
            if attempts > most:  # the last try ended with its process
                await self._last_failure(envelope, RuntimeError("the process ended during the last try"), attempts)
                return
            try:
                await redoing(partial(self._try, envelope))
            except Exception as error:
                if desk.ends_the_turn(error):
                    raise
                await self._failed_again(envelope, error, attempts)
                return

    async def _try(self, envelope: Envelope) -> None:
        desk = self._desk
        received = desk.catalogue.read(envelope)
        at = await desk.connection.fetchval("SELECT clock_timestamp()")
        answers = await desk.admission.ask([received], at)
        async with desk.connection.transaction():
            said = await desk.handle([received], at, answers)
            unparked = await parking.move_on(desk.connection, desk.consumer, envelope)
            await desk.check_share()
            await desk.outbox.append(desk.connection, said)
        if unparked:
            self._streams.discard(envelope.stream)
        if said:
            desk.ring()

    async def _failed_again(self, envelope: Envelope, error: BaseException, attempts: int) -> None:
        desk = self._desk
        most, _ = desk.attempts_of(envelope)
        if attempts < most or _uncounted(error):
            async with desk.under_share():
                await parking.try_later(
                    desk.connection,
                    desk.consumer,
                    envelope,
                    error,
                    after_s=_wait_s(error, attempts),
                    uncount=_uncounted(error),
                )
        else:
            await self._last_failure(envelope, error, attempts)

    async def _last_failure(self, envelope: Envelope, error: BaseException, attempts: int) -> None:
        """Does what the handler's policy says after the last attempt."""
        desk = self._desk
        _, after_last = desk.attempts_of(envelope)
        if after_last is AfterLastAttempt.HOLD:
            async with desk.under_share():
                await parking.hold(desk.connection, desk.consumer, envelope)
            log.error("stream.held", stream=envelope.stream, position=envelope.position, error=repr(error))
            return
        await self._give_up(envelope, error, attempts)

    async def _give_up(self, envelope: Envelope, error: BaseException, attempts: int) -> None:
        """Makes the head a dead letter and tells a command's sender; the stream goes on."""
        desk = self._desk
        async with desk.connection.transaction():
            by_hand = isinstance(error, GivenUpByHand)
            await parking.bury(desk.connection, desk.consumer, envelope, error, attempts=attempts, by_hand=by_hand)
            said = await desk.failure(envelope)
            unparked = await parking.move_on(desk.connection, desk.consumer, envelope)
            await desk.check_share()
            await desk.outbox.append(desk.connection, said)
        if unparked:
            self._streams.discard(envelope.stream)
        desk.ring()

    async def look_ahead(self) -> None:
        """Finds out when the next try is due; a person may have moved it."""
        wait_s = None
        if self._streams:
            wait_s = await parking.next_retry_s(
                self._desk.connection, self._desk.consumer, self._desk.membership.partitions
            )
        self._due_at = None if wait_s is None else time.monotonic() + wait_s


def _uncounted(error: BaseException) -> bool:
    return isinstance(error, Later | UnknownMessage | Blocked)


def _wait_s(error: BaseException, attempts: int) -> float | None:
    """Seconds until the next try; None: until what it waits for has ended."""
    if isinstance(error, Blocked):
        return None
    if isinstance(error, Later):
        return error.after_s
    return UNKNOWN_RETRY_S if isinstance(error, UnknownMessage) else full_jitter(max(1, attempts))
