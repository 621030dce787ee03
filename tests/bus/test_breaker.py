"""The circuit breaker by itself: when it opens, who probes, and for how long it stays open."""

import random

import pytest

from bus.breaker import Breaker
from bus.service import Dependency, Hears
from tests.bus import toy


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def nobody(_message, _given):
    return None


POLICY = Dependency("provider", nobody, opens_at=0.5, of_last=10, at_least=4, first_s=5, longest_s=30)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock) -> Breaker:
    return Breaker(POLICY, clock)


def told(breaker: Breaker, ends: str) -> None:
    for end in ends:
        assert breaker.lets_through()
        (breaker.succeeded if end == "." else breaker.failed)()


def test_it_opens_by_the_share_of_its_last_calls_and_not_before_there_are_enough(breaker):
    told(breaker, "xxx")
    assert breaker.lets_through()
    told(breaker, "x")
    assert not breaker.lets_through()


def test_a_failure_now_and_then_does_not_open_it(breaker):
    for _ in range(100):
        told(breaker, ".x.")
    assert breaker.state == "closed"


def test_failures_of_long_ago_are_forgotten(breaker):
    told(breaker, "x.x." + "." * 10 + "xxxx")
    assert breaker.state == "closed"
    told(breaker, "x")
    assert breaker.state == "open"


def test_after_the_wait_one_call_decides(breaker, clock):
    told(breaker, "xxxx")
    clock.now += 4.9
    assert not breaker.lets_through()
    assert breaker.probe_in_s() == pytest.approx(0.1)
    clock.now += 0.2
    assert breaker.lets_through()
    assert breaker.state == "half-open"
    breaker.succeeded()
    assert breaker.state == "closed"
    told(breaker, "xx")
    assert breaker.state == "closed"  # it begins to count anew, with the probe


def test_each_probe_that_fails_doubles_the_wait_up_to_its_limit(breaker, clock):
    told(breaker, "xxxx")
    waits = []
    for _ in range(6):
        waits.append(breaker.probe_in_s())
        clock.now += waits[-1]
        assert breaker.lets_through()
        breaker.failed()
    assert waits == [5, 10, 20, 30, 30, 30]
    clock.now += 30
    assert breaker.lets_through()
    breaker.succeeded()
    told(breaker, "xxx")
    assert breaker.probe_in_s() == 5


def test_it_never_lets_a_call_through_while_it_is_open_whatever_happens(clock):
    chosen = random.Random(3)
    breaker = Breaker(POLICY, clock)
    open_until = 0.0
    for _ in range(5000):
        clock.now += chosen.random() * 3
        if not breaker.lets_through():
            assert clock.now < open_until
            continue
        assert clock.now >= open_until
        was = breaker.state
        (breaker.succeeded if chosen.random() < 0.4 else breaker.failed)()
        if breaker.state == "open":
            open_until = clock.now + (breaker.probe_in_s() or 0)
        else:
            assert (breaker.state, was) != ("half-open", "half-open")


def test_what_depends_on_something_is_handled_one_by_one():
    with pytest.raises(ValueError, match="one by one"):
        Hears(toy.Add, batch=True, depends=POLICY)
