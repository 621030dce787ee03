from collections import Counter

import pytest

from simulation.cast import Habit, cast


def test_the_same_seed_makes_the_same_day():
    assert cast(40, 8, 7) == cast(40, 8, 7)
    assert cast(40, 8, 7) != cast(40, 8, 8)


def test_a_day_of_forty_has_every_habit():
    habits = Counter(part.habit for part in cast(40, 8, 1))
    assert set(habits) == set(Habit)
    assert habits[Habit.NO_SHOW] == 2
    assert habits[Habit.NONE] >= 10


@pytest.mark.parametrize("shooters", range(1, 60))
def test_everybody_has_a_part_and_a_number_of_his_own(shooters: int):
    parts = cast(shooters, 8, 1)
    assert sorted(part.number for part in parts) == list(range(1, shooters + 1))
    assert len({part.login for part in parts}) == shooters


def test_rivals_race_each_other():
    parts = {part.number: part for part in cast(60, 8, 3)}
    racing = [part for part in parts.values() if part.habit is Habit.RACES]
    assert len(racing) == 6
    assert all(parts[part.rival or 0].rival == part.number for part in racing)
    assert all(part.rival is None for part in parts.values() if part.habit is not Habit.RACES)


def test_who_does_not_come_books_first_and_a_small_day_waits_for_nobody():
    assert [part.habit for part in cast(40, 8, 5)[:2]] == [Habit.NO_SHOW] * 2
    assert Habit.NO_SHOW not in {part.habit for part in cast(6, 2, 5)}


def test_no_lane_waits_for_two():
    assert Counter(part.habit for part in cast(200, 1, 5))[Habit.NO_SHOW] == 1
