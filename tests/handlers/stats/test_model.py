from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given as drawn
from hypothesis import strategies as st

from bus.service import Schedule, Unschedule
from handlers.stats.commands import PublishInterim
from handlers.stats.events import Group, InterimScored, SessionScored, ShotRecorded
from handlers.stats.model.attribution import Attribution, Session
from handlers.stats.model.tally import Tally, Worth, worths
from handlers.stats.model.telling import Standing, Told, tell, tell_what_changed
from handlers.stats.statistics import group
from tests.handlers.scenario import NOON, given
from tests.handlers.stats.making import SHOOTER, shot

SECOND = timedelta(seconds=1)
RUNNING = Session(UUID(int=1), SHOOTER, "lane-1", "air-pistol-10m", NOON, None)
FINISHED = replace(RUNNING, finished_at=NOON + timedelta(hours=1))
WHOLE = group([0], [0], [109], 1, 0)
KEY = f"interim:{RUNNING.session}"
PUBLISH = PublishInterim(session=RUNNING.session)


def told(shots: int, *, ago: timedelta = SECOND / 2, final: bool = False, score_tenths: int = 0) -> Told:
    return Told(final, shots, 0, 0, score_tenths, NOON - ago)


def interim(tally: Tally) -> InterimScored:
    return InterimScored(
        session=RUNNING.session,
        lane="lane-1",
        group=tally.group(None),
        sighters=0,
        misses=0,
        last_number=None,
        scored_at=NOON,
    )


def final(whole: Group = WHOLE) -> SessionScored:
    return SessionScored(
        session=FINISHED.session,
        person=SHOOTER,
        lane="lane-1",
        discipline="air-pistol-10m",
        group=whole,
        sighters=0,
        misses=0,
        started_at=NOON,
        finished_at=NOON + timedelta(hours=1),
        scored_at=NOON,
    )


def hits(n: int) -> Tally:
    return Tally(shots=n, hull=((0, 0),))


def test_the_first_shot_is_told_at_once() -> None:
    given([Standing(RUNNING, hits(1), None)]).when(tell_what_changed, []).then(interim(hits(1)), Unschedule(KEY))


def test_the_next_shot_waits_until_a_second_has_passed() -> None:
    given([Standing(RUNNING, hits(2), told(1))]).when(tell_what_changed, []).then(
        Schedule(KEY, NOON + SECOND / 2, PUBLISH)
    )


def test_after_a_second_a_shot_is_told_at_once() -> None:
    given([Standing(RUNNING, hits(2), told(1, ago=SECOND))]).when(tell_what_changed, []).then(
        interim(hits(2)), Unschedule(KEY)
    )


def test_ten_new_shots_are_told_at_once() -> None:
    given([Standing(RUNNING, hits(11), told(1))]).when(tell_what_changed, []).then(interim(hits(11)), Unschedule(KEY))


def test_a_clock_set_back_delays_nothing() -> None:
    given([Standing(RUNNING, hits(2), told(1, ago=-timedelta(hours=1)))]).when(tell_what_changed, []).then(
        interim(hits(2)), Unschedule(KEY)
    )


def test_nothing_new_is_not_told_again() -> None:
    given([Standing(RUNNING, hits(3), told(3))]).when(tell_what_changed, []).then()


def test_a_session_without_shots_has_nothing_to_tell_until_it_ends() -> None:
    given([Standing(RUNNING, Tally(), None)]).when(tell_what_changed, []).then()
    given([Standing(FINISHED, Tally(), None, whole=WHOLE)]).when(tell_what_changed, []).then(final(), Unschedule(KEY))


def test_a_finished_session_gets_its_final_score_though_no_shot_is_new() -> None:
    given([Standing(FINISHED, hits(3), told(3), whole=WHOLE)]).when(tell_what_changed, []).then(
        final(), Unschedule(KEY)
    )


def test_a_late_shot_replaces_the_final_score() -> None:
    given([Standing(FINISHED, hits(4), told(3, final=True), whole=WHOLE)]).when(tell_what_changed, []).then(
        final(), Unschedule(KEY)
    )


def test_a_final_score_that_still_holds_is_not_told_again() -> None:
    given([Standing(FINISHED, hits(3), told(3, final=True))]).when(tell_what_changed, []).then()


def test_whoever_asks_is_answered_though_nothing_is_new() -> None:
    given(Standing(RUNNING, hits(3), told(3))).when(tell, PUBLISH).then(interim(hits(3)))
    given(Standing(FINISHED, hits(3), told(3, final=True), whole=WHOLE)).when(tell, PUBLISH).then(final())


# Attribution

MOMENTS = st.integers(0, 20).map(lambda s: NOON + s * SECOND)


@st.composite
def sessions(draw: st.DrawFn) -> list[Session]:
    found = []
    for i in range(draw(st.integers(0, 5))):
        begin = draw(MOMENTS)
        end = draw(st.none() | MOMENTS)
        found.append(
            Session(
                UUID(int=i),
                SHOOTER,
                draw(st.sampled_from(["a", "b"])),
                "air-pistol-10m",
                begin,
                None if end is None else max(begin, end),
            )
        )
    return found


@drawn(sessions(), st.sampled_from(["a", "b"]), MOMENTS)
def test_a_shot_goes_to_the_latest_session_of_its_lane_that_contains_it(
    known: list[Session], lane: str, moment: datetime
) -> None:
    found = Attribution(known).of(lane, moment)
    containing = [s for s in known if s.lane == lane and s.contains(moment)]
    assert (found is None) == (not containing)
    if found is not None:
        assert found in containing
        assert found.started_at == max(s.started_at for s in containing)


def test_a_shot_at_the_finish_is_no_longer_the_sessions() -> None:
    assert not FINISHED.contains(NOON + timedelta(hours=1))
    assert FINISHED.contains(NOON)


# Tallies

SHOTS = st.lists(
    st.builds(
        shot,
        st.integers(1, 99),
        at_s=st.integers(0, 60),
        kind=st.sampled_from(["match", "sighter"]),
        miss=st.booleans(),
        x_um=st.integers(-80_000, 80_000),
        y_um=st.integers(-80_000, 80_000),
    ),
    max_size=12,
)


def tally(shots: list[ShotRecorded]) -> Tally:
    return Tally.of(list(zip(shots, worths(shots, [RUNNING] * len(shots)), strict=True)))


@drawn(SHOTS, st.integers(0, 12), st.randoms(use_true_random=False))
def test_shots_add_up_the_same_in_any_order_and_any_parts(shots: list[ShotRecorded], cut: int, dice: object) -> None:
    whole = tally(shots)
    dice.shuffle(shots)  # type: ignore[attr-defined]
    assert tally(shots[:cut]) + tally(shots[cut:]) == whole


@drawn(SHOTS)
def test_what_is_added_up_describes_the_same_group_as_all_shots_together(shots: list[ShotRecorded]) -> None:
    scored = list(zip(shots, worths(shots, [RUNNING] * len(shots)), strict=True))
    match = [(one, worth) for one, worth in scored if one.kind == "match"]
    found = [(one, worth) for one, worth in match if not one.miss]
    whole = group(
        [one.x_um for one, _ in found],
        [one.y_um for one, _ in found],
        [worth.tenths or 0 for _, worth in found],
        sum(worth.inner_ten for _, worth in found),
        len(match) - len(found),
    )
    summed = tally(shots).group(whole.mean_radius_um)
    assert summed.model_dump(exclude={"centre_x_um", "centre_y_um"}) == whole.model_dump(
        exclude={"centre_x_um", "centre_y_um"}
    )
    for ours, theirs in ((summed.centre_x_um, whole.centre_x_um), (summed.centre_y_um, whole.centre_y_um)):
        assert ours is theirs is None or abs((ours or 0) - (theirs or 0)) < 1e-6


def test_a_shot_of_no_session_or_no_known_face_is_worth_nothing_yet() -> None:
    unknown = replace(RUNNING, discipline="archery")
    assert worths([shot(), shot(), shot(face="air-rifle-10m")], [None, unknown, unknown]) == [
        Worth(None, inner_ten=False),
        Worth(None, inner_ten=False),
        Worth(109, inner_ten=True),
    ]


def test_the_session_says_which_face_is_shot_at_not_the_target() -> None:
    (worth,) = worths([shot(x_um=5_000, face="air-rifle-10m")], [RUNNING])
    assert worth.tenths == 103


def test_a_miss_scores_nothing_wherever_it_is_said_to_be() -> None:
    assert worths([shot(miss=True)], [RUNNING]) == [Worth(0, inner_ten=False)]
