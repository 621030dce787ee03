"""Dead letters over HTTP: the same as on the command line, for admins; what a consumer makes of it is the bus's."""

import asyncpg
import pytest

from bus import dead_letters
from bus.dead_letters import Wanted
from tests.bus import toy
from tests.gateway.gate import Answer, Gate

LETTERS = "/v1/dead-letters"


@pytest.fixture
async def booking(gate: Gate):
    connection = await gate.database.connect("booking")
    yield connection
    await connection.close()


@pytest.fixture
async def positions(gate: Gate, booking: asyncpg.Connection) -> list[int]:
    """Two dead letters of one cause; a held stream, a parked and a blocked one; another service's dead letter."""
    producer = await toy.register(booking, toy.NAMES)
    await toy.append(booking, producer, *(toy.Put(tally=tally) for tally in "abcdef"))
    rows = await booking.fetch("SELECT position, stream, name FROM bus.outbox ORDER BY position")
    for row in rows[:2]:
        await booking.execute(
            """
            INSERT INTO bus.dead_letter (consumer, position, stream, name, attempts, cause, error)
            VALUES ('booking', $1, $2, $3, 8, 'ValueError in model.py:decide', 'Traceback: ValueError: no')
            """,
            *row,
        )
    for row, held, at in ((rows[2], True, "now"), (rows[3], False, "now"), (rows[4], False, "infinity")):
        await booking.execute(
            f"""
            INSERT INTO bus.parked (consumer, stream, head, last, attempts, retry_at, held, cause, error)
            VALUES ('booking', $1, $2, $2, 3, '{at}', $3, 'OSError in x.py:y', 'OSError: away')
            """,
            row["stream"],
            row["position"],
            held,
        )
    auth = await gate.database.connect("auth")
    await auth.execute(
        """
        INSERT INTO bus.dead_letter (consumer, position, stream, name, attempts, cause, error)
        VALUES ('auth', $1, $2, $3, 1, 'ValueError in other.py:f', 'no')
        """,
        *rows[5],
    )
    await auth.close()
    return [row["position"] for row in rows]


def groups(answer: Answer) -> list[tuple[str, str, str, int]]:
    assert answer.status == 200, answer
    return [(one["service"], one["state"], one["cause"], one["number"]) for one in answer.body["groups"]]


def told(answer: Answer, which: str = "moved") -> list[int]:
    assert answer.status == 200, answer
    return [one["position"] for one in answer.body[which]]


async def states(booking: asyncpg.Connection) -> list[str]:
    return [one.state for one in await dead_letters.find(booking, "booking", Wanted())]


@pytest.mark.usefixtures("positions")
async def test_they_are_listed_by_cause(gate: Gate):
    admin = gate.token("admin")
    assert groups(await gate.get(LETTERS, admin)) == [
        ("auth", "dead", "ValueError in other.py:f", 1),
        ("booking", "blocked", "OSError in x.py:y", 1),
        ("booking", "dead", "ValueError in model.py:decide", 2),
        ("booking", "held", "OSError in x.py:y", 1),
        ("booking", "parked", "OSError in x.py:y", 1),
    ]
    assert len(groups(await gate.get(f"{LETTERS}?cause=ValueError", admin))) == 2
    assert groups(await gate.get(f"{LETTERS}?service=booking&stream=tally:c", admin)) == [
        ("booking", "held", "OSError in x.py:y", 1)
    ]
    assert (await gate.get(f"{LETTERS}?service=nobody", admin)).problem == "invalid-request"


async def test_one_is_shown_with_its_message_and_its_error(gate: Gate, positions: list[int]):
    admin = gate.token("admin")
    shown = (await gate.get(f"{LETTERS}/booking/{positions[0]}", admin)).body
    assert (shown["state"], shown["attempts"], shown["error"]) == ("dead", 8, "Traceback: ValueError: no")
    assert shown["message"]["body"] == {"tally": "a"}
    blocked = (await gate.get(f"{LETTERS}/booking/{positions[4]}", admin)).body
    assert (blocked["state"], blocked["at"]) == ("blocked", None)
    for nothing in (f"booking/{positions[5]}", "booking/0", "nobody/1", "booking/x"):
        assert (await gate.get(f"{LETTERS}/{nothing}", admin)).status == 404


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(gate: Gate, booking, positions: list[int]):
    admin = gate.token("admin")
    for action in ("requeue", "discard"):
        before = await states(booking)
        foretold = await gate.post(f"{LETTERS}/{action}", {"cause": "ValueError in model", "dry_run": True}, admin)
        assert told(foretold) == positions[:2]
        assert foretold.body["dry_run"]
        assert await states(booking) == before
        done = await gate.post(f"{LETTERS}/{action}", {"cause": "ValueError in model"}, admin)
        assert told(done) == positions[:2]
    assert await states(booking) == ["discarded", "discarded", *before[2:]]


async def test_they_are_requeued_by_one_by_stream_and_by_cause(gate: Gate, booking, positions: list[int]):
    admin = gate.token("admin")
    assert told(await gate.post(f"{LETTERS}/requeue", {"positions": [positions[1]]}, admin)) == [positions[1]]
    assert await states(booking) == ["dead", "requeued", "held", "parked", "blocked"]
    assert told(await gate.post(f"{LETTERS}/requeue", {"stream": "tally:c"}, admin)) == [positions[2]]
    assert await states(booking) == ["dead", "requeued", "parked", "parked", "blocked"]
    assert told(await gate.post(f"{LETTERS}/requeue", {"service": "auth"}, admin)) == [positions[5]]
    assert told(await gate.post(f"{LETTERS}/requeue", {"cause": "OSError"}, admin)) == positions[2:5]


async def test_a_held_head_is_given_up_by_its_consumer_and_a_parked_one_is_left_alone(
    gate: Gate, booking, positions: list[int]
):
    done = await gate.post(f"{LETTERS}/discard", {"cause": "OSError"}, gate.token("admin"))
    assert (told(done), told(done, "left_alone")) == ([positions[2]], positions[3:5])
    assert await booking.fetchval("SELECT give_up FROM bus.parked WHERE head = $1", positions[2])


async def test_a_command_whose_sender_was_told_is_left_alone(gate: Gate, booking, positions: list[int]):
    admin = await gate.database.connect("postgres")
    await admin.execute(
        "INSERT INTO bus.outcome SELECT id, 'failed', position, now() FROM bus.outbox WHERE position = $1", positions[0]
    )
    await admin.close()
    for dry_run in (True, False):
        done = await gate.post(f"{LETTERS}/requeue", {"cause": "model.py", "dry_run": dry_run}, gate.token("admin"))
        assert (told(done), told(done, "left_alone")) == ([positions[1]], [positions[0]])
    assert (await states(booking))[:2] == ["dead", "requeued"]


async def test_who_says_nothing_means_nothing(gate: Gate):
    nothing: list[dict[str, object]] = [{}, {"dry_run": True}, {"positions": []}, {"everything": False}]
    for body in nothing:
        assert (await gate.post(f"{LETTERS}/requeue", body, gate.token("admin"))).problem == "invalid-request"
    assert (await gate.post(f"{LETTERS}/discard", {"everything": True}, gate.token("admin"))).status == 200


async def test_nobody_but_an_admin_sees_or_moves_them(gate: Gate):
    for token in (gate.token("armourer", "instructor", "cashier", "analyst"), gate.token("shooter")):
        assert (await gate.get(LETTERS, token)).status == 403
        assert (await gate.post(f"{LETTERS}/discard", {"everything": True}, token)).status == 403


async def test_the_gateway_can_move_them_and_nothing_else_of_them(gate: Gate, positions: list[int]):
    gateway = await gate.database.connect("gateway")
    for statement in (
        "UPDATE bus.dead_letter SET attempts = 0",
        "DELETE FROM bus.dead_letter",
        "UPDATE bus.parked SET head = head + 1",
        "DELETE FROM bus.parked",
        "INSERT INTO bus.dead_letter SELECT * FROM bus.dead_letter",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await gateway.execute(statement)
    assert positions
    await gateway.close()
