"""The service in its worker, over a real log: from shots to results, and the tables again from the log alone."""

from datetime import timedelta
from uuid import UUID

from handlers.rebuild import verify
from handlers.stats.events import InterimScored, SessionScored
from handlers.stats.service import service as stats
from tests.handlers.stats.at_work import Range
from tests.handlers.stats.making import ceased, finished, shot, started


async def test_shots_become_interim_and_final_results(at_work: Range) -> None:
    await at_work.say(started())
    await at_work.shoot(shot(1, x_um=5_000))
    await at_work.told(InterimScored)
    await at_work.shoot(shot(2, x_um=9_000, at_s=61), shot(3, kind="sighter", at_s=62))
    (first, *_, last) = await at_work.told(InterimScored, "body->>'sighters' = '1'")
    assert isinstance(first, InterimScored)
    assert isinstance(last, InterimScored)
    assert (first.group.shots, last.group.shots, last.last_number) == (1, 2, 3)
    assert last.scored_at - first.scored_at >= timedelta(seconds=1)
    await at_work.say(finished())
    (final,) = await at_work.told(SessionScored)
    assert isinstance(final, SessionScored)
    assert final.group.score_tenths == 103 + 98
    await at_work.shoot(shot(4, at_s=63))
    *_, late = await at_work.told(SessionScored, "body->'group'->>'shots' = '3'")
    assert isinstance(late, SessionScored)


async def test_every_shot_of_a_session_is_told_under_the_bookings_story(at_work: Range) -> None:
    await at_work.say(started())
    await at_work.shoot(shot(1))
    await at_work.told(InterimScored)
    row = await at_work.gateway.fetchrow("SELECT correlation, stream FROM bus.outbox WHERE name LIKE 'stats.%'")
    assert row is not None
    assert (row["correlation"], row["stream"]) == (UUID(int=1), f"session:{UUID(int=1)}")


async def test_the_tables_are_the_same_when_replayed_from_the_log(at_work: Range) -> None:
    await at_work.shoot(shot(1, epoch="early", at_s=5))
    await at_work.say(started(1), started(2, lane="lane-2"))
    for batch in range(5):
        numbers = range(batch * 20 + 1, batch * 20 + 21)
        await at_work.shoot(
            *(shot(n, x_um=n * 137 % 40_000, y_um=n * n % 30_000, at_s=n, miss=n % 17 == 0) for n in numbers),
            *(shot(n, device="target-2", lane="lane-2", x_um=n, at_s=n) for n in numbers),
        )
    await at_work.say(finished(1, at_s=95), started(3, at_s=97), ceased())
    await at_work.told(SessionScored)
    await at_work.shoot(shot(1, epoch="late", at_s=50))
    await at_work.told(SessionScored, "body->'group'->>'shots' = '91'")
    await at_work.told(InterimScored, f"body->>'session' = '{UUID(int=3)}'")
    compared = await verify(at_work.database.url("postgres"), stats(), lambda _: None)
    assert {one.table for one in compared if one.rows} == {"cease_fire", "lane", "result", "session", "shot", "tally"}
    assert [one for one in compared if not one.same] == []
