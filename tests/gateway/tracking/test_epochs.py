"""A lane's target, heard by two ways, over restarts of its numbering: every shot has one identity, and its own."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gateway.tracking.epochs import Epoch, Identity, Memory, fired_at, set_clock
from gateway.tracking.shots import Sighted

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def sighted(number: int, *, x_um: int = 0, elapsed_ms: int | None = 1000, epoch: str | None = None) -> Sighted:
    return Sighted(
        number=number,
        kind="match",
        miss=False,
        x_um=x_um,
        y_um=0,
        elapsed_ms=elapsed_ms,
        face=None,
        raw_sha256="0" * 64,
        epoch=epoch,
    )


def memory() -> Memory:
    names = count(1)
    return Memory([], lambda: f"found-{next(names)}")


def identities(lane: Memory, device: str, *shots: Sighted) -> list[Identity]:
    return [lane.identify(device, shot)[1] for shot in shots]


def test_what_a_target_repeats_is_the_same_shot() -> None:
    lane = memory()
    fired = [sighted(n, x_um=n, elapsed_ms=n * 1000) for n in range(1, 6)]
    assert identities(lane, "t", *fired) == identities(lane, "t", *fired)
    assert len(lane.epochs) == 1


def test_the_same_number_with_other_content_begins_a_new_epoch() -> None:
    lane = memory()
    first = identities(lane, "t", sighted(1, x_um=1), sighted(2, x_um=2, elapsed_ms=2000))
    again = identities(lane, "t", sighted(1, x_um=9), sighted(2, x_um=8, elapsed_ms=2000))
    assert len({*first, *again}) == 4
    assert again[0].epoch == again[1].epoch != first[0].epoch


def test_the_same_place_at_another_time_is_another_shot() -> None:
    lane = memory()
    first, second = identities(lane, "t", sighted(1, elapsed_ms=1000), sighted(1, elapsed_ms=1010))
    assert first != second


def test_a_number_not_seen_yet_goes_on_unless_the_targets_clock_went_back() -> None:
    lane = memory()
    (third,) = identities(lane, "t", sighted(3, elapsed_ms=30_000))
    later, before = identities(lane, "t", sighted(5, elapsed_ms=50_000), sighted(4, elapsed_ms=40_000))
    (new,) = identities(lane, "t", sighted(9, elapsed_ms=8_000))
    assert third.epoch == later.epoch == before.epoch != new.epoch


def test_a_shot_by_both_ways_is_one_shot_whatever_the_devices_are_called() -> None:
    lane = memory()
    (by_tcp,) = identities(lane, "lane-1", sighted(1, x_um=5))
    (by_http,) = identities(lane, "target-7", sighted(1, x_um=5))
    (named,) = identities(lane, "target-7", sighted(1, x_um=5, epoch="boot-1"))
    assert by_tcp == by_http == named


def test_a_device_that_names_its_epochs_is_believed() -> None:
    lane = memory()
    one, other, again = identities(
        lane, "t", sighted(1, epoch="boot-1"), sighted(1, epoch="boot-2"), sighted(1, x_um=7, epoch="boot-1")
    )
    assert (one, other, again) == (("t", "boot-1", 1), ("t", "boot-2", 1), ("t", "boot-1", 1))


def test_without_a_clock_the_place_must_do_within_an_epoch() -> None:
    lane = memory()
    one, again, other = identities(
        lane, "t", sighted(1, x_um=5), sighted(1, x_um=5, elapsed_ms=None), sighted(1, x_um=6, elapsed_ms=None)
    )
    assert one == again != other


@dataclass
class Physical:
    """What really happened: each shot once, with its place in its target's session."""

    key: int
    session: int
    shot: Sighted


@dataclass
class Truth:
    sessions: int = 0
    stored: list[Physical] = field(default_factory=list)
    all: list[Physical] = field(default_factory=list)
    elapsed_ms: int = 0


class OneLane(RuleBasedStateMachine):
    """Sessions begin, shots fall, ways deliver late, twice, again at reconnection; ours restart in between."""

    @initialize(offset=st.integers(0, 5))
    def begin(self, offset: int) -> None:
        self.lane = memory()
        self.truth = Truth(elapsed_ms=offset)
        self.known: dict[int, Identity] = {}
        self.keys = count(1)

    @rule(offset=st.integers(0, 5))
    def the_target_begins_a_session(self, offset: int) -> None:
        self.truth.sessions += 1
        self.truth.stored = []
        self.truth.elapsed_ms = offset

    @rule(
        after_ms=st.integers(0, 5),
        tcp=st.booleans(),
        http=st.booleans(),
        coarse=st.booleans(),
    )
    def a_shot_falls(self, *, after_ms: int, tcp: bool, http: bool, coarse: bool) -> None:
        self.truth.elapsed_ms += after_ms
        key = next(self.keys)
        # Two shots may fall on one place; only place, number and time together are their own.
        place = key if not coarse else key // 2
        shot = sighted(len(self.truth.stored) + 1, x_um=place * 10, elapsed_ms=self.truth.elapsed_ms * 1000 + key)
        physical = Physical(key, self.truth.sessions, shot)
        self.truth.stored.append(physical)
        self.truth.all.append(physical)
        if tcp:
            self.deliver("lane-1", physical)
        if http:
            self.deliver("target-7", physical)

    @rule(most=st.integers(1, 100))
    def the_target_repeats_what_it_stored(self, most: int) -> None:
        for physical in self.truth.stored[-most:]:
            self.deliver("lane-1", physical)

    @precondition(lambda self: self.truth.all)
    @rule(which=st.integers(0, 10**6), way=st.sampled_from(["lane-1", "target-7"]))
    def an_old_shot_comes_late(self, which: int, way: str) -> None:
        self.deliver(way, self.truth.all[which % len(self.truth.all)])

    @rule()
    def we_restart(self) -> None:
        names = self.lane.new_name
        self.lane = Memory([replace(epoch, seen=dict(epoch.seen)) for epoch in self.lane.epochs], names)

    def deliver(self, way: str, physical: Physical) -> None:
        _, identity = self.lane.identify(way, physical.shot)
        known = self.known.setdefault(physical.key, identity)
        assert known == identity, "a shot that came again is taken for another"
        assert list(self.known.values()).count(identity) == 1, "two shots are taken for one"


TestOneLane = OneLane.TestCase


# When it was fired


def test_a_live_shot_came_when_it_came() -> None:
    epoch = Epoch("t", "e", 1, named=False)
    set_clock(epoch, sighted(1, elapsed_ms=5000), NOON, live=True)
    assert fired_at(epoch, sighted(1, elapsed_ms=5000), NOON, live=True) == NOON
    assert epoch.zero_at == NOON - 5 * SECOND


def test_a_shot_repeated_after_an_outage_is_dated_back_by_the_targets_clock() -> None:
    epoch = Epoch("t", "e", 1, named=False)
    set_clock(epoch, sighted(1, elapsed_ms=5000), NOON, live=True)
    missed = sighted(2, elapsed_ms=65_000)
    back = NOON + 3600 * SECOND
    set_clock(epoch, missed, back, live=False)
    assert fired_at(epoch, missed, back, live=False) == NOON + 60 * SECOND


def test_the_first_repeats_are_dated_by_the_latest_of_them() -> None:
    epoch = Epoch("t", "e", 1, named=False)
    repeated = [sighted(n, elapsed_ms=n * 10_000) for n in (1, 2, 3)]
    for shot in repeated:
        set_clock(epoch, shot, NOON, live=False)
    assert [fired_at(epoch, shot, NOON, live=False) for shot in repeated] == [
        NOON - 20 * SECOND,
        NOON - 10 * SECOND,
        NOON,
    ]


@pytest.mark.parametrize("elapsed_ms", [10**12, 0])
def test_a_mad_clock_dates_nothing(elapsed_ms: int) -> None:
    epoch = Epoch("t", "e", 1, named=False, zero_at=NOON - timedelta(days=30))
    assert fired_at(epoch, sighted(1, elapsed_ms=elapsed_ms), NOON, live=False) == NOON


@given(elapsed_ms=st.integers(0, 10**9), live=st.booleans(), zero_s=st.none() | st.integers(-(10**6), 10**6))
def test_no_shot_is_dated_into_the_future(*, elapsed_ms: int, live: bool, zero_s: int | None) -> None:
    zero_at = None if zero_s is None else NOON + zero_s * SECOND
    epoch = Epoch("t", "e", 1, named=False, zero_at=zero_at)
    shot = sighted(1, elapsed_ms=elapsed_ms)
    set_clock(epoch, shot, NOON, live=live)
    assert fired_at(epoch, shot, NOON, live=live) <= NOON
