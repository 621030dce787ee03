"""What can be read, by whom, and when it has caught up."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from bus.identity import uuid7
from handlers.armory.events import WeaponAdded, WeaponTypeAdded, WeaponTypeStocked
from tests.database import Database
from tests.gateway import examples
from tests.gateway.gate import Gate, open_gate

DAY = f"{examples.SOON:%Y-%m-%dT00:00:00Z}"
NEXT_DAY = f"{examples.SOON + timedelta(days=1):%Y-%m-%dT00:00:00Z}"


@pytest.fixture
async def hall(gate: Gate) -> Gate:
    """Return the gate to a range with two lanes."""
    await gate.say("booking", examples.SET_UP, examples.lane(), examples.lane("lane-2"))
    return gate


async def test_ranges_lanes_and_slots_are_shown(hall: Gate):
    token = hall.token()
    assert [one["range"] for one in (await hall.get("/v1/ranges", token)).body["items"]] == ["club"]
    assert [one["lane"] for one in (await hall.get("/v1/lanes", token)).body["items"]] == ["lane-1", "lane-2"]
    slots = await hall.get(f"/v1/slots?date={examples.SOON:%Y-%m-%d}&range=club", token)
    assert [one["lane"] for one in slots.body["ranges"][0]["lanes"]] == ["lane-1", "lane-2"]
    assert (await hall.get(f"/v1/slots?date={examples.SOON:%Y-%m-%d}&range=moon", token)).problem == "not-found"
    assert (await hall.get(f"/v1/slots?date={examples.SOON:%Y-%m-%d}&person={uuid7()}", token)).problem == "not-found"


async def test_a_booking_is_shown_to_its_shooter_and_to_staff_alone(hall: Gate):
    about = examples.terms(uuid7())
    await hall.say("booking", examples.held(about))
    path = f"/v1/bookings/{about.booking}"
    assert (await hall.get(path, hall.token(person=about.person))).body["state"] == "held"
    assert (await hall.get(path, hall.token("cashier"))).status == 200
    others = await hall.get(path, hall.token())
    nobodys = await hall.get(f"/v1/bookings/{uuid7()}", hall.token())
    assert (others.problem, others.status) == (nobodys.problem, nobodys.status) == ("not-found", 404)
    listing = f"/v1/bookings?from={DAY}&to={NEXT_DAY}"
    assert len((await hall.get(listing, hall.token(person=about.person))).body["bookings"]) == 1
    assert (await hall.get(listing, hall.token())).body["bookings"] == []
    assert (await hall.get(f"{listing}&person={about.person}", hall.token())).body["bookings"] == []
    assert len((await hall.get(f"{listing}&person={about.person}", hall.token("admin"))).body["bookings"]) == 1
    assert (await hall.get(f"{listing}&cursor={about.booking}", hall.token())).body["bookings"] == []


async def test_a_serial_number_is_masked_for_whoever_does_not_need_it(database: Database, tmp_path: Path):
    async with open_gate(database, tmp_path, services=("armory",)) as gate:
        await gate.say(
            "armory",
            WeaponTypeAdded(weapon_type="air-pistol", weapon_class="air", title="Air pistol", calibre="4.5 mm"),
            WeaponTypeStocked(weapon_type="air-pistol", weapon_class="air", title="Air pistol", units=1),
        )
        weapon = uuid7()
        await gate.say("armory", WeaponAdded(weapon=weapon, weapon_type="air-pistol", serial="AP-4711-X"))
        [seen] = (await gate.get("/v1/weapons?weapon_type=air-pistol", gate.token())).body["items"]
        [kept] = (await gate.get("/v1/weapons", gate.token("armourer"))).body["items"]
        assert (seen["serial"], kept["serial"]) == ("***1-X", "AP-4711-X")
        custody = await gate.get(f"/v1/weapons/{weapon}/custody", gate.token("armourer"))
        assert custody.body["held_by"] is None
        assert (await gate.get(f"/v1/weapons/{uuid7()}/custody", gate.token("armourer"))).problem == "not-found"


async def test_the_board_shows_lanes_and_no_persons(hall: Gate):
    about = examples.terms(uuid7())
    await hall.say("booking", examples.held(about))
    await hall.say("booking", examples.confirmed(about))
    board = await hall.get("/v1/board")
    assert board.status == 200
    assert [one["lane"] for one in board.body["lanes"]] == ["lane-1", "lane-2"]
    assert str(about.person) not in str(board.body)
    assert str(about.booking) not in str(board.body)


async def test_what_is_read_has_passed_the_position_asked_for(hall: Gate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.caught_up.PATIENCE_S", 0.3)
    token = hall.token()
    behind = await hall.get("/v1/lanes?min-position=1-2", token)
    assert (behind.status, behind.problem, behind.headers["Retry-After"]) == (503, "view-behind", "1")
    foreign = await hall.get("/v1/lanes?min-position=2-2", token)
    assert (foreign.status, foreign.problem) == (409, "foreign-epoch")
    monkeypatch.setattr("gateway.caught_up.PATIENCE_S", 5.0)
    waiting = asyncio.create_task(hall.get("/v1/lanes?min-position=1-2", token))
    await asyncio.sleep(0)
    await hall.fetch("INSERT INTO bus.progress VALUES ('booking', 1, 0, 2, 0, 0, 1, now())")
    await asyncio.sleep(0.3)
    assert not waiting.done(), "one of its 64 partitions has passed it"
    await hall.fetch("INSERT INTO bus.progress VALUES ('booking', ~1, 0, 2, 0, 0, 2, now())")
    assert (await waiting).status == 200


async def test_without_its_database_the_gateway_says_so(hall: Gate):
    token = hall.token()
    assert (await hall.get("/v1/lanes", token)).status == 200
    await hall.fetch("ALTER ROLE firingline_gateway CONNECTION LIMIT 0")
    try:
        await hall.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'firingline_gateway'")
        answer = await hall.get("/v1/lanes", token)
    finally:
        await hall.fetch("ALTER ROLE firingline_gateway CONNECTION LIMIT -1")
    assert (answer.status, answer.problem) == (503, "database-away")
    assert int(answer.headers["Retry-After"]) > 0
