"""Shots: each (device, epoch, number) counts once, whichever way and in whatever order it comes."""

import asyncio

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.identity import uuid7
from bus.shots import record_shots
from tests.bus import toy


def shots(*numbers: int, device: str = "d1", epoch: str = "e1") -> list[toy.Shot]:
    return [toy.Shot(device=device, epoch=epoch, number=number) for number in numbers]


async def record(connection, gate, *told: toy.Shot):
    return await record_shots(connection, gate.id, told, ["device:d1"] * len(told))


async def recorded(connection, device: str = "d1", epoch: str = "e1") -> list[int]:
    """The numbers in the log, in the log's order."""
    rows = await connection.fetch(
        """
        SELECT revision FROM bus.outbox
        WHERE topic = 'telemetry' AND body ->> 'device' = $1 AND body ->> 'epoch' = $2 ORDER BY position
        """,
        device,
        epoch,
    )
    return [row["revision"] for row in rows]


async def test_shots_stand_in_the_log_with_their_numbers(gateway, gate):
    [told] = await record(gateway, gate, *shots(1, 2, 3))
    assert (told.device, told.epoch, told.recorded, told.repeated, told.missing) == ("d1", "e1", 3, 0, [])
    rows = await gateway.fetch("SELECT topic, name, stream, actor, body FROM bus.outbox ORDER BY position")
    assert {(row["topic"], row["name"], row["stream"], row["actor"]) for row in rows} == {
        ("telemetry", "booking.shot", "shots:d1", "device:d1")
    }
    assert [toy.Shot.read(1, row["body"]).number for row in rows] == [1, 2, 3]


async def test_a_shot_told_again_is_counted_and_dropped(gateway, gate):
    await record(gateway, gate, *shots(1, 2, 3))
    [told] = await record(gateway, gate, *shots(2, 3, 4))
    assert (told.recorded, told.repeated) == (1, 2)
    assert await recorded(gateway) == [1, 2, 3, 4]


async def test_a_shot_told_twice_at_once_counts_once(gateway, gate):
    [told] = await record(gateway, gate, *shots(1, 1, 2, 1))
    assert (told.recorded, told.repeated) == (2, 2)
    assert await recorded(gateway) == [1, 2]


async def test_a_gap_is_accepted_reported_and_closed_by_what_comes_late(gateway, gate):
    [told] = await record(gateway, gate, *shots(1, 2, 5, 9))
    assert told.missing == [(3, 5), (6, 9)]
    [told] = await record(gateway, gate, *shots(4, 3))
    assert (told.recorded, told.missing) == (2, [(6, 9)])
    assert await recorded(gateway) == [1, 2, 5, 9, 4, 3], "the log keeps the order of arrival"


async def test_gaps_are_reported_also_when_nothing_new_was_told(gateway, gate):
    await record(gateway, gate, *shots(1, 4))
    [told] = await record(gateway, gate, *shots(4))
    assert (told.recorded, told.repeated, told.missing) == (0, 1, [(2, 4)])


async def test_the_same_number_of_another_epoch_or_device_is_another_shot(gateway, gate):
    told = await record(
        gateway, gate, *shots(1), *shots(1, epoch="e2"), *shots(1, device="d2"), *shots(1, 2, device="d2")
    )
    assert sorted((one.device, one.epoch, one.recorded, one.repeated) for one in told) == [
        ("d1", "e1", 1, 0),
        ("d1", "e2", 1, 0),
        ("d2", "e1", 2, 1),
    ]


async def test_what_one_epoch_has_says_nothing_about_another(gateway, gate):
    await record(gateway, gate, *shots(1))
    await record(gateway, gate, *shots(5, epoch="e2"))
    [told] = await record(gateway, gate, *shots(1))
    assert (told.recorded, told.repeated) == (0, 1)


async def test_one_device_told_two_ways_at_once_counts_once(database, gateway, gate):
    """By its socket and by HTTP, in opposite orders and different pieces, with a second device in every call."""
    ways = [await database.connect("gateway") for _ in range(4)]
    everything = list(range(1, 121))

    async def tell(way: int) -> int:
        numbers = everything if way % 2 else everything[::-1]
        new = 0
        for at in range(0, len(numbers), 7 + way):
            piece = numbers[at : at + 7 + way]
            batch = [*shots(*piece), *shots(*piece, device="d0")]
            told = await record(ways[way], gate, *(batch if way < 2 else batch[::-1]))
            new += sum(one.recorded for one in told)
        return new

    async with asyncio.timeout(20):
        counts = await asyncio.gather(*(tell(way) for way in range(4)))
    assert sum(counts) == 2 * len(everything)
    for device in ("d0", "d1"):
        assert sorted(await recorded(gateway, device)) == everything
    for way in ways:
        await way.close()


async def test_a_device_with_too_many_islands_is_refused_and_changes_nothing(database, gateway, gate):
    admin = await database.connect("postgres")
    await admin.execute(
        "CREATE OR REPLACE FUNCTION bus.island_limit() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 3'"
    )
    await admin.close()
    await record(gateway, gate, *shots(1, 3, 5))
    with pytest.raises(asyncpg.ProgramLimitExceededError, match="more than 3 gaps"):
        await record(gateway, gate, *shots(2, 7, 9))
    assert await recorded(gateway) == [1, 3, 5]
    [told] = await record(gateway, gate, *shots(4, 7))
    assert told.missing == [(2, 3), (6, 7)], "with a gap closed there is room for another island"


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(order=st.permutations(range(1, 13)), extra=st.lists(st.integers(1, 12), max_size=8), piece=st.integers(1, 5))
async def test_any_order_repetition_and_cut_gives_each_number_once(gateway, gate, order, extra, piece):
    epoch = str(uuid7())
    numbers = [*order, *extra]
    for at in range(0, len(numbers), piece):
        [told] = await record(gateway, gate, *shots(*numbers[at : at + piece], epoch=epoch))
        seen = set(numbers[: at + piece])
        gaps = {number for low, high in told.missing for number in range(low, high)}
        assert gaps == set(range(min(seen), max(seen))) - seen
    assert sorted(await recorded(gateway, epoch=epoch)) == list(range(1, 13))
