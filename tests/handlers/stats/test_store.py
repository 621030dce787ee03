import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from random import Random
from typing import cast
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.message import Message
from handlers.booking.events import SessionFinished, SessionStarted
from handlers.stats.events import InterimScored, SessionScored, ShotRecorded
from handlers.stats.model.attribution import Attribution, Session
from handlers.stats.model.tally import Tally, worths
from handlers.stats.store.shots import tallies
from tests.database import Database
from tests.handlers.scenario import NOON
from tests.handlers.stats.making import SHOOTER, Stats, finished, only, shot, started

SESSION = UUID(int=1)


@pytest.fixture
async def stats(database: Database) -> AsyncIterator[Stats]:
    connection = await database.connect("stats")
    yield Stats(connection)
    await connection.close()


async def owners(stats: Stats) -> dict[tuple[str, int], UUID | None]:
    rows = await stats.connection.fetch("SELECT epoch, number, session FROM shot")
    return {(row["epoch"], row["number"]): row["session"] for row in rows}


async def test_a_shot_in_a_running_session_is_scored_and_told(stats: Stats) -> None:
    said = await stats.hear(started(), shot(1, x_um=5_000))
    told = cast("InterimScored", only(said, InterimScored))
    assert told.session == SESSION
    assert told.group.score_tenths == 103
    assert told.last_number == 1
    assert await owners(stats) == {("e1", 1): SESSION}


async def test_a_shot_that_comes_before_its_session_is_given_to_it_later(stats: Stats) -> None:
    assert await stats.hear(shot(1)) == []
    assert await owners(stats) == {("e1", 1): None}
    told = cast("InterimScored", only(await stats.hear(started()), InterimScored))
    assert told.group.shots == 1
    assert await owners(stats) == {("e1", 1): SESSION}


async def test_a_shot_outside_any_session_is_kept_and_belongs_to_none(stats: Stats) -> None:
    said = await stats.hear(started(), finished(), shot(1, at_s=-1), shot(2, at_s=3600), shot(3, lane="lane-2"))
    assert cast("SessionScored", only(said, SessionScored)).group.shots == 0
    assert set((await owners(stats)).values()) == {None}


async def test_the_final_score_is_told_from_all_shots(stats: Stats) -> None:
    await stats.hear(started(), *(shot(n, x_um=n * 1000, at_s=n) for n in range(1, 8)))
    await stats.hear(shot(8, kind="sighter"), shot(9, miss=True))
    told = cast("SessionScored", only(await stats.hear(finished()), SessionScored))
    assert (told.group.shots, told.sighters, told.misses) == (7, 1, 1)
    assert told.group.score_tenths == sum(110 - -(-n * 10 // 8) for n in range(1, 8))
    assert told.group.mean_radius_um == pytest.approx(12_000 / 7)
    assert told.group.extreme_spread_um == 6_000
    assert told.group.mean_score == pytest.approx(told.group.score_tenths / 80)


async def test_a_late_shot_is_told_in_a_new_final_score(stats: Stats) -> None:
    await stats.hear(started(), shot(1), finished())
    told = cast("SessionScored", only(await stats.hear(shot(2, at_s=70)), SessionScored))
    assert told.group.shots == 2


async def test_a_shot_after_the_finish_that_came_first_is_taken_back(stats: Stats) -> None:
    await stats.hear(started(), shot(1, at_s=10), shot(2, at_s=100))
    told = cast("SessionScored", only(await stats.hear(finished(at_s=50)), SessionScored))
    assert told.group.shots == 1
    assert await owners(stats) == {("e1", 1): SESSION, ("e1", 2): None}


async def test_the_next_shooters_start_takes_shots_from_an_unfinished_session(stats: Stats) -> None:
    await stats.hear(started(1), shot(1, at_s=10), shot(2, at_s=100))
    said = await stats.hear(started(2, at_s=50), at=NOON + timedelta(hours=3))
    assert {cast("InterimScored", one).session: cast("InterimScored", one).group.shots for one in said} == {
        UUID(int=1): 1,
        UUID(int=2): 1,
    }


async def test_shots_soon_after_a_result_are_told_together_when_asked(stats: Stats) -> None:
    at = NOON + timedelta(minutes=2)
    await stats.hear(started(), shot(1), at=at)
    assert await stats.hear(shot(2), at=at) == []
    assert await stats.hear(shot(3), at=at + timedelta(seconds=0.9)) == []
    (asked,) = await stats.scheduled()
    told = cast("InterimScored", only(await stats.hear(asked, at=at + timedelta(seconds=1)), InterimScored))
    assert told.group.shots == 3
    assert await stats.scheduled() == []


async def test_the_finish_forgets_what_was_scheduled(stats: Stats) -> None:
    at = NOON + timedelta(minutes=2)
    await stats.hear(started(), shot(1), at=at)
    await stats.hear(shot(2), at=at)
    await stats.hear(finished(), at=at)
    assert await stats.scheduled() == []


async def test_an_interim_of_a_very_long_session_does_without_the_mean_radius(stats: Stats) -> None:
    said = await stats.hear(started(), *(shot(n, x_um=n, y_um=n * n % 997) for n in range(1, 502)))
    told = cast("InterimScored", only(said, InterimScored))
    assert told.group.mean_radius_um is None
    assert told.group.extreme_spread_um is not None
    ended = cast("SessionScored", only(await stats.hear(finished()), SessionScored))
    assert ended.group.mean_radius_um is not None


async def test_a_session_that_ends_before_it_began_has_no_time(stats: Stats) -> None:
    await stats.hear(started(at_s=100), shot(1, at_s=100))
    told = cast("SessionScored", only(await stats.hear(finished(at_s=50)), SessionScored))
    assert told.group.shots == 0


@pytest.mark.parametrize("first", ["shot", "start"])
async def test_a_shot_and_a_start_handled_at_once_do_not_miss_each_other(database: Database, first: str) -> None:
    one, other = Stats(await database.connect("stats")), Stats(await database.connect("stats"))
    sooner, later = (shot(1), started()) if first == "shot" else (started(), shot(1))
    transaction = one.connection.transaction()
    await transaction.start()
    await one.hear(sooner)
    waiting = asyncio.create_task(other.hear(later))
    while not await one.connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        assert not waiting.done()
    await transaction.commit()
    told = cast("InterimScored", only(await waiting, InterimScored))
    assert told.group.shots == 1
    await one.connection.close()
    await other.connection.close()


async def test_an_index_finds_the_sessions_of_a_lane(stats: Stats) -> None:
    await stats.connection.execute(
        """
        INSERT INTO session (session, person, lane, discipline, started_at, finished_at)
        SELECT gen_random_uuid(), gen_random_uuid(), 'lane-' || n % 8, 'air-pistol-10m', d, d + interval '50 min'
        FROM generate_series(1, 20000) AS n, LATERAL (SELECT timestamptz '2026-01-01' + n * interval '1 hour' AS d)
        """
    )
    await stats.connection.execute("ANALYZE session")
    plan = await stats.connection.fetch(
        """
        EXPLAIN SELECT session FROM session
        WHERE lane = ANY (ARRAY['lane-1', 'lane-2']) AND during && tstzrange('2027-01-01', '2027-01-01 00:01', '[]')
        """
    )
    assert any("session_lane" in row[0] for row in plan), plan


# Order: whatever the interleaving of the streams, the tables and the last results are the same.

LANES = st.sampled_from(["lane-1", "lane-2"])


@st.composite
def days(draw: st.DrawFn) -> list[list[Message]]:
    """The streams of a day: sessions that may overlap, and targets whose shots fall in, between and outside them."""
    streams: list[list[Message]] = []
    for n in range(1, draw(st.integers(1, 4)) + 1):
        lane = draw(LANES)
        begin = draw(st.integers(0, 60))
        stream: list[Message] = [started(n, at_s=begin, lane=lane)]
        if draw(st.booleans()):
            stream.append(finished(n, at_s=begin + draw(st.integers(0, 40)), lane=lane))
        streams.append(stream)
    for target in range(draw(st.integers(1, 3))):
        lane = draw(LANES)
        streams.append(
            [
                shot(
                    number,
                    device=f"target-{target}",
                    lane=lane,
                    at_s=draw(st.integers(0, 110)),
                    kind=draw(st.sampled_from(["match", "match", "sighter"])),
                    miss=draw(st.sampled_from([False, False, True])),
                    x_um=draw(st.integers(-30_000, 30_000)),
                    y_um=draw(st.integers(-30_000, 30_000)),
                )
                for number in range(1, draw(st.integers(0, 6)) + 1)
            ]
        )
    return streams


def interleaved(streams: Sequence[Sequence[Message]], dice: Random) -> list[Message]:
    turns = [i for i, stream in enumerate(streams) for _ in stream]
    dice.shuffle(turns)
    heads = [iter(stream) for stream in streams]
    return [next(heads[i]) for i in turns]


def expected(streams: Sequence[Sequence[Message]]) -> dict[UUID, Tally]:
    """What each session must add up to, from all sessions and all shots at once."""
    ends = {one.booking: one.finished_at for stream in streams for one in stream if isinstance(one, SessionFinished)}
    sessions = [
        Session(one.booking, SHOOTER, one.lane, one.discipline, one.started_at, ends.get(one.booking))
        for stream in streams
        for one in stream
        if isinstance(one, SessionStarted)
    ]
    shots = [one for stream in streams for one in stream if isinstance(one, ShotRecorded)]
    attribution = Attribution(sessions)
    found = [attribution.of(one.lane, one.received_at) for one in shots]
    scored = list(zip(shots, worths(shots, found), found, strict=True))
    sums = {
        session.session: Tally.of([(one, worth) for one, worth, owner in scored if owner == session])
        for session in sessions
    }
    return {session: sums[session] for session in sums}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(days(), st.randoms(use_true_random=False), st.integers(1, 30))
async def test_shots_and_sessions_mean_the_same_in_whatever_order_they_come(
    stats: Stats, streams: list[list[Message]], dice: Random, batch: int
) -> None:
    wanted = expected(streams)
    transaction = stats.connection.transaction()
    await transaction.start()
    try:
        messages = interleaved(streams, dice)
        last: dict[UUID, InterimScored | SessionScored] = {}
        for first in range(0, len(messages), batch):
            for one in await stats.hear(*messages[first : first + batch]):
                assert isinstance(one, InterimScored | SessionScored)
                last[one.session] = one
        for asked in await stats.scheduled():
            for one in await stats.hear(asked):
                assert isinstance(one, InterimScored | SessionScored)
                last[one.session] = one
        found = await tallies(stats.connection, list(wanted))
        assert {key: found.get(key, Tally()) for key in wanted} == wanted
        for session, tally in wanted.items():
            if tally.count or session in last:
                told = last[session]
                assert (told.group.shots, told.sighters, told.misses) == (tally.shots, tally.sighters, tally.misses)
                assert told.group.score_tenths == tally.score_tenths
        ended = {one.booking for stream in streams for one in stream if isinstance(one, SessionFinished)}
        assert ended == {session for session, told in last.items() if isinstance(told, SessionScored)}
    finally:
        await transaction.rollback()
