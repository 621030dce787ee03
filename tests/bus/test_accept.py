"""The gate of the log: a command asked for again under its key is the same command."""

import asyncio

import asyncpg
import pytest

from bus.group_commit import Accepted, accept_all, key_of
from bus.identity import uuid7
from tests.bus import toy


async def test_a_command_is_accepted_under_its_id_and_stands_in_the_log(gateway, gate):
    first, second = toy.asked("a", 1), toy.asked("a", 2)
    assert await accept_all(gateway, gate.id, [first, second]) == [
        Accepted(first.id, "accepted"),
        Accepted(second.id, "accepted"),
    ]
    rows = await gateway.fetch("SELECT id, name, stream, revision, correlation, actor, body FROM bus.outbox")
    assert [row["id"] for row in rows] == [first.id, second.id]
    assert [row["correlation"] for row in rows] == [first.id, second.id]
    row = rows[0]
    assert (row["name"], row["stream"], row["revision"], row["actor"]) == ("booking.add", "tally:a", None, "person:x")
    assert toy.Add.read(1, row["body"]) == first.command


async def test_the_same_key_and_body_give_the_first_ones_id_and_no_second_command(gateway, gate):
    first, again = toy.asked("a", 1, key="k"), toy.asked("a", 1, key="k")
    await accept_all(gateway, gate.id, [first])
    assert await accept_all(gateway, gate.id, [again]) == [Accepted(first.id, "repeated")]
    assert await toy.logged(gateway) == [first.id]


async def test_the_same_key_with_another_body_conflicts(gateway, gate):
    first, other = toy.asked("a", 1, key="k"), toy.asked("a", 2, key="k")
    await accept_all(gateway, gate.id, [first])
    assert await accept_all(gateway, gate.id, [other]) == [Accepted(first.id, "conflicting")]
    assert await toy.logged(gateway) == [first.id]


async def test_keys_of_different_scopes_do_not_meet(gateway, gate):
    mine = toy.asked("a", 1, key="k")
    yours = type(mine)(key_of("person:y POST /adds", "k"), mine.hash, uuid7(), mine.command, "person:y")
    await accept_all(gateway, gate.id, [mine])
    assert await accept_all(gateway, gate.id, [yours]) == [Accepted(yours.id, "accepted")]


async def test_one_batch_may_repeat_a_key_contradict_it_and_ask_for_others(gateway, gate):
    first, again, other = toy.asked("a", 1, key="k"), toy.asked("a", 1, key="k"), toy.asked("a", 2, key="k")
    new = toy.asked("b", 3)
    assert await accept_all(gateway, gate.id, [first, new, again, other]) == [
        Accepted(first.id, "accepted"),
        Accepted(new.id, "accepted"),
        Accepted(first.id, "repeated"),
        Accepted(first.id, "conflicting"),
    ]
    assert await toy.logged(gateway) == [first.id, new.id]


async def test_the_very_same_request_twice_in_a_batch_is_one_command(gateway, gate):
    one = toy.asked("a", 1, key="k")
    assert await accept_all(gateway, gate.id, [one, one]) == [Accepted(one.id, "accepted")] * 2
    assert await toy.logged(gateway) == [one.id]


async def test_a_batch_sent_again_with_the_same_ids_is_accepted_as_before_and_adds_nothing(gateway, gate):
    batch = [toy.asked("a", number) for number in range(5)]
    once = await accept_all(gateway, gate.id, batch)
    assert await accept_all(gateway, gate.id, batch) == once
    assert await toy.logged(gateway) == [one.id for one in batch]


async def test_sixteen_with_the_same_key_at_once_make_one_command(database, gateway, gate):
    connections = [await database.connect("gateway") for _ in range(16)]
    batches = [[toy.asked("a", 1, key="k"), toy.asked("a", 2, key=f"own-{number}")] for number in range(16)]
    answers = await asyncio.gather(
        *(accept_all(connection, gate.id, batch) for connection, batch in zip(connections, batches, strict=True))
    )
    contended = [answer for answer, _ in answers]
    assert len({answer.id for answer in contended}) == 1
    assert sorted(answer.verdict for answer in contended) == ["accepted"] + ["repeated"] * 15
    assert {answer.verdict for _, answer in answers} == {"accepted"}
    assert len(await toy.logged(gateway)) == 17
    for connection in connections:
        await connection.close()


async def test_keys_are_taken_in_their_own_order_so_that_opposite_orders_do_not_deadlock(database, gateway, gate):
    """Whoever asks for both waits for the first, and holds nothing that the holder of the first may want."""
    first, second = sorted("ab", key=lambda key: toy.asked("t", 1, key=key).key)
    other, watcher = await database.connect("gateway"), await database.connect("postgres")
    async with other.transaction():
        await accept_all(other, gate.id, [toy.asked("t", 1, key=first)])
        waiting = asyncio.create_task(
            accept_all(gateway, gate.id, [toy.asked("t", 1, key=second), toy.asked("t", 1, key=first)])
        )
        async with asyncio.timeout(5):
            while not await watcher.fetchval("SELECT true FROM pg_locks WHERE NOT granted"):
                assert not waiting.done()
        await accept_all(other, gate.id, [toy.asked("t", 1, key=second)])
    assert [answer.verdict for answer in await waiting] == ["repeated", "repeated"]
    for connection in (other, watcher):
        await connection.close()


async def test_a_key_whose_first_request_was_rolled_back_is_free_again(database, gateway, gate):
    undone, next_ = toy.asked("a", 1, key="k"), toy.asked("a", 2, key="k")
    other = await database.connect("gateway")
    transaction = other.transaction()
    await transaction.start()
    await accept_all(other, gate.id, [undone])
    waiting = asyncio.create_task(accept_all(gateway, gate.id, [next_]))
    watcher = await database.connect("postgres")
    async with asyncio.timeout(5):
        while not await watcher.fetchval("SELECT true FROM pg_locks WHERE NOT granted"):
            assert not waiting.done()
    await transaction.rollback()
    assert await waiting == [Accepted(next_.id, "accepted")]
    assert await toy.logged(gateway) == [next_.id]
    for connection in (other, watcher):
        await connection.close()


async def test_a_producer_that_may_not_append_a_name_gets_nothing_in(gateway):
    stranger = await toy.register(gateway, ["booking.added"])
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=r"may not append booking\.add$"):
        await accept_all(gateway, stranger.id, [toy.asked("a", 1)])
    assert await gateway.fetchval("SELECT count(*) FROM bus.accepted") == 0
    assert await toy.logged(gateway) == []
