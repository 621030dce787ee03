import pytest

from bench.figures import Bound, Measured, all_in_turns, in_turns, percentile


def test_the_ratio_is_that_of_the_medians():
    measured = Measured(values=[10, 90, 20], baseline_values=[40, 30, 50])
    assert (measured.value, measured.baseline_value, measured.ratio) == (20, 40, 0.5)


@pytest.mark.parametrize(
    ("bound", "value", "ratio", "met"),
    [
        (Bound(ratio_at_least=0.5), 1, 0.5, True),
        (Bound(ratio_at_least=0.5), 1, 0.49, False),
        (Bound(ratio_at_most=2), 1, 2.01, False),
        (Bound(ratio_at_least=0.15, value_at_least=60_000), 59_999, 0.9, False),
        (Bound(ratio_at_least=0.15, value_at_least=60_000), 60_000, 0.9, True),
        (Bound(), 1, 1, None),
    ],
)
def test_a_bound_is_met_or_missed_or_there_is_none(bound, value, ratio, met):
    assert bound.met(value, ratio) is met


def test_a_bound_says_what_is_asked():
    assert str(Bound(ratio_at_least=0.15, value_at_least=60_000)) == "ratio ≥ 0.15, ≥ 60,000"
    assert str(Bound()) == "stated"


@pytest.mark.parametrize(("percent", "found"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_a_percentile_is_one_of_the_values(percent, found):
    assert percentile(range(1, 101), percent) == found
    assert percentile([7.0], percent) == 7.0


async def test_both_sides_are_measured_in_turns_and_take_turns_in_going_first():
    order = []

    async def ours(number):
        order.append(("ours", number))
        return number

    async def baseline(number):
        order.append(("baseline", number))
        return -number

    told = []
    assert await in_turns(3, ours, baseline, lambda *one: told.append(one)) == ([0, 1, 2], [0, -1, -2])
    assert [side for side, _ in order] == ["ours", "baseline", "baseline", "ours", "ours", "baseline"]
    assert told[-1] == ("round 3 of 3", 5, 6)


async def test_each_of_many_sides_goes_first_in_its_turn():
    order = []

    def side(name):
        async def measure(number):
            order.append((name, number))
            return f"{name}{number}"

        return measure

    found = await all_in_turns(3, [side("a"), side("b"), side("c")], lambda *_: None)
    assert found == [["a0", "a1", "a2"], ["b0", "b1", "b2"], ["c0", "c1", "c2"]]
    assert [name for name, _ in order] == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
