"""A lane as it happens, by server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import aiohttp
import pytest

from bus.identity import uuid7
from gateway.live import STREAMS
from handlers.auth.issuing import user_token
from handlers.booking.events import BookingCancelled
from tests.gateway import examples
from tests.gateway.gate import Gate

LIVE = "/v1/lanes/lane-1/live"


class Told(NamedTuple):
    id: str
    event: str
    data: dict[str, Any]


@pytest.fixture
async def hall(gate: Gate) -> Gate:
    """Return the gate to a range with two lanes."""
    await gate.say("booking", examples.SET_UP, examples.lane(), examples.lane("lane-2"))
    return gate


@asynccontextmanager
async def following(gate: Gate, token: str, path: str = LIVE, **headers: str) -> AsyncIterator[AsyncIterator[Told]]:
    sent = {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): text for name, text in headers.items()}}
    async with gate.http.get(gate.url + path, headers=sent) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        await response.content.readuntil(b"\n\n")  # it has begun
        yield _events(response)


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Told]:
    while block := await response.content.readuntil(b"\n\n"):
        fields = dict(line.split(": ", 1) for line in block.decode().splitlines() if line and not line.startswith(":"))
        if "data" in fields:
            yield Told(fields["id"], fields["event"], json.loads(fields["data"]))


async def booked(gate: Gate, *, on: str = "lane-1", person: UUID | None = None) -> tuple[UUID, UUID, int]:
    about = examples.terms(person or uuid7(), on=on)
    await gate.say("booking", examples.held(about))
    return about.person, about.booking, await gate.say("booking", examples.confirmed(about))


async def next_of(events: AsyncIterator[Told]) -> Told:
    async with asyncio.timeout(5):
        return await anext(events)


async def test_what_happens_on_the_lane_is_told_with_its_place_in_the_log(hall: Gate):
    async with following(hall, hall.token("instructor")) as events:
        await booked(hall, on="lane-2")
        person, booking, position = await booked(hall)
        held, confirmed = await next_of(events), await next_of(events)
        assert (held.event, confirmed.event) == ("booking.lane-held", "booking.booking-confirmed")
        assert confirmed.id == f"1-{position}"
        assert (confirmed.data["booking"], confirmed.data["terms"]["person"]) == (str(booking), str(person))


async def test_strangers_see_the_lane_and_nobody_on_it(hall: Gate):
    me = uuid7()
    async with following(hall, hall.token(person=me)) as events:
        person, booking, _ = await booked(hall)
        told = [await next_of(events), await next_of(events)]
        assert all(one.data["lane"] == "lane-1" for one in told)
        seen = json.dumps([one.data for one in told])
        assert str(person) not in seen
        assert str(booking) not in seen
        cancelled = BookingCancelled(
            booking=booking,
            person=person,
            cancelled_by=f"person:{person}",
            rule="withdrawn",
            rule_version=1,
            reason="lost",
        )
        await hall.say("booking", cancelled)
        assert (await next_of(events)).data == {"lane": "lane-1"}
        _, mine, _ = await booked(hall, person=me)
        assert (await next_of(events)).data["terms"]["booking"] == str(mine)


async def test_after_a_break_it_goes_on_where_it_was(hall: Gate):
    _, _, before = await booked(hall)
    about = examples.terms(uuid7())
    hour = timedelta(hours=1)
    later = about.model_copy(update={"starts_at": about.starts_at + hour, "ends_at": about.ends_at + hour})
    missed = await hall.say("booking", examples.held(later))
    async with following(hall, hall.token(), Last_Event_ID=f"1-{before}") as events:
        assert (await next_of(events)).id == f"1-{missed}"


async def test_a_foreign_place_is_refused_and_an_unknown_lane_absent(hall: Gate):
    token = hall.token()
    assert (await hall.get(LIVE, token, Last_Event_ID="2-10")).problem == "foreign-epoch"
    assert (await hall.get(LIVE, token, Last_Event_ID="yesterday")).problem == "invalid-request"
    assert (await hall.get("/v1/lanes/lane-9/live", token)).problem == "not-found"
    assert (await hall.get(LIVE)).problem == "unauthenticated"


async def test_who_was_away_for_too_long_starts_anew(hall: Gate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.live.FARTHEST_BACK", 1)
    answer = await hall.get(LIVE, hall.token(), Last_Event_ID="1-1")
    assert (answer.status, answer.problem) == (410, "too-far-back")


async def test_nobody_follows_too_many_lanes_at_once(hall: Gate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hall.app[STREAMS], "each", 1)
    monkeypatch.setattr("gateway.live.LOOK_S", 0.02)
    token = hall.token()
    async with following(hall, token):
        answer = await hall.get(LIVE, token)
        assert (answer.status, answer.problem) == (429, "too-many-streams")
        async with following(hall, hall.token()):
            pass
    async with asyncio.timeout(5):
        while (await _try(hall, token)) != 200:
            await asyncio.sleep(0.02)


async def _try(gate: Gate, token: str) -> int:
    async with gate.http.get(gate.url + LIVE, headers={"Authorization": f"Bearer {token}"}) as response:
        return response.status


async def test_a_stream_ends_with_its_token(hall: Gate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.live.LOOK_S", 0.02)
    monkeypatch.setattr("bus.tokens.LEEWAY_S", 0)
    issued = datetime.now(UTC) - timedelta(seconds=299)
    token = user_token(hall.signer.key_at(datetime.now(UTC)), uuid7(), ["shooter"], issued)
    await hall.fetch("UPDATE auth.signing_key SET not_before = $1", issued - timedelta(minutes=1))
    monkeypatch.setattr("gateway.keys.READ_AT_MOST_EVERY_S", 0.0)
    await hall.ports.keys._read_unless_just_read()
    async with (
        asyncio.timeout(5),
        hall.http.get(hall.url + LIVE, headers={"Authorization": f"Bearer {token}"}) as response,
    ):
        assert response.status == 200
        assert b"retry:" in await response.read()


async def test_while_nothing_happens_the_line_is_kept_warm(hall: Gate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.live.LOOK_S", 0.02)
    monkeypatch.setattr("gateway.live.HEARTBEAT_S", 0.05)
    sent = {"Authorization": f"Bearer {hall.token()}"}
    async with asyncio.timeout(5), hall.http.get(hall.url + LIVE, headers=sent) as response:
        await response.content.readuntil(b"\n\n")
        assert await response.content.readuntil(b"\n\n") == b": nothing new\n\n"
