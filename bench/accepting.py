"""How many commands a second one gateway process takes, each made durable before it is answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from bench.child import Child, child
from bench.figures import Measured, Size, Tell, in_turns
from bench.ground import database, signing
from bench.range_at_work import at_work, program
from bus.errors import Refusal
from bus.identity import uuid7
from handlers.auth.issuing import user_token
from ops.postgres import free_port
from ops.settings import Settings

PATH: Final = "/v1/bookings"
CONNECTIONS: Final = 64
WARM_UP_S: Final = 0.5


async def accepting(server: Settings, size: Size, tell: Tell) -> Measured:
    """Bookings asked of the gateway, beside a bare aiohttp handler that parses the same body and answers."""
    tell("starting the gateway", 0, 1)
    person, bare_port = uuid7(), free_port()
    programs = [program("auth", "worker", "auth"), program("gateway", "gateway")]
    async with (
        database(server, "http") as log,
        at_work(log, programs, lambda gateway: bool(gateway["registered"])) as running,
        child("bench.bare", log) as bare,
        child("bench.loading", log) as generator,
    ):
        bare.ask(port=bare_port, path=PATH, answer=_answer(uuid7()))
        await bare.answer()
        question = {"path": PATH, "body": wish(person), "token": await _token(log, person), "connections": CONNECTIONS}
        question |= {"seconds": size.seconds, "warm_up_s": min(WARM_UP_S, size.seconds)}
        ours, baseline = await in_turns(
            size.rounds,
            partial(_rate, generator, {**question, "port": running.port}),
            partial(_rate, generator, {**question, "port": bare_port}),
            tell,
        )
    return Measured(ours, baseline, {"connections": CONNECTIONS, "seconds": size.seconds})


async def _rate(generator: Child, question: dict[str, Any], _number: int) -> float:
    generator.ask(**question)
    answer = await generator.answer()
    if "wrong" in answer:
        raise Refusal(f"A request was not accepted: {answer['wrong']}.")
    return float(answer["answers"]) / float(answer["seconds"])


async def _token(log: Settings, person: UUID) -> str:
    async with signing(log) as (signer, at):
        return user_token(signer.key_at(at), person, ["shooter"], at)


def wish(person: UUID) -> str:
    """The body of a request for a booking, as an app would send it."""
    starts_at = datetime(2026, 6, 1, 12, tzinfo=UTC)
    return json.dumps(
        {
            "person": str(person),
            "lane": "lane-1",
            "starts_at": starts_at.isoformat(),
            "ends_at": (starts_at + timedelta(hours=1)).isoformat(),
            "weapon_class": "air",
            "weapon_type": "air-pistol",
            "rounds": 40,
        }
    )


def _answer(command: UUID) -> str:
    """What the gateway answers, in the same length."""
    links = {"command": f"/v1/commands/{command}", "result": f"/v1/bookings/{command}"}
    told = {"command": str(command), "status": "pending", "position": None, "outcome": None, "rejection": None}
    return json.dumps({**told, "links": links})
