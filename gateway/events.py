"""The log for analysts: everything that happened, or a part of it, as newline-delimited JSON or server-sent events."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal, NamedTuple
from uuid import UUID

import structlog
from aiohttp import hdrs, web
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from bus import reading
from bus.connection import is_away
from bus.message import Envelope
from bus.replay import as_json
from bus.tasks import set_within
from gateway.caught_up import ACQUIRE_TIMEOUT_S
from gateway.live import LAST_EVENT_ID, Streams, last_seen, no_longer_admitted
from gateway.ports import ENDING
from gateway.problems import DATABASE_AWAY, FOREIGN_EPOCH, NOT_PERMITTED, TOO_FAR_BACK, Problem, again_after
from gateway.pseudonyms import Pseudonyms
from gateway.queries import POSITION, Position, Query, read_query, written_as
from gateway.routing import Documented, Visit

READ_AT_ONCE: Final = 500
LOOK_S: Final = 1.0
UNSETTLED_S: Final = 0.01
HEARTBEAT_S: Final = 15.0
WRITE_WITHIN_S: Final = 10.0
STREAMS_EACH: Final = 2
STREAMS_TOGETHER: Final = 8
TOPICS: Final = ("domain", "telemetry")
SSE: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"

EVENT_STREAMS: Final = web.AppKey("event_streams", Streams)
log = structlog.get_logger(__name__)


def analysts_streams() -> Streams:
    return Streams(each=STREAMS_EACH, together=STREAMS_TOGETHER)


def _names(text: str) -> str:
    names = text.split(",")
    if len(names) > 50 or not all(0 < len(name) <= 100 for name in names):
        raise ValueError("must be names of messages, 50 at most, with commas between them")
    return text


def _flag(text: object) -> object:
    if text not in {"true", "false"}:
        raise ValueError("must be `true` or `false`")
    return text == "true"


class EventsQuery(Query):
    """Which messages of the log, and whether to go on with those to come."""

    name: Annotated[str, AfterValidator(_names)] | None = Field(
        default=None, description="Only messages of this name, or of these, with commas between them."
    )
    stream: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="Only this stream, like `target:lane-1`; a person's by the pseudonym."
    )
    correlation: UUID | None = Field(default=None, description="Only the story that this command began.")
    after: Annotated[str, written_as(POSITION, "must be an epoch and a position, like `1-4711`")] | None = Field(
        default=None,
        json_schema_extra={"pattern": f"^{POSITION}$"},
        description=f"Go on after this place; the same as `{LAST_EVENT_ID}`.",
    )
    follow: Annotated[bool, BeforeValidator(_flag)] = Field(
        default=False, description="Go on with what is still to come; server-sent events always do."
    )
    identities: Literal["pseudonymous", "plain"] = Field(
        default="pseudonymous", description="`plain` has people's true ids; for those who are admin as well."
    )

    def wants(self, envelope: Envelope, stream: str) -> bool:
        """Whether a message is one of these; `stream` is how its stream is told."""
        return (self.stream is None or stream == self.stream) and (
            self.correlation is None or envelope.correlation == self.correlation
        )


class _Form(NamedTuple):
    media_type: str
    opening: bytes
    heartbeat: bytes


FORMS: Final = {
    SSE: _Form(f"{SSE}; charset=utf-8", b"retry: 1000\n\n", b": nothing new\n\n"),
    NDJSON: _Form(NDJSON, b"", b""),
}


@dataclass(frozen=True, slots=True)
class StreamsEvents:
    """Sends the log from a place on: to its settled end, or on and on. Each message tells its place."""

    deadline_s: ClassVar[float | None] = None

    async def __call__(self, visit: Visit) -> web.StreamResponse:
        query = read_query(EventsQuery, visit.request)
        if query.identities == "plain" and "admin" not in visit.caller.roles:
            raise Problem(NOT_PERMITTED)
        if not visit.ports.tail.epoch:
            raise again_after(DATABASE_AWAY, 1)
        after = last_seen(visit.request) or (None if query.after is None else Position.read(query.after))
        await _must_be_possible(visit, after)
        form = SSE if SSE in visit.request.headers.get(hdrs.ACCEPT, "") else NDJSON
        with visit.request.app[EVENT_STREAMS].place(visit.caller.actor):
            return await _Sending(visit, query, form).send(-1 if after is None else after.position)

    @property
    def documented(self) -> Documented:
        return Documented(
            summary="Stream the log: NDJSON, or server-sent events for `Accept: text/event-stream`. People have "
            "pseudonyms.",
            query=EventsQuery,
            headers=(LAST_EVENT_ID,),
            answers={200: None},
            media_type=NDJSON,
        )


async def _must_be_possible(visit: Visit, after: Position | None) -> None:
    if after is None:
        return
    if after.epoch != visit.ports.tail.epoch:
        raise Problem(FOREIGN_EPOCH)
    async with visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
        gone = await connection.fetchval("SELECT coalesce(max(to_position), -1) FROM bus.dropped")
    if after.position < gone:
        raise Problem(TOO_FAR_BACK)


class _Sending:
    """One response, read from the log at the client's own pace: nobody else waits for it."""

    def __init__(self, visit: Visit, query: EventsQuery, form: str) -> None:
        self._visit = visit
        self._query = query
        self._sse = form == SSE
        self._form = FORMS[form]
        self._pseudonyms: Pseudonyms | None = None if query.identities == "plain" else visit.ports.pseudonyms
        self._ending = visit.request.app[ENDING]
        self._response = web.StreamResponse(
            headers={hdrs.CONTENT_TYPE: self._form.media_type, "X-Accel-Buffering": "no"}
        )

    async def send(self, after: int) -> web.StreamResponse:
        bell = self._visit.ports.bell
        rung = bell.waiter()
        try:
            await self._response.prepare(self._visit.request)
            await self._write(self._form.opening)
            await self._go_on(after, rung)
        except TimeoutError:
            log.info("events.stalled", actor=self._visit.caller.actor)
            self._hang_up()
        except Exception as error:
            if not is_away(error):
                raise
            log.info("events.broken-off", error=repr(error))
            self._hang_up()  # otherwise the end would look like the log's
        finally:
            bell.forget(rung)
        return self._response

    async def _go_on(self, after: int, rung: asyncio.Event) -> None:
        names = None if self._query.name is None else self._query.name.split(",")
        quiet_since = time.monotonic()
        while not self._over():
            rung.clear()
            async with self._visit.ports.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                batch = await reading.read(connection, after, TOPICS, names, READ_AT_ONCE)
            told = b"".join(self._told(one) for one in batch.messages if self._query.wants(one, self._stream_of(one)))
            after = batch.covered
            if told:
                await self._write(told)
                quiet_since = time.monotonic()
            if batch.behind:
                continue
            if not (self._sse or self._query.follow):
                await self._response.write_eof()
                return
            if batch.unsettled:
                await asyncio.sleep(UNSETTLED_S)
            elif not await set_within(rung, LOOK_S) and time.monotonic() - quiet_since > HEARTBEAT_S:
                await self._write(self._form.heartbeat)
                quiet_since = time.monotonic()
        if not (self._sse or self._query.follow):
            self._hang_up()  # it was ended before the log's end

    def _stream_of(self, envelope: Envelope) -> str:
        """A stream as it is told: who knows a person's true id cannot learn the pseudonym by asking for it."""
        return envelope.stream if self._pseudonyms is None else self._pseudonyms.text(envelope.stream)

    def _told(self, envelope: Envelope) -> bytes:
        if self._pseudonyms is not None:
            envelope = self._pseudonyms.applied(envelope)
        epoch = self._visit.ports.tail.epoch
        line = as_json(envelope, epoch)
        if not self._sse:
            return f"{line}\n".encode()
        return f"id: {Position(epoch, envelope.position)}\nevent: {envelope.name}\ndata: {line}\n\n".encode()

    def _over(self) -> bool:
        transport = self._visit.request.transport
        gone = transport is None or transport.is_closing()
        return gone or self._ending.is_set() or no_longer_admitted(self._visit.caller, self._visit.ports.revocations)

    def _hang_up(self) -> None:
        if self._visit.request.transport is not None:
            self._visit.request.transport.abort()

    async def _write(self, content: bytes) -> None:
        if content:
            async with asyncio.timeout(WRITE_WITHIN_S):
                await self._response.write(content)
