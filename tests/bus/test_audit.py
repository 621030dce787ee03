"""The auditor's arithmetic: true of every honest reading however it is cut, and red at each planted fault."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.audit import Reading, Row
from bus.desk import DIGEST_FACTOR, DIGEST_MASK
from bus.partitions import ALL, PARTITIONS, holds, only

POSITIONS = [2, 3, 5, 8, 13, 21]


def row(from_position: int, to_position: int, heard: list[int], *, fence: int = 1, partitions: int = ALL) -> Row:
    digest = 0
    for position in heard:
        digest ^= position * DIGEST_FACTOR & DIGEST_MASK
    return Row(partitions, from_position, to_position, len(heard), digest, fence)


def spread(positions: list[int]) -> list[tuple[int, int]]:
    """Each position, in some partition."""
    return [(one, one * 37 % PARTITIONS) for one in positions]


def between(positions: list[int], after: int, upto: int) -> list[int]:
    return [one for one in positions if after < one <= upto]


HONEST = [row(a, b, between(POSITIONS, a, b)) for a, b in pairwise((0, 4, 10, 11, 30))]


@given(
    positions=st.sets(st.integers(1, 200)).map(sorted),
    batches=st.sets(st.integers(1, 199)).map(sorted),
    parts=st.sets(st.integers(1, 199)).map(sorted),
)
def test_an_honest_reading_is_found_so_however_it_was_cut_and_is_looked_at(positions, batches, parts):
    rows = [row(a, b, between(positions, a, b)) for a, b in pairwise((0, *batches, 200))]
    reading = Reading("booking")
    for after, upto in pairwise((0, *parts, 200)):
        ended = [one for one in rows if after < one.to_position <= upto]
        assert list(reading.go_on(ended, spread(between(positions, after, upto)))) == []
    assert (reading.cursor, reading.messages, reading.rows) == (200, len(positions), len(rows))


@st.composite
def readings_of_many(draw):
    """Partitions that changed hands now and then: at each step, a set of them moves on from where they all stand."""
    cursors, fence, rows = [0] * PARTITIONS, 0, []
    positions = draw(st.sets(st.integers(1, 60)).map(sorted))
    for upto in range(10, 61, 10):
        fence += draw(st.integers(0, 1))
        borders = sorted({0, PARTITIONS, *draw(st.lists(st.integers(0, PARTITIONS), max_size=3))})
        for first, end in pairwise(borders):
            if draw(st.booleans()) and upto < 60:
                continue  # they wait for a later row
            for start in set(cursors[first:end]):
                mine = [n for n in range(first, end) if cursors[n] == start]
                partitions = sum(only(n) for n in mine)
                heard = [one for one, where in spread(between(positions, start, upto)) if holds(partitions, where)]
                rows.append(row(start, upto, heard, fence=fence, partitions=partitions))
                for n in mine:
                    cursors[n] = upto
    return positions, rows


@given(made=readings_of_many(), part=st.integers(1, 60), chosen=st.integers(0, 999))
def test_so_is_one_whose_partitions_changed_hands_and_each_row_of_it_counts(made, part, chosen):
    positions, rows = made
    reading = Reading("booking")
    for after, upto in ((0, part), (part, 60)):
        ended = [one for one in rows if after < one.to_position <= upto]
        assert list(reading.go_on(ended, spread(between(positions, after, upto)))) == []
    assert (reading.cursor, reading.messages, reading.rows) == (60, len(positions), len(rows))
    missing = chosen % len(rows)
    without = [*rows[:missing], *rows[missing + 1 :]]
    reading = Reading("booking")
    assert list(reading.go_on(without, spread(positions))) or reading.cursor < 60
    twice = [*rows[: missing + 1], *rows[missing:]]
    assert list(Reading("booking").go_on(twice, spread(positions)))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([HONEST[0], *HONEST[2:]], "begins after 4, where the one before ends: the positions between were skipped"),
        ([HONEST[0], HONEST[1], row(5, 10, [8]), HONEST[2]], "begins before 10"),
        ([HONEST[0], replace(HONEST[1], count=3)], "tells of 3 messages, the log has 2"),
        ([HONEST[0], row(4, 10, [5, 9])], "tells of other messages"),
        ([HONEST[0], row(4, 10, [])], "tells of 0 messages, the log has 2"),
        ([replace(HONEST[0], fence=2), HONEST[1]], "fence 1, after fence 2"),
    ],
    ids=["a gap", "an overlap", "one too many", "another", "none told", "a sleeper's"],
)
def test_each_planted_fault_is_named_with_its_row(rows, words):
    faults = list(Reading("booking").go_on(rows, spread(POSITIONS)))
    assert any(words in fault for fault in faults), faults
    assert all(fault.startswith("booking's progress (") for fault in faults)


def test_what_lies_above_the_cursor_is_not_yet_to_be_seen():
    assert list(Reading("booking").go_on(HONEST[:2], spread(POSITIONS))) == []
