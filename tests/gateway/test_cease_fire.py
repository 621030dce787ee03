"""Cease fire: every lane is told as soon as it is asked for, whatever else waits."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from bus import group_commit
from bus.identity import uuid7
from handlers.booking.events import CeaseFireOrdered, FireResumed
from tests.gateway import examples
from tests.gateway.gate import Gate
from tests.gateway.test_live import Told, following, next_of

LANES = [f"lane-{n}" for n in range(1, 6)]
CEASE = "/v1/ranges/club/cease-fire"


async def follow_all(gate: Gate, stack: AsyncExitStack) -> dict[str, AsyncIterator[Told]]:
    await gate.say("booking", examples.SET_UP, *(examples.lane(lane) for lane in LANES))
    other = examples.SET_UP.model_copy(update={"range": "field"})
    await gate.say("booking", other, examples.lane("far-1").model_copy(update={"range": "field"}))
    streams = {}
    for lane in [*LANES, "far-1"]:
        streams[lane] = await stack.enter_async_context(following(gate, gate.token(), f"/v1/lanes/{lane}/live"))
    return streams


async def test_every_lane_of_the_range_is_told_at_once_with_booking_away(gate: Gate):
    async with AsyncExitStack() as stack:
        streams = await follow_all(gate, stack)
        asked = await gate.post(CEASE, {"reason": "injury"}, gate.token("armourer"))
        assert asked.status == 202
        for lane in LANES:
            told = await next_of(streams[lane])
            assert told.event == "booking.cease-fire"
            assert told.data == {"lane": lane, "range": "club", "reason": "injury"}
        number, at = uuid7(), datetime.now(UTC)
        ordered = CeaseFireOrdered(
            range="club", cease_fire=number, lanes=tuple(LANES), reason="injury", ordered_by="person:x", ordered_at=at
        )
        resumed = FireResumed(range="club", cease_fire=number, resumed_by="person:x", resumed_at=at)
        await gate.say("booking", ordered, resumed)
        for lane in LANES:
            both = [await next_of(streams[lane]), await next_of(streams[lane])]
            assert [one.event for one in both] == ["booking.cease-fire-ordered", "booking.fire-resumed"]
            assert "person:x" not in str([one.data for one in both])
        await gate.post("/v1/ranges/field/cease-fire", {"reason": "alarm"}, gate.token("admin"))
        assert (await next_of(streams["far-1"])).data["range"] == "field", "the first it was told"


async def test_it_is_taken_where_everything_else_must_wait(gate: Gate, monkeypatch):
    monkeypatch.setattr(group_commit, "BUFFER", 0)
    await gate.say("booking", examples.SET_UP)
    assert (await gate.post("/v1/bookings", examples.WISH, gate.token())).status == 503
    assert (await gate.post(CEASE, {"reason": "injury"}, gate.token("instructor"))).status == 202


async def test_the_board_shows_it(gate: Gate):
    await gate.say("booking", examples.SET_UP, examples.lane())
    at = datetime.now(UTC)
    await gate.say(
        "booking",
        CeaseFireOrdered(
            range="club", cease_fire=uuid7(), lanes=("lane-1",), reason="alarm", ordered_by="person:x", ordered_at=at
        ),
    )
    (lane,) = (await gate.get("/v1/board")).body["lanes"]
    assert datetime.fromisoformat(lane["cease_fire_since"]) == at
    listed = await gate.get("/v1/ranges/club/cease-fires", gate.token("instructor"))
    assert [one["reason"] for one in listed.body["items"]] == ["alarm"]
