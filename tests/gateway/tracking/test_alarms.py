from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.tracking.alarms import SILENT_AFTER, Watch
from gateway.tracking.shots import Sighted
from tests.gateway.tracking.test_epochs import sighted

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def kinds(*told: tuple[Sighted, float]) -> list[tuple[str, int | None]]:
    watch = Watch()
    for shot, at_s in told:
        watch.look([shot], NOON + timedelta(seconds=at_s))
    return [(one.kind, one.number) for one in watch.alarms(None, NOON, missing=False)]


def test_a_shooters_shots_raise_no_alarm() -> None:
    assert kinds(*((sighted(n, x_um=n % 3, elapsed_ms=n * 1500), n * 1.5) for n in range(1, 61))) == []


def test_two_shots_faster_than_any_pistol_are_told_by_the_devices_clock_however_late_they_come() -> None:
    assert kinds((sighted(1, elapsed_ms=1000), 1), (sighted(2, x_um=9000, elapsed_ms=1050), 9)) == [
        ("impossible-cadence", 2)
    ]
    assert kinds((sighted(1, elapsed_ms=1000), 1), (sighted(2, x_um=9000, elapsed_ms=1500), 1.01)) == []


def test_the_same_hole_twice_within_a_second_is_a_double_hit() -> None:
    one, other = sighted(1, x_um=4000, elapsed_ms=1000), sighted(2, x_um=4500, elapsed_ms=1600)
    assert kinds((one, 1), (other, 1.6)) == [("double-hit", 2)]
    assert kinds((one, 1), (replace(other, x_um=7000), 1.6)) == []
    assert kinds((one, 1), (one, 1.1)) == []  # it is repeated


def test_a_cross_shot_that_the_machine_saw_is_told() -> None:
    assert kinds((replace(sighted(1), invalid="cross-shot"), 1)) == [("cross-shot", 1)]


def test_what_is_so_now_is_told_with_a_clock_that_is_off_and_a_target_that_fell_silent() -> None:
    watch = Watch()
    watch.look([sighted(1)], NOON)
    later = NOON + SILENT_AFTER + timedelta(seconds=1)
    assert [one.kind for one in watch.alarms(-6.0, later, missing=True)] == ["clock-skew", "silent", "shots-missing"]
    assert watch.alarms(4.0, NOON, missing=False) == []


def test_alarms_are_bounded() -> None:
    watch = Watch()
    for n in range(1, 1000):
        watch.look([sighted(n, elapsed_ms=n)], NOON)
    assert len(watch.alarms(None, NOON, missing=False)) == 20
