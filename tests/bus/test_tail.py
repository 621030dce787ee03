"""The live end of the log: no gap and no repetition between what was missed and what comes, for fast and slow."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bus import reading, tail
from bus.bell import Bell, Ringer
from bus.tail import ForeignEpoch, Tail, TooSlow
from bus.tasks import running, set_within
from tests.bus import toy
from tests.bus.test_consumer import adds

ADD = "booking.add"
PUT = "booking.put-off"
WITHIN_S = 20.0


class SilentBell(Bell):
    """Never rings, and never will."""

    def __init__(self) -> None:
        super().__init__("", "")


@asynccontextmanager
async def reading_on(pool, bell: Bell | None = None) -> AsyncIterator[Tail]:
    live = Tail(pool, bell or SilentBell())
    await live.open()
    async with running(live.run()):
        yield live


async def take(messages, count: int) -> list[int]:
    """The amounts of the next so many additions."""
    async with asyncio.timeout(WITHIN_S):
        return [toy.Add.read(1, (await anext(messages)).body).amount for _ in range(count)]


async def position_of(connection, amount: int) -> int:
    position: int = await connection.fetchval(
        "SELECT position FROM bus.outbox WHERE name = $1 AND (body ->> 'amount')::int = $2", ADD, amount
    )
    return position


async def test_a_follower_gets_what_comes_of_the_names_it_asked_for(pool, booking, producer):
    async with reading_on(pool) as live, live.follow([ADD]) as messages:
        await toy.append(booking, producer, *adds(1), toy.Put(tally="a"), *adds(2))
        assert await take(messages, 2) == [1, 2]


async def test_whoever_joins_need_not_wait_for_the_next_look(monkeypatch, pool, booking, producer):
    monkeypatch.setattr(tail, "POLL_S", 3600.0)
    monkeypatch.setattr(tail, "POLL_UNHEARD_S", 3600.0)
    idle = asyncio.Event()

    async def waiting(event, timeout_s):
        idle.set()
        return await set_within(event, timeout_s)

    monkeypatch.setattr(tail, "set_within", waiting)
    async with reading_on(pool) as live:
        await idle.wait()
        await toy.append(booking, producer, *adds(1))
        async with live.follow([ADD]) as messages, asyncio.timeout(5):
            assert await take(messages, 1) == [1]


async def test_without_any_bell_it_still_comes(monkeypatch, pool, booking, producer):
    monkeypatch.setattr(tail, "POLL_UNHEARD_S", 0.02)
    async with reading_on(pool) as live, live.follow([ADD]) as messages:
        for number in range(3):
            await toy.append(booking, producer, *adds(number))
            assert await take(messages, 1) == [number]


async def test_a_ring_brings_it_at_once(monkeypatch, database, pool, booking, producer):
    monkeypatch.setattr(tail, "POLL_S", 3600.0)
    bell, ringer = Bell(database.url("gateway"), "test"), Ringer(database.url("gateway"), "test")
    async with running(bell.run(), ringer.run()), reading_on(pool, bell) as live, live.follow([ADD]) as messages:
        async with asyncio.timeout(WITHIN_S):
            while not bell.listening:
                await asyncio.sleep(0.005)
        for number in range(3):
            await toy.append(booking, producer, *adds(number))
            ringer.ring()
            assert await take(messages, 1) == [number]


async def test_a_follower_goes_on_after_the_place_where_it_was(pool, booking, producer):
    await toy.append(booking, producer, *adds(*range(1, 8)))
    after = await position_of(booking, 3)
    async with reading_on(pool) as live, live.follow([ADD], after=(live.epoch, after)) as messages:
        assert await take(messages, 4) == [4, 5, 6, 7]
        await toy.append(booking, producer, *adds(8))
        assert await take(messages, 1) == [8]


async def test_a_place_in_another_life_of_the_log_is_refused(pool):
    async with reading_on(pool) as live:
        with pytest.raises(ForeignEpoch):
            async with live.follow([ADD], after=(live.epoch + 1, 0)):
                pass


async def test_whoever_joins_while_the_reader_is_reading_for_others_misses_nothing(
    monkeypatch, pool, booking, producer
):
    """The read under way does not ask for the newcomer's names, and moves the common cursor past them."""
    inside, go_on = asyncio.Event(), asyncio.Event()
    read = reading.read

    async def slowly(connection, after, topics, names, most):
        if names == [PUT]:
            await toy.append(booking, producer, *adds(1))
            inside.set()
            await go_on.wait()
        return await read(connection, after, topics, names, most)

    async with reading_on(pool) as live, live.follow([PUT]) as others:
        waiting = asyncio.ensure_future(anext(others))
        monkeypatch.setattr(reading, "read", slowly)
        async with asyncio.timeout(WITHIN_S):
            await inside.wait()
        async with live.follow([ADD]) as messages:
            first = asyncio.create_task(take(messages, 1))
            await asyncio.sleep(0)
            go_on.set()
            assert await first == [1]
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_whoever_joins_while_nobody_followed_misses_nothing(monkeypatch, pool, booking, producer):
    inside, go_on = asyncio.Event(), asyncio.Event()
    fetchval = type(booking).fetchval

    async def slowly(connection, query, *args, **kwargs):
        if "horizon" in query and not inside.is_set():
            inside.set()
            await go_on.wait()
        return await fetchval(connection, query, *args, **kwargs)

    async with reading_on(pool) as live:
        monkeypatch.setattr(type(booking), "fetchval", slowly)
        async with asyncio.timeout(WITHIN_S):
            await inside.wait()
        async with live.follow([ADD]) as messages:
            first = asyncio.create_task(take(messages, 1))
            await asyncio.sleep(0)
            await toy.append(booking, producer, *adds(1))
            go_on.set()
            assert await first == [1]


async def test_a_long_way_to_catch_up_is_no_slowness(monkeypatch, pool, booking, producer):
    """While it reads its past at its own pace, what comes meanwhile does not fill its queue."""
    monkeypatch.setattr(tail, "FOLLOWER_QUEUE", 10)
    monkeypatch.setattr(tail, "READ_AT_ONCE", 4)
    await toy.append(booking, producer, *adds(*range(50)))
    async with reading_on(pool) as live, live.follow([ADD], after=(live.epoch, 0)) as messages:
        assert await take(messages, 1) == [0]
        await toy.append(booking, producer, *adds(*range(50, 100)))
        async with asyncio.timeout(WITHIN_S):
            while live._cursor < await position_of(booking, 99):
                await asyncio.sleep(0.005)
        assert await take(messages, 99) == list(range(1, 100))


async def test_a_follower_that_does_not_keep_up_is_let_go_and_disturbs_nobody(monkeypatch, pool, booking, producer):
    monkeypatch.setattr(tail, "FOLLOWER_QUEUE", 5)
    async with reading_on(pool) as live, live.follow([ADD]) as slow, live.follow([ADD]) as quick:
        await toy.append(booking, producer, *adds(0))
        assert await take(slow, 1) == await take(quick, 1) == [0]
        for number in range(1, 12):
            await toy.append(booking, producer, *adds(number))
            assert await take(quick, 1) == [number]
        with pytest.raises(TooSlow):
            await take(slow, 12)


async def test_who_left_is_forgotten(pool, booking, producer):
    async with reading_on(pool) as live:
        async with live.follow([ADD]) as messages:
            await toy.append(booking, producer, *adds(1))
            assert await take(messages, 1) == [1]
            assert len(live._followers) == 1
        assert not live._followers


async def test_an_open_append_does_not_make_it_hammer_the_database(monkeypatch, database, pool, booking, producer):
    """Above the horizon something may still appear without a ring: it looks again soon, and not without pause."""
    reads = 0
    read = reading.read

    async def counting(*args):
        nonlocal reads
        reads += 1
        return await read(*args)

    monkeypatch.setattr(reading, "read", counting)
    slow = await database.connect("booking")
    async with reading_on(pool) as live, live.follow([ADD]) as messages:
        transaction = slow.transaction()
        await transaction.start()
        await toy.append(slow, producer, *adds(1))
        await toy.append(booking, producer, *adds(2))
        first = asyncio.create_task(take(messages, 2))
        await asyncio.sleep(0.3)
        before = reads
        await asyncio.sleep(0.3)
        assert reads - before < 0.3 / tail.UNSETTLED_S + 2
        assert not first.done()
        await transaction.commit()
        assert await first == [1, 2]
    await slow.close()


async def write(connection, producer, base: int, chance: random.Random) -> None:
    """Appends one at a time, each in a transaction that stays open for a moment."""
    for number in range(60):
        async with connection.transaction():
            message = toy.Add(tally="a", amount=base + number) if chance.random() < 0.7 else toy.Put(tally="b")
            await toy.append(connection, producer, message)
            await asyncio.sleep(chance.random() * 0.004)


async def come_and_go(live: Tail, names: list[str], chance: random.Random) -> list[int]:
    """The positions that a client sees which breaks off three times and goes on where it was."""
    seen: list[int] = []
    for _ in range(3):
        async with live.follow(names, after=(live.epoch, seen[-1]) if seen else None) as messages:
            for _ in range(chance.randint(1, 6)):
                try:
                    async with asyncio.timeout(0.3):
                        seen.append((await anext(messages)).position)
                except TimeoutError:
                    break
    return seen


async def test_with_writers_and_followers_coming_and_going_nobody_misses_or_repeats(pool, database, booking, producer):
    """Every follower sees an unbroken run of its own names, from where it began, wherever that was."""
    chance = random.Random(3)
    done = asyncio.Event()
    histories: list[tuple[list[str], list[int]]] = []
    writers = [await database.connect("booking") for _ in range(3)]

    async def clients(live: Tail, names: list[str]) -> None:
        while not done.is_set():
            histories.append((names, await come_and_go(live, names, chance)))

    async with reading_on(pool) as live:
        following = [asyncio.create_task(clients(live, names)) for names in ([ADD], [PUT], [ADD, PUT]) for _ in "ab"]
        await asyncio.gather(*(write(one, producer, 1000 * number, chance) for number, one in enumerate(writers)))
        done.set()
        await asyncio.gather(*following)
    histories = [(names, seen) for names, seen in histories if len(seen) > 1]
    assert len(histories) > 5, "the interesting thing happened"
    for names, seen in histories:
        rows = await booking.fetch(
            "SELECT position FROM bus.outbox WHERE name = ANY ($1) AND position BETWEEN $2 AND $3 ORDER BY position",
            names,
            seen[0],
            seen[-1],
        )
        assert seen == [row["position"] for row in rows]
    for writer in writers:
        await writer.close()
