"""Commands over HTTP: into the log, once for each key, and answered by how they ended."""

import asyncio
from datetime import datetime
from uuid import UUID

from bus.fields import EARLIEST, LATEST
from bus.identity import uuid7
from bus.service import ApplyMany
from handlers.auth.events import Entitlement, EntitlementsPublished
from handlers.booking.events import CommandRejected
from handlers.wiring import SERVICES
from tests.gateway import examples
from tests.gateway.gate import Answer, Gate

BOOKINGS = "/v1/bookings"


async def test_a_command_is_accepted_and_stands_in_the_log_with_its_sender(gate: Gate):
    anna = uuid7()
    answer = await gate.post(BOOKINGS, examples.WISH, gate.token(person=anna))
    assert (answer.status, answer.body["status"]) == (202, "pending")
    command = UUID(answer.body["command"])
    assert answer.headers["Location"] == f"/v1/bookings/{command}" == answer.body["links"]["result"]
    [row] = await gate.fetch("SELECT id, name, stream, actor, correlation, body->>'person' AS person FROM bus.outbox")
    assert tuple(row) == (
        command,
        "booking.book-session",
        f"booking:{command}",
        f"person:{anna}",
        command,
        str(anna),
    )


async def test_who_would_wait_gets_the_outcome_itself(gate: Gate):
    anna = uuid7()
    await gate.say("booking", examples.SET_UP, examples.lane())

    async def answered() -> Answer:
        return await gate.post(BOOKINGS, examples.WISH, gate.token(person=anna), Prefer="wait=10")

    asking = asyncio.create_task(answered())
    about = examples.terms(anna, await _asked(gate))
    await gate.say("booking", examples.held(about))
    position = await gate.say("booking", examples.confirmed(about))
    answer = await asking
    assert answer.status == 201
    assert answer.headers["Preference-Applied"] == "wait"
    assert answer.body["outcome"]["event"] == "booking.booking-confirmed"
    assert answer.body["position"] == f"1-{position}"
    assert (await gate.get(answer.headers["Location"], gate.token(person=anna))).body["state"] == "confirmed"


async def test_a_refused_command_says_who_refused_by_which_rule_and_why(gate: Gate):
    anna = uuid7()
    asking = asyncio.create_task(gate.post(BOOKINGS, examples.WISH, gate.token(person=anna), Prefer="wait=10"))
    about = examples.terms(anna, await _asked(gate))
    await gate.say("booking", examples.SET_UP, examples.lane())
    await gate.say("booking", examples.held(about))
    await gate.say("booking", examples.rejected(about))
    answer = await asking
    assert (answer.status, answer.problem) == (409, "not-entitled")
    told = {name: answer.body[name] for name in ("refused_by", "rule", "rule_version", "reason", "detail", "command")}
    assert told == {
        "refused_by": "auth",
        "rule": "not-entitled",
        "rule_version": 2,
        "reason": "No confirmed licence allows this.",
        "detail": "No confirmed licence allows this.",
        "command": str(about.command),
    }
    status = await gate.get(f"/v1/commands/{about.command}", gate.token(person=anna))
    assert (status.status, status.body["status"]) == (200, "rejected")
    assert status.body["rejection"]["rule"] == "not-entitled"


async def test_who_cannot_have_a_time_is_told_what_else_is_free(gate: Gate):
    anna = uuid7()
    await gate.say("booking", examples.SET_UP, examples.lane(), examples.lane("lane-2"))
    entitled = EntitlementsPublished(
        person=anna,
        entitlements=(Entitlement(weapon_class="air", valid_from=EARLIEST, valid_until=LATEST),),
        rule_set="generic",
        rule_version=1,
    )
    await _projected(gate, entitled)
    await gate.say("booking", examples.held(examples.terms(uuid7())))
    asking = asyncio.create_task(gate.post(BOOKINGS, examples.WISH, gate.token(person=anna), Prefer="wait=10"))
    booking = await _asked(gate)
    refused = CommandRejected(
        command=booking,
        asked="booking.book-session",
        about=f"booking:{booking}",
        refused_by="booking",
        rule="slot-taken",
        rule_version=1,
        reason="Lane lane-1 is taken.",
    )
    await gate.say("booking", refused)
    answer = await asking
    assert (answer.status, answer.problem) == (409, "slot-taken")
    first = answer.body["alternatives"][0]
    assert (first["lane"], datetime.fromisoformat(first["starts_at"])) == ("lane-2", examples.SOON)
    assert 1 < len(answer.body["alternatives"]) <= 5


async def _projected(gate: Gate, event: EntitlementsPublished) -> None:
    """What auth told, as booking keeps it."""
    apply = SERVICES["booking"]().applies[EntitlementsPublished]
    assert not isinstance(apply, ApplyMany)
    async with gate.pools["booking"].acquire() as connection:
        await apply(connection, event)


async def test_who_waits_in_vain_is_told_that_it_is_under_way(gate: Gate):
    answer = await gate.post(BOOKINGS, examples.WISH, gate.token(), Prefer="respond-async, wait=1")
    assert (answer.status, answer.body["status"]) == (202, "pending")


async def test_sixteen_at_once_with_one_key_are_one_command(gate: Gate):
    token = gate.token()
    asked = [gate.post(BOOKINGS, examples.WISH, token, Idempotency_Key="one key") for _ in range(16)]
    answers = await asyncio.gather(*asked)
    assert {answer.status for answer in answers} == {202}
    assert len({answer.body["command"] for answer in answers}) == 1
    assert await gate.logged() == ["booking.book-session"]


async def test_a_key_belongs_to_its_sender_and_its_route(gate: Gate):
    key = {"Idempotency_Key": "7"}
    anna = gate.token("shooter", "armourer")
    first = await gate.post(BOOKINGS, examples.WISH, anna, **key)
    other_sender = await gate.post(BOOKINGS, examples.WISH, gate.token(), **key)
    other_route = await gate.post("/v1/ammunition", {"calibre": ".22 lr", "rounds": 50}, anna, **key)
    assert {one.status for one in (first, other_sender, other_route)} == {202}
    assert len({one.body["command"] for one in (first, other_sender, other_route)}) == 3


async def test_the_same_key_for_something_else_is_refused(gate: Gate):
    token = gate.token("cashier")
    await gate.post(BOOKINGS, examples.WISH, token, Idempotency_Key="7")
    other_body = await gate.post(BOOKINGS, {**examples.WISH, "rounds": 5}, token, Idempotency_Key="7")
    assert (other_body.status, other_body.problem) == (422, "idempotency-key-reused")
    first, second = uuid7(), uuid7()
    await gate.post(f"{BOOKINGS}/{first}/check-in", None, token, Idempotency_Key="8")
    other_booking = await gate.post(f"{BOOKINGS}/{second}/check-in", None, token, Idempotency_Key="8")
    assert other_booking.problem == "idempotency-key-reused"


async def test_a_key_may_stand_in_quotes_and_must_be_one(gate: Gate):
    token = gate.token()
    plain = await gate.post(BOOKINGS, examples.WISH, token, Idempotency_Key="a-key")
    quoted = await gate.post(BOOKINGS, examples.WISH, token, Idempotency_Key='"a-key"')
    assert plain.body["command"] == quoted.body["command"]
    for wrong in ("", "x" * 256, "ключ".encode().decode("latin-1"), '"open'):
        answer = await gate.post(BOOKINGS, examples.WISH, token, Idempotency_Key=wrong)
        assert (answer.status, answer.problem) == (422, "invalid-request"), wrong


async def test_a_repeated_command_that_has_ended_is_answered_by_how(gate: Gate):
    anna = uuid7()
    token = gate.token(person=anna)
    first = await gate.post(BOOKINGS, examples.WISH, token, Idempotency_Key="7")
    about = examples.terms(anna, UUID(first.body["command"]))
    await gate.say("booking", examples.SET_UP, examples.lane())
    await gate.say("booking", examples.held(about))
    await gate.say("booking", examples.confirmed(about))
    again = await gate.post(BOOKINGS, examples.WISH, token, Idempotency_Key="7")
    assert (again.status, again.body["status"]) == (201, "done")


async def test_nobody_but_the_sender_and_staff_hears_of_a_command(gate: Gate):
    anna = uuid7()
    command = (await gate.post(BOOKINGS, examples.WISH, gate.token(person=anna))).body["command"]
    path = f"/v1/commands/{command}"
    assert (await gate.get(path, gate.token(person=anna))).body["status"] == "pending"
    assert (await gate.get(path, gate.token("cashier"))).status == 200
    assert (await gate.get(path, gate.token())).problem == "not-found"
    assert (await gate.get(f"/v1/commands/{uuid7()}", gate.token(person=anna))).problem == "not-found"


async def test_staff_books_for_others_and_a_shooter_only_for_himself(gate: Gate):
    wish = {**examples.WISH, "person": str(uuid7())}
    assert (await gate.post(BOOKINGS, wish, gate.token("cashier"))).status == 202
    answer = await gate.post(BOOKINGS, wish, gate.token())
    assert (answer.status, answer.problem) == (403, "not-permitted")
    assert await gate.logged() == ["booking.book-session"]


async def test_a_booking_is_its_shooters_from_the_moment_it_was_asked_for(gate: Gate):
    anna = uuid7()
    booking = (await gate.post(BOOKINGS, examples.WISH, gate.token(person=anna))).body["command"]
    assert (await gate.post(f"{BOOKINGS}/{booking}/cancel", {}, gate.token())).problem == "not-found"
    assert (await gate.post(f"{BOOKINGS}/{booking}/cancel", {}, gate.token(person=anna))).status == 202
    await gate.say("booking", examples.SET_UP, examples.lane())
    bens = examples.terms(uuid7())
    await gate.say("booking", examples.held(bens))
    assert (await gate.post(f"{BOOKINGS}/{bens.booking}/cancel", None, gate.token(person=anna))).status == 404
    assert (await gate.post(f"{BOOKINGS}/{bens.booking}/cancel", None, gate.token(person=bens.person))).status == 202


async def test_what_the_path_says_is_part_of_the_command(gate: Gate):
    body = {"range": "club", "distance_m": 10, "discipline": "air-pistol-10m", "weapon_classes": ["air"]}
    assert (await gate.put("/v1/lanes/lane-9", body, gate.token("admin"))).status == 202
    [row] = await gate.fetch("SELECT stream, body->>'lane' AS lane FROM bus.outbox")
    assert tuple(row) == ("lane:lane-9", "lane-9")
    twice = await gate.put("/v1/lanes/lane-9", {**body, "lane": "lane-8"}, gate.token("admin"))
    assert twice.body["errors"][0]["pointer"] == "#/lane"
    badly_named = await gate.put("/v1/lanes/Lane%209", body, gate.token("admin"))
    assert badly_named.body["errors"][0]["parameter"] == "lane"


async def test_what_is_no_id_is_the_id_of_nothing(gate: Gate):
    for path in ("not-a-uuid", "%00", "..%2f..", "0" * 5000):
        answer = await gate.post(f"{BOOKINGS}/{path}/cancel", None, gate.token("admin"))
        assert (answer.status, answer.problem) == (404, "not-found"), path


async def _asked(gate: Gate) -> UUID:
    """Waits until a booking was asked for; returns its id."""
    async with asyncio.timeout(5):
        while True:
            rows = await gate.fetch("SELECT id FROM bus.outbox WHERE name = 'booking.book-session'")
            if rows:
                asked: UUID = rows[0]["id"]
                return asked
            await asyncio.sleep(0.01)


async def test_before_the_gateway_may_append_everybody_is_asked_to_come_back(gate: Gate):
    object.__setattr__(gate.ports, "registered", lambda: False)
    wish = await gate.post(BOOKINGS, examples.WISH, gate.token(person=uuid7()))
    shots = await gate.post("/v1/devices/target-1/shots", {"shots": []}, gate.device_token("target-1", "lane-1"))
    for answer in (wish, shots):
        assert (answer.status, answer.problem) == (503, "busy")
        assert answer.headers["Retry-After"] == "1"
    assert await gate.logged() == []
    assert gate.pushed == []
