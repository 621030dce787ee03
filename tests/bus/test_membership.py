"""Who does what of a consumer's work: shares that never overlap, are fair, and are lost for good once they are lost."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import combinations

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus import membership as membership_module
from bus.errors import LeaseLost
from bus.identity import uuid7
from bus.membership import Membership
from bus.partitions import ALL, NONE, PARTITIONS, how_many
from tests.bus import toy

WITHIN_S = 10.0


@pytest.fixture
async def admin(database) -> AsyncIterator[asyncpg.Connection]:
    connection = await database.connect("postgres")
    yield connection
    await connection.close()


@pytest.fixture
async def other(database) -> AsyncIterator[asyncpg.Connection]:
    connection = await database.connect("booking")
    yield connection
    await connection.close()


async def join(connection: asyncpg.Connection) -> Membership:
    membership = Membership(connection, toy.toy(), uuid7())
    await membership.enter()
    return membership


async def settle(connection: asyncpg.Connection, *workers: Membership) -> int:
    """All take their turns until nobody has anything to change; returns what they were told to suspect."""
    suspect = NONE
    for _ in range(2 * len(workers) + 2):
        before = [worker.fence for worker in workers]
        for worker in workers:
            suspect |= await worker.balance(connection, suspect=NONE)
        if [worker.fence for worker in workers] == before:
            return suspect
    text = f"shares still change: {[how_many(one.partitions) for one in workers]}"
    raise AssertionError(text)


async def expire(admin: asyncpg.Connection, worker: Membership) -> None:
    """What a worker finds that was frozen for too long."""
    await admin.execute(
        "UPDATE bus.worker SET expires_at = clock_timestamp() - interval '1 ms' WHERE boot = $1", worker._boot
    )


def shares(*workers: Membership) -> list[int]:
    return sorted(how_many(one.partitions) for one in workers)


async def test_one_alone_holds_all_and_those_who_come_get_equal_shares(booking):
    first = await join(booking)
    assert await settle(booking, first) == NONE
    assert first.partitions == ALL
    second, third = await join(booking), await join(booking)
    assert await settle(booking, first, second, third) == NONE
    assert shares(first, second, third) == [21, 21, 22]
    await second.leave(booking, suspect=NONE)
    assert await settle(booking, third, first) == NONE, "it went in good order"
    assert shares(first, third) == [32, 32]


@pytest.mark.parametrize("workers", range(1, 7))
async def test_as_few_partitions_as_possible_change_hands(booking, workers):
    working = [await join(booking) for _ in range(workers)]
    await settle(booking, *working)
    before = [one.partitions for one in working]
    newcomer = await join(booking)
    await settle(booking, newcomer, *working)
    assert how_many(newcomer.partitions) == PARTITIONS // (workers + 1)
    for worker, had in zip(working, before, strict=True):
        assert worker.partitions & ~had == NONE, "who was there gives, and takes nothing"
    kept = [one.partitions for one in working]
    await newcomer.leave(booking, suspect=NONE)
    await settle(booking, *working)
    assert all(worker.partitions & mine == mine for worker, mine in zip(working, kept, strict=True))


async def test_the_share_of_one_whose_connection_ended_is_free_at_once_and_suspect(booking, other):
    dying, heir = await join(other), await join(booking)
    await settle(booking, dying, heir)
    mine, left = heir.partitions, dying.partitions
    other.terminate()
    async with asyncio.timeout(WITHIN_S):
        while not await booking.fetchval("SELECT bus.heartbeat($1, $2, '10 s')", "booking", heir._boot):
            await asyncio.sleep(0.01)
    assert await heir.balance(booking, suspect=NONE) == left, "and nothing of what it had before"
    assert (heir.partitions, mine | left) == (ALL, ALL)


async def test_what_a_survivor_still_suspects_is_suspect_to_whom_it_gives_it(booking, admin):
    dead = await join(booking)
    await settle(booking, dead)
    await expire(admin, dead)
    heir = await join(booking)
    assert await heir.balance(booking, suspect=NONE) == ALL
    newcomer = await join(booking)
    await heir.balance(booking, suspect=heir.partitions)
    assert await newcomer.balance(booking, suspect=NONE) == newcomer.partitions != NONE
    await newcomer.leave(booking, suspect=NONE)
    kept = heir.partitions
    await heir.leave(booking, suspect=kept)
    last = await join(booking)
    assert await last.balance(booking, suspect=NONE) == kept


async def test_one_whose_time_ran_out_is_lost_although_it_lives_and_nobody_took_anything(monkeypatch, booking, admin):
    worker = await join(booking)
    await settle(booking, worker)
    await expire(admin, worker)
    for attempt in (worker.check(booking), worker.balance(booking, suspect=NONE)):
        with pytest.raises(LeaseLost):
            await attempt
    with pytest.raises(LeaseLost):
        async with asyncio.timeout(WITHIN_S):
            await worker.keep(asyncio.Event(), lambda: None)
    monkeypatch.setattr(membership_module, "LASTS", timedelta(seconds=5))
    await worker.enter()
    assert await worker.balance(booking, suspect=NONE) == ALL, "it has to suspect itself"


async def test_while_it_gives_signs_of_life_it_stays(monkeypatch, booking, admin):
    monkeypatch.setattr(membership_module, "LASTS", timedelta(seconds=1))
    worker = await join(booking)
    began = await admin.fetchval("SELECT expires_at FROM bus.worker")
    told = asyncio.Event()
    keeping = asyncio.create_task(worker.keep(asyncio.Event(), told.set))
    async with asyncio.timeout(WITHIN_S):
        await told.wait()
        while await admin.fetchval("SELECT expires_at FROM bus.worker") < began + timedelta(seconds=1):
            await asyncio.sleep(0.01)
    assert worker.unbalanced
    keeping.cancel()


async def test_nobody_takes_a_share_over_between_the_check_and_the_commit_that_rests_on_it(booking, other, admin):
    sleeper = await join(booking)
    await settle(booking, sleeper)
    heir = await join(other)
    async with booking.transaction():
        await sleeper.check(booking)
        await expire(admin, sleeper)  # a heartbeat passes, and so would the time
        assert await heir.balance(other, suspect=NONE) == heir.partitions == NONE
        enter = "SELECT bus.enter('booking', $1, '', 1, '{}', '{}', '10 s')"
        assert await other.fetchval(enter, sleeper._boot) is None, "not even the same process, begun anew"
    assert await heir.balance(other, suspect=NONE) == heir.partitions == ALL


async def test_no_commit_rests_on_a_partition_that_was_given_away(booking):
    worker = await join(booking)
    await settle(booking, worker)
    await settle(booking, worker, await join(booking))
    fence = worker.fence
    await worker.check(booking)
    for under, partitions in ((fence, ALL), (fence - 1, worker.partitions), (fence + 1, worker.partitions)):
        with pytest.raises(asyncpg.PostgresError, match="no longer held"):
            await booking.execute("SELECT bus.check_share('booking', $1, $2)", under, partitions)
    with pytest.raises(asyncpg.PostgresError, match="no longer held"):
        await booking.execute("SELECT bus.advance('booking', $1, $2, 0, 5, 0, 0)", fence, ALL)


# Whoever comes, goes, freezes or looks, in whatever order

STEPS = st.lists(
    st.tuples(st.sampled_from(["join", "join", "balance", "balance", "balance", "leave", "freeze"]), st.integers(0, 9)),
    max_size=25,
)


class Team:
    """The workers of a consumer, and which partitions ought to be suspect."""

    def __init__(self, connection: asyncpg.Connection, admin: asyncpg.Connection) -> None:
        self._connection = connection
        self._admin = admin
        self._suspect = NONE
        self.living: list[Membership] = []

    async def do(self, what: str, which: int) -> None:
        if what == "join" or not self.living:
            self.living.append(await join(self._connection))
            return
        worker = self.living[which % len(self.living)]
        if what == "balance":
            await self.balance(worker)
            return
        self.living.remove(worker)
        if what == "leave":
            await worker.leave(self._connection, suspect=NONE)
        else:
            await expire(self._admin, worker)
            self._suspect |= worker.partitions

    async def balance(self, worker: Membership) -> None:
        before = worker.partitions
        told = await worker.balance(self._connection, suspect=NONE)
        gained = worker.partitions & ~before
        assert told == gained & self._suspect
        self._suspect &= ~gained
        for one, another in combinations(self.living, 2):
            assert one.partitions & another.partitions == NONE

    async def settle(self) -> None:
        for _ in range(2 * len(self.living) + 2):
            for worker in self.living:
                await self.balance(worker)
        for worker in self.living:
            assert not await self._connection.fetchval("SELECT bus.heartbeat('booking', $1, '10 s')", worker._boot)
        assert self._suspect == NONE


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
async def test_shares_never_overlap_and_in_the_end_all_is_held_fairly_and_only_the_deads_is_suspect(
    booking, admin, steps
):
    await admin.execute("TRUNCATE bus.worker, bus.consumer")
    team = Team(booking, admin)
    for what, which in [*steps, ("join", 0)]:
        await team.do(what, which)
    await team.settle()
    assert sum(shares(*team.living)) == PARTITIONS
    assert max(shares(*team.living)) - min(shares(*team.living)) <= 1
    assert len({worker.fence for worker in team.living}) == len(team.living)
