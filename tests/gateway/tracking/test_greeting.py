"""When what a target repeats is over: never while it repeats, and with its second live shot at the latest."""

from random import Random

import pytest

from gateway.tracking.greeting import Greeting
from tests.gateway.tracking.test_epochs import sighted


@pytest.mark.parametrize("seed", range(20))
def test_what_is_repeated_in_a_burst_is_never_taken_for_live(seed: int) -> None:
    dice = Random(seed)
    greeting, at_s, elapsed_ms = Greeting(), 0.0, 0
    for number in range(1, 101):
        at_s += dice.uniform(0, 0.04)
        elapsed_ms += dice.randrange(100, 20_000)
        assert not greeting.is_over([sighted(number, elapsed_ms=elapsed_ms)], at_s)


@pytest.mark.parametrize("seed", range(20))
def test_the_second_of_two_live_shots_ends_it_whatever_was_repeated_before(seed: int) -> None:
    dice = Random(seed)
    greeting, at_s, elapsed_ms = Greeting(), 0.0, 0
    greeting.is_over([sighted(n, elapsed_ms=n * 1000) for n in range(1, 11)], at_s)
    at_s, elapsed_ms = 0.2, 600_000
    assert not greeting.is_over([sighted(11, elapsed_ms=elapsed_ms)], at_s)
    apart_s = dice.uniform(0.06, 0.29)
    jitter_s = dice.uniform(-0.01, 0.01)
    assert greeting.is_over([sighted(12, elapsed_ms=elapsed_ms + round(apart_s * 1000))], at_s + apart_s + jitter_s)


def test_shots_without_a_time_say_nothing() -> None:
    greeting = Greeting()
    assert not greeting.is_over([sighted(1, elapsed_ms=None), sighted(2, elapsed_ms=1000)], 0.0)
    assert not greeting.is_over([sighted(3, elapsed_ms=None)], 1.0)
