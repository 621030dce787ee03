"""The log for analysts: whole, in order, resumable, bounded, and without anybody's true id."""

import asyncio
import json
import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from bus.identity import uuid7
from gateway import events
from gateway.pseudonyms import NAMES_A_PERSON, Pseudonyms
from handlers.auth.events import PersonEnabled
from handlers.auth.issuing import user_token
from handlers.wiring import SERVICES
from tests.gateway import examples
from tests.gateway.gate import Answer, Gate

EVENTS = "/v1/events"
ANNA, BEN = UUID(int=7), UUID(int=8)
THINGS = {
    "audit", "booking", "bookings", "cease_fire", "claim", "closure", "command", "entry", "incident", "invoice",
    "licence", "payment", "refund", "replacement", "replaces", "replaced_by", "report", "series", "session", "weapon",
}  # fmt: skip


@pytest.fixture
async def hall(gate: Gate) -> Gate:
    """Return the gate to a range of two lanes, with a booking of Anna's and one of Ben's."""
    await gate.say("booking", examples.SET_UP, examples.lane(), examples.lane("lane-2"))
    for number, person in ((1, ANNA), (2, BEN)):
        about = examples.terms(person, UUID(int=number), on=f"lane-{number}")
        await gate.say("booking", examples.held(about), examples.confirmed(about), correlation=UUID(int=number))
    return gate


def lines(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.body.splitlines()]


async def ask(gate: Gate, query: str = "", *roles: str, **headers: str) -> list[dict[str, Any]]:
    return lines(await gate.get(EVENTS + query, gate.token(*(roles or ("analyst",))), **headers))


async def test_the_whole_log_is_told_in_order_and_no_more_than_that(hall: Gate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "READ_AT_ONCE", 2)
    told = await ask(hall)
    assert [one["name"] for one in told] == await hall.logged()
    assert [one["position"] for one in told] == sorted({one["position"] for one in told})


async def test_nobodys_true_id_is_told_and_everybody_stays_the_same_person(hall: Gate):
    raw = (await hall.get(EVENTS, hall.token("analyst"))).body.decode()
    assert str(ANNA) not in raw
    assert str(BEN) not in raw
    bodies = [json.loads(line)["body"] for line in raw.splitlines()]
    people = {one["terms"]["person"] for one in bodies if "terms" in one}
    assert people == {Pseudonyms(b"a key for tests").of(str(one)) for one in (ANNA, BEN)}
    assert str(UUID(int=1)) in raw, "what is no person keeps its id"


async def test_true_ids_are_for_those_who_are_admin_as_well(hall: Gate):
    plain = "?identities=plain"
    assert (await hall.get(EVENTS + plain, hall.token("analyst"))).problem == "not-permitted"
    told = await ask(hall, plain, "analyst", "admin")
    assert {one["body"]["terms"]["person"] for one in told if "terms" in one["body"]} == {str(ANNA), str(BEN)}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?name=booking.lane-held", ["booking.lane-held"] * 2),
        ("?name=booking.lane-held,booking.lane-opened", ["booking.lane-opened"] * 2 + ["booking.lane-held"] * 2),
        (f"?correlation={UUID(int=2)}", ["booking.lane-held", "booking.booking-confirmed"]),
        (f"?stream=booking:{UUID(int=1)}", ["booking.lane-held", "booking.booking-confirmed"]),
        ("?stream=lane:lane-1", ["booking.lane-opened"]),
        ("?name=nobody.says-this", []),
    ],
)
async def test_a_part_of_it_is_chosen(hall: Gate, query: str, expected: list[str]):
    assert [one["name"] for one in await ask(hall, query)] == expected


async def test_it_goes_on_where_it_was_left(hall: Gate):
    told = await ask(hall)
    for place in range(len(told)):
        last = f"{told[place]['epoch']}-{told[place]['position']}"
        assert await ask(hall, Last_Event_ID=last) == told[place + 1 :]
        assert await ask(hall, f"?after={last}") == told[place + 1 :]
    foreign = await hall.get(EVENTS, hall.token("analyst"), Last_Event_ID=f"{told[0]['epoch'] + 1}-1")
    assert (foreign.status, foreign.problem) == (409, "foreign-epoch")
    await hall.fetch(
        "INSERT INTO bus.dropped (topic, from_position, to_position, messages, names) VALUES ('domain', 0, 3, 3, '{}')"
    )
    gone = await hall.get(f"{EVENTS}?after={told[0]['epoch']}-1", hall.token("analyst"))
    assert (gone.status, gone.problem) == (410, "too-far-back")


async def test_what_is_to_come_is_told_as_it_comes(hall: Gate):
    headers = {"Authorization": f"Bearer {hall.token('analyst')}", "Accept": "text/event-stream"}
    last = (await ask(hall))[-1]
    headers["Last-Event-ID"] = f"{last['epoch']}-{last['position']}"
    async with hall.http.get(hall.url + EVENTS, headers=headers) as response:
        assert response.content_type == "text/event-stream"
        await response.content.readuntil(b"\n\n")
        position = await hall.say("booking", examples.lane("lane-3"))
        async with asyncio.timeout(5):
            block = (await response.content.readuntil(b"\n\n")).decode()
    assert block.startswith(f"id: {last['epoch']}-{position}\nevent: booking.lane-opened\ndata: ")


async def test_it_ends_with_the_token(hall: Gate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bus.tokens.LEEWAY_S", 0)
    issued = datetime.now(UTC) - timedelta(seconds=298)
    token = user_token(hall.signer.key_at(datetime.now(UTC)), uuid7(), ("analyst",), issued)
    await hall.fetch("UPDATE auth.signing_key SET not_before = $1", issued - timedelta(minutes=1))
    monkeypatch.setattr("gateway.keys.READ_AT_MOST_EVERY_S", 0.0)
    await hall.ports.keys._read_unless_just_read()
    async with (
        asyncio.timeout(10),
        hall.http.get(f"{hall.url}{EVENTS}?follow=true", headers={"Authorization": f"Bearer {token}"}) as response,
    ):
        assert response.status == 200
        assert (await response.content.read()).count(b"\n") == len(await hall.logged())


async def test_only_so_many_are_sent_at_once(hall: Gate):
    token = hall.token("analyst", person=ANNA)
    async with AsyncExitStack() as stack:
        for _ in range(events.STREAMS_EACH):
            request = hall.http.get(f"{hall.url}{EVENTS}?follow=true", headers={"Authorization": f"Bearer {token}"})
            assert (await stack.enter_async_context(request)).status == 200
        assert (await hall.get(EVENTS, token)).problem == "too-many-streams"
        assert len(await ask(hall)) > 0, "others have places of their own"


@pytest.mark.parametrize(
    "query", ["?follow=1", "?after=7", "?name=", "?name=a,,b", "?correlation=x", "?identities=all"]
)
async def test_what_makes_no_sense_is_refused(hall: Gate, query: str):
    assert (await hall.get(EVENTS + query, hall.token("analyst"))).status == 422


def test_every_field_with_an_id_names_a_person_or_is_known_to_name_a_thing():
    """A message that names people in another way would tell analysts who they are."""
    seen = set()
    for make in SERVICES.values():
        service = make()
        heard = {row.message for row in service.hears}
        for message in {*heard, *service.says, *service.applies, *service.asks_itself}:
            seen |= set(_ids_in(message.model_json_schema()))
    assert {"person", "session"} <= seen
    assert {name for name in seen if not NAMES_A_PERSON.fullmatch(name)} <= THINGS


def test_every_stream_of_a_person_is_told_by_the_pseudonym():
    pseudonyms = Pseudonyms(b"a key for tests")
    for make in SERVICES.values():
        service = make()
        for message in {*(row.message for row in service.hears), *service.says, *service.asks_itself}:
            template = message.stream_template
            named = re.findall(r"{(\w+)}", template)
            if any(NAMES_A_PERSON.fullmatch(name) for name in named):
                assert str(ANNA) not in pseudonyms.text(template.format(**dict.fromkeys(named, ANNA))), template


async def test_a_true_id_finds_no_stream_and_the_pseudonym_does(hall: Gate):
    await hall.say("auth", PersonEnabled(person=ANNA, enabled_by=f"person:{BEN}"))
    other = Pseudonyms(b"a key for tests").of(str(ANNA))
    assert await ask(hall, f"?stream=person:{ANNA}") == []
    assert {one["stream"] for one in await ask(hall, f"?stream=person:{other}")} == {f"person:{other}"}


def _ids_in(schema: Any) -> list[str]:
    """The names of all properties that are, or may be, a UUID."""
    if isinstance(schema, list):
        return [name for part in schema for name in _ids_in(part)]
    if not isinstance(schema, dict):
        return []
    own = [name for name, about in schema.get("properties", {}).items() if '"format": "uuid"' in json.dumps(about)]
    return own + [name for part in schema.values() for name in _ids_in(part)]


def test_a_pseudonym_is_a_uuid_that_depends_on_the_key():
    one, same, other = Pseudonyms(b"one"), Pseudonyms(b"one"), Pseudonyms(b"other")
    assert one.of(str(ANNA)) == same.of(str(ANNA)) != other.of(str(ANNA))
    assert UUID(one.of(str(ANNA))).version == 8
    assert one.text(f"person:{ANNA} and booking:{ANNA}") == f"person:{one.of(str(ANNA))} and booking:{ANNA}"
