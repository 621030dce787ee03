"""Rules as data: properties of every rule set, and what those that come with the range say."""

import json
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bus.errors import Rejected
from handlers.auth.rule_set import ClassRules, Experience, RuleSet, Way
from handlers.auth.rule_sets import BUILT_IN, GENERIC, RUSSIAN_CIVIL
from handlers.auth.rules import (
    AgeNotShown,
    Licence,
    LicenceExpired,
    LicenceExpiresTooSoon,
    LicenceNotYetValid,
    LicenceState,
    NobodySupervises,
    NoLicence,
    PartlySupervised,
    Shooter,
    SupervisorsBusy,
    TooLittleExperience,
    day_begins,
    decide,
    entitlements,
    known_categories,
)

START = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
YEAR = timedelta(days=366)
MOMENT = timedelta(microseconds=1)
CATEGORIES = ["a", "b", "c"]
CLASSES = ["air", "rifle"]
AGES = [0, 14, 18, 21]

experiences = st.none() | st.builds(
    Experience, categories=st.sets(st.sampled_from(CATEGORIES), min_size=1).map(tuple), years=st.integers(1, 3)
)


@st.composite
def ways(draw: st.DrawFn) -> Way:
    categories = tuple(draw(st.sets(st.sampled_from(CATEGORIES))))
    ratios = st.integers(1, 3)
    return Way(
        categories=categories,
        age=draw(st.sampled_from(AGES)),
        experience=draw(experiences),
        per_supervisor=draw(st.none() | ratios) if categories else draw(ratios),
    )


class_rules = st.lists(ways(), min_size=1, max_size=3).map(tuple)
rule_sets = st.builds(
    lambda of_classes, supervisors: RuleSet(
        code="random",
        version=1,
        title="Random",
        jurisdiction="none",
        note="For tests.",
        supervisors=supervisors,
        classes=tuple(ClassRules(weapon_class=name, ways=of_class) for name, of_class in of_classes.items()),
    ),
    st.dictionaries(st.sampled_from(CLASSES), class_rules),
    st.integers(0, 2),
) | st.sampled_from(BUILT_IN)
hours = st.integers(-40_000, 2_000).map(lambda n: START + n * HOUR)


@st.composite
def spans(draw: st.DrawFn) -> tuple[datetime, datetime]:
    begin, end = sorted(draw(st.lists(hours, min_size=2, max_size=2, unique=True)))
    return begin, end


@st.composite
def licences(draw: st.DrawFn) -> Licence:
    known = [*CATEGORIES, *known_categories(GENERIC), *known_categories(RUSSIAN_CIVIL)]
    begin, end = draw(spans())
    return Licence(UUID(int=1), draw(st.sampled_from(known)), begin, end, draw(st.sampled_from(LicenceState)))


shooters = st.builds(Shooter, st.lists(licences(), max_size=5).map(tuple), st.sampled_from(AGES))
classes = st.sampled_from([*CLASSES, "rifled-long", "smoothbore", "smallbore", "cannon"])
asked = st.integers(0, 1_900).map(lambda n: (START + n * HOUR, START + (n + 2) * HOUR))
places = st.integers(0, 7)


@given(rule_sets, shooters, classes, asked, places)
def test_nobody_without_a_confirmed_licence_shoots_but_as_a_guest_under_supervision(
    rules: RuleSet, shooter: Shooter, weapon_class: str, time: tuple[datetime, datetime], taken: int
) -> None:
    unconfirmed = tuple(one for one in shooter.licences if one.state is not LicenceState.CONFIRMED)
    decided = decide(Shooter(unconfirmed, shooter.age), weapon_class, *time, rules, taken)
    guests = [way for way in rules.ways(weapon_class) if not way.categories]
    assert decided.refused is not None or (decided.supervised and guests)
    if not guests:
        assert entitlements(Shooter(unconfirmed, shooter.age), rules) == () or any(
            not way.categories for one in rules.classes for way in one.ways
        )


@given(rule_sets, shooters, licences(), classes, asked, places)
def test_another_licence_or_a_greater_age_takes_nothing_away(
    rules: RuleSet, shooter: Shooter, another: Licence, weapon_class: str, time: tuple[datetime, datetime], taken: int
) -> None:
    before = decide(shooter, weapon_class, *time, rules, taken)
    more = [Shooter((*shooter.licences, another), shooter.age), Shooter(shooter.licences, 120)]
    for decided in [decide(one, weapon_class, *time, rules, taken) for one in more]:
        if before.refused is None:
            assert decided.refused is None
            assert before.supervised or not decided.supervised


@given(rule_sets, shooters, classes, asked, places)
def test_what_is_published_and_what_is_decided_agree(
    rules: RuleSet, shooter: Shooter, weapon_class: str, time: tuple[datetime, datetime], taken: int
) -> None:
    covering = [
        one.supervised_at_most
        for one in entitlements(shooter, rules)
        if one.weapon_class == weapon_class and one.valid_from <= time[0] and time[1] <= one.valid_until
    ]
    decided = decide(shooter, weapon_class, *time, rules, taken)
    assert (decided.refused is None) == any(most is None or taken < most for most in covering)
    assert decided.supervised == (decided.refused is None and None not in covering)


@given(rule_sets, shooters, classes, asked, places)
def test_every_decision_has_its_reason_in_words_and_names_what_it_looked_at(
    rules: RuleSet, shooter: Shooter, weapon_class: str, time: tuple[datetime, datetime], taken: int
) -> None:
    decided = decide(shooter, weapon_class, *time, rules, taken)
    assert decided.reason.endswith(".")
    assert "{" not in decided.reason
    if decided.refused is None and not decided.supervised:
        assert any(one.startswith("licence:") for one in decided.inputs)


ZONES = ["Europe/Berlin", "America/New_York", "America/Havana", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]
days = st.dates(date(2026, 1, 1), date(2027, 12, 31))


@given(days, st.sampled_from(ZONES))
def test_a_licence_counts_to_the_end_of_its_last_day_on_the_range_s_clocks(day: date, zone: str) -> None:
    begin, end = day_begins(day - timedelta(days=9), zone), day_begins(day + timedelta(days=1), zone)
    shooter = Shooter((Licence(UUID(int=1), "pneumatic", begin, end, LicenceState.CONFIRMED),))
    local = ZoneInfo(zone)
    assert (end - MOMENT).astimezone(local).date() == day
    assert end.astimezone(local).date() == day + timedelta(days=1)
    assert decide(shooter, "air", end - HOUR, end, GENERIC).refused is None
    assert isinstance(decide(shooter, "air", end - HOUR, end + MOMENT, GENERIC).refused, LicenceExpiresTooSoon)
    assert isinstance(decide(shooter, "air", end, end + HOUR, GENERIC).refused, LicenceExpired)
    assert decide(shooter, "air", begin, begin + HOUR, GENERIC).refused is None
    assert isinstance(decide(shooter, "air", begin - MOMENT, begin + HOUR, GENERIC).refused, LicenceNotYetValid)


@pytest.mark.parametrize(
    ("day", "zone", "length"),
    [
        (date(2026, 3, 29), "Europe/Berlin", 23),
        (date(2026, 10, 25), "Europe/Berlin", 25),
        (date(2026, 3, 8), "America/Havana", 23),
        (date(2026, 11, 1), "America/Havana", 25),
        (date(2026, 6, 1), "Europe/Berlin", 24),
    ],
)
def test_a_day_is_as_long_as_the_clocks_make_it(day: date, zone: str, length: int) -> None:
    assert day_begins(day + timedelta(days=1), zone) - day_begins(day, zone) == length * HOUR


def confirmed(category: str, since: timedelta = YEAR, number: int = 1) -> Licence:
    return Licence(UUID(int=number), category, START - since, START + YEAR, LicenceState.CONFIRMED)


SMOOTH, RIFLED = confirmed("smoothbore-long", 6 * YEAR), confirmed("rifled-long", number=2)
TIME = (START, START + HOUR)


@pytest.mark.parametrize(
    ("shooter", "weapon_class", "refused"),
    [
        (Shooter((), 18), "rifled-long", NoLicence),
        (Shooter((SMOOTH, RIFLED), 21), "rifled-long", None),
        (Shooter((SMOOTH, RIFLED), 18), "rifled-long", AgeNotShown),
        (Shooter((RIFLED,), 21), "rifled-long", TooLittleExperience),
        (Shooter((confirmed("smoothbore-long", 2 * YEAR), RIFLED), 21), "rifled-long", TooLittleExperience),
        (Shooter((confirmed("smoothbore-long", 5 * YEAR - HOUR), RIFLED), 21), "rifled-long", None),
        (Shooter((SMOOTH,), 21), "smoothbore-magazine", None),
        (Shooter((confirmed("smoothbore-long"),), 21), "smoothbore-magazine", LicenceNotYetValid),
        (Shooter((confirmed("smoothbore-long-2"),), 21), "smoothbore", None),
        (Shooter((), 14), "air", None),
        (Shooter((), 12), "air", AgeNotShown),
        (Shooter((confirmed("pneumatic-7j5"),), 18), "air", None),
    ],
)
def test_the_russian_set_asks_for_age_and_experience(
    shooter: Shooter, weapon_class: str, refused: type[Rejected] | None
) -> None:
    answer = decide(shooter, weapon_class, *TIME, RUSSIAN_CIVIL).refused
    assert (None if answer is None else type(answer)) is refused


def test_the_russian_set_says_that_it_is_no_advice() -> None:
    assert RUSSIAN_CIVIL.note.startswith("Not legal advice.")


def test_guests_shoot_while_there_are_places_under_supervision() -> None:
    guest = Shooter((), 14)
    for taken, refused in ((0, None), (1, None), (2, SupervisorsBusy), (3, SupervisorsBusy)):
        decided = decide(guest, "air", *TIME, RUSSIAN_CIVIL, taken)
        assert (None if decided.refused is None else type(decided.refused)) is refused
        assert decided.supervised is (refused is None)
        assert decided.inputs == ("age:14", f"supervised-then:{taken}")
    nobody = RUSSIAN_CIVIL.model_copy(update={"supervisors": 0})
    assert isinstance(decide(guest, "air", *TIME, nobody).refused, NobodySupervises)


def test_a_time_that_is_partly_under_supervision_is_to_be_booked_apart() -> None:
    ends = Licence(UUID(int=1), "sport", START - YEAR, START + HOUR / 2, LicenceState.CONFIRMED)
    later = Licence(UUID(int=2), "novice", START + HOUR / 2, START + YEAR, LicenceState.CONFIRMED)
    rules = GENERIC.model_copy(
        update={
            "supervisors": 1,
            "classes": (
                ClassRules(
                    weapon_class="air",
                    ways=(Way(categories=("sport",)), Way(categories=("novice",), per_supervisor=1)),
                ),
            ),
        }
    )
    assert isinstance(decide(Shooter((ends, later)), "air", *TIME, rules).refused, PartlySupervised)


@pytest.mark.parametrize(
    "way",
    [
        {"categories": ["a"], "per_supervisor": 0},
        {"categories": ["a"], "experience": {"categories": [], "years": 1}},
        {"categories": ["Not a code"]},
        {"categories": ["a"], "age": -1},
    ],
)
def test_a_rule_set_that_makes_no_sense_is_none(way: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Way.model_validate_json(json.dumps(way))


@given(shooters, asked)
def test_a_way_without_licence_and_supervision_is_open_to_nobody(
    shooter: Shooter, time: tuple[datetime, datetime]
) -> None:
    way = ClassRules(weapon_class="air", ways=(Way(),))
    assert decide(shooter, "air", *time, GENERIC.model_copy(update={"classes": (way,)})).refused is not None
