"""Whether all is at work, as the gateway tells it."""

from pathlib import Path

from bus.identity import uuid7
from bus.membership import LASTS, Membership
from bus.partitions import NONE
from gateway.health import SERVICES as NAMES
from handlers.wiring import SERVICES
from tests.database import Database
from tests.gateway.examples import SET_UP
from tests.gateway.gate import Gate, open_gate


async def test_it_lives(gate: Gate):
    assert (await gate.get("/health/live")).body == {"status": "alive"}


async def test_it_is_ready_once_all_five_are_at_work_and_none_is_stuck(database: Database, tmp_path: Path):
    async with open_gate(database, tmp_path) as gate:
        answer = await gate.get("/health/ready")
        assert (answer.status, answer.body["ready"], answer.body["database"]) == (503, False, True)
        connections = [await database.connect(name) for name in NAMES]
        for name, connection in zip(NAMES, connections, strict=True):
            membership = Membership(connection, SERVICES[name](), uuid7())
            await membership.enter()
            await membership.balance(connection, suspect=NONE)
        await gate.fetch(
            "INSERT INTO bus.progress SELECT s, -1, 0, bus.horizon(), 0, 0, 1, now() FROM unnest($1::text[]) AS s",
            list(NAMES),
        )
        assert (await gate.get("/health/ready")).body["ready"]

        await gate.fetch("UPDATE bus.progress SET to_position = 1, at = now() - interval '1 minute'")
        await gate.say("booking", SET_UP)
        young = (await gate.get("/health/ready")).body
        assert (young["ready"], {one["behind"] > 0 for one in young["services"]}) == (True, {True})
        await gate.fetch("UPDATE bus.outbox SET at = at - interval '20 seconds'")
        stuck = (await gate.get("/health/ready")).body
        assert not stuck["ready"]
        assert {one["stuck"] for one in stuck["services"]} == {True}

        await gate.fetch("UPDATE bus.progress SET to_position = bus.horizon()")
        assert (await gate.get("/health/ready")).body["ready"]

        await gate.fetch("INSERT INTO bus.circuit VALUES ('payment', 'provider', 'open', now(), 1)")
        told = (await gate.get("/health/ready")).body
        assert (told["ready"], [one["circuits_open"] for one in told["services"]][3]) == (True, ["provider"])
        await gate.fetch("INSERT INTO bus.pause VALUES ('stats', 'consumer', '', 'a look')")
        told = (await gate.get("/health/ready")).body
        assert (told["ready"], [one["paused"] for one in told["services"]][4]) == (False, True)
        await gate.fetch("DELETE FROM bus.pause")
        connections[0].terminate()
        await gate.fetch("SELECT pg_terminate_backend(backend) FROM bus.worker WHERE consumer = 'auth'")
        gone = (await gate.get("/health/ready")).body
        assert [one["service"] for one in gone["services"] if not one["at_work"]] == ["auth"]
        assert LASTS.total_seconds() > 1, "it was told before its time ran out"
        for connection in connections[1:]:
            await connection.close()
