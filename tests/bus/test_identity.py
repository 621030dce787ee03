"""Identifiers: they sort by the time they were made."""

import time
from uuid import RFC_4122, UUID

from bus.identity import uuid7


def test_they_are_version_7_and_unique():
    made = [uuid7() for _ in range(10_000)]
    assert len(set(made)) == len(made)
    assert {(one.version, one.variant) for one in made} == {(7, RFC_4122)}


def test_they_sort_by_the_millisecond_they_were_made_in(monkeypatch):
    made: list[UUID] = []
    for millisecond in (0, 1, 2**16, 1_700_000_000_000, 1_700_000_000_001, 2**48 - 1):
        monkeypatch.setattr(time, "time_ns", lambda at=millisecond: at * 1_000_000)
        made += [uuid7(), uuid7()]
    assert [one.int >> 80 for one in made] == sorted(one.int >> 80 for one in made)
    assert [made[index] < made[index + 2] for index in range(len(made) - 2)] == [True] * (len(made) - 2)


def test_they_carry_the_present_time():
    before = time.time_ns() // 1_000_000
    made = uuid7().int >> 80
    assert before <= made <= time.time_ns() // 1_000_000


async def test_the_database_sorts_them_alike(booking):
    made = [uuid7() for _ in range(100)]
    assert await booking.fetchval("SELECT array_agg(u ORDER BY u) FROM unnest($1::uuid[]) AS u", made) == sorted(made)
    assert await booking.fetchval("SELECT uuid_extract_version($1)", made[0]) == 7
