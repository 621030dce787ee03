from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import Rejected
from handlers.auth.events import Entitlement
from handlers.auth.rule_sets import GENERIC
from handlers.auth.rules import (
    Licence,
    LicenceExpired,
    LicenceExpiresTooSoon,
    LicenceIsSuspended,
    LicenceNotConfirmed,
    LicenceNotYetValid,
    LicenceState,
    NoLicence,
    Shooter,
    WeaponClassUnknown,
    WrongCategory,
    known_categories,
    refusal,
)
from handlers.auth.rules import (
    entitlements as granted_to,
)

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
JULY = datetime(2026, 7, 1, tzinfo=UTC)
AUGUST = datetime(2026, 8, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)


def licence(
    category: str = "smallbore",
    begin: datetime = JUNE,
    end: datetime = JULY,
    state: LicenceState = LicenceState.CONFIRMED,
) -> Licence:
    return Licence(UUID(int=1), category, begin, end, state)


SLOTS = st.integers(min_value=0, max_value=60).map(lambda n: JUNE + n * HOUR)
CLASSES = st.sampled_from([*GENERIC.categories, "cannon"])


@st.composite
def spans(draw: st.DrawFn) -> tuple[datetime, datetime]:
    begin, end = sorted(draw(st.lists(SLOTS, min_size=2, max_size=2, unique=True)))
    return begin, end


def entitlements(licences: Sequence[Licence]) -> tuple[Entitlement, ...]:
    return granted_to(Shooter(tuple(licences)), GENERIC)


LICENCES = st.builds(
    lambda category, span, state: licence(category, span[0], span[1], state),
    st.sampled_from([*known_categories(GENERIC), "fishing"]),
    spans(),
    st.sampled_from(LicenceState),
)


def published(licences: Sequence[Licence], weapon_class: str, begin: datetime, end: datetime) -> bool:
    """Whether some one entitlement that is published covers the whole time."""
    return any(
        one.weapon_class == weapon_class and one.valid_from <= begin and end <= one.valid_until
        for one in entitlements(licences)
    )


def covered_moment_by_moment(licences: Sequence[Licence], weapon_class: str, begin: datetime, end: datetime) -> bool:
    """The rule said in another way: in every hour some confirmed licence that fits the class is valid."""
    if weapon_class not in GENERIC.categories:
        return False
    hours = [begin + n * HOUR for n in range((end - begin) // HOUR)]
    return all(
        any(
            one.state is LicenceState.CONFIRMED
            and one.category in GENERIC.categories[weapon_class]
            and one.valid_from <= hour
            and hour + HOUR <= one.valid_until
            for one in licences
        )
        for hour in hours
    )


@given(CLASSES, spans())
def test_without_a_licence_nobody_is_entitled(weapon_class: str, span: tuple[datetime, datetime]) -> None:
    assert entitlements([]) == ()
    assert isinstance(refusal([], weapon_class, *span), NoLicence)


@given(st.lists(LICENCES, max_size=6), LICENCES, CLASSES, spans())
def test_another_licence_takes_nothing_away(
    licences: list[Licence], another: Licence, weapon_class: str, span: tuple[datetime, datetime]
) -> None:
    if refusal(licences, weapon_class, *span) is None:
        assert refusal([*licences, another], weapon_class, *span) is None


@given(st.lists(LICENCES, max_size=6), CLASSES, spans())
def test_what_is_published_and_what_is_checked_agree(
    licences: list[Licence], weapon_class: str, span: tuple[datetime, datetime]
) -> None:
    allowed = refusal(licences, weapon_class, *span) is None
    assert allowed == published(licences, weapon_class, *span)
    assert allowed == covered_moment_by_moment(licences, weapon_class, *span)


@given(st.lists(LICENCES, max_size=6), st.randoms())
def test_the_order_of_licences_does_not_matter(licences: list[Licence], random: object) -> None:
    shuffled = licences.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert entitlements(shuffled) == entitlements(licences)


@given(st.lists(LICENCES, max_size=6))
def test_entitlements_of_a_class_neither_touch_nor_overlap(licences: list[Licence]) -> None:
    for weapon_class in GENERIC.categories:
        of_class = [one for one in entitlements(licences) if one.weapon_class == weapon_class]
        assert all(one.valid_until < after.valid_from for one, after in pairwise(of_class))


@given(st.lists(LICENCES, max_size=4), CLASSES, spans())
def test_every_refusal_is_a_sentence(
    licences: list[Licence], weapon_class: str, span: tuple[datetime, datetime]
) -> None:
    refused = refusal(licences, weapon_class, *span)
    if refused is not None:
        assert refused.reason.endswith(".")
        assert "{" not in refused.reason


@pytest.mark.parametrize(
    ("begin", "end", "refused"),
    [
        (JUNE, JULY, None),
        (JUNE, JUNE + HOUR, None),
        (JULY - HOUR, JULY, None),
        (JUNE - MOMENT, JUNE + HOUR, LicenceNotYetValid),
        (JULY - HOUR, JULY + MOMENT, LicenceExpiresTooSoon),
        (JULY - MOMENT, JULY + HOUR, LicenceExpiresTooSoon),
        (JULY, JULY + HOUR, LicenceExpired),
    ],
)
def test_validity_ends_to_the_microsecond(begin: datetime, end: datetime, refused: type[Rejected] | None) -> None:
    answer = refusal([licence()], "smallbore", begin, end)
    assert (None if answer is None else type(answer)) is refused


@pytest.mark.parametrize(
    ("weapon_class", "categories"),
    [
        ("air", {"pneumatic", "smallbore", "centrefire"}),
        ("smallbore", {"smallbore", "centrefire"}),
        ("centrefire", {"centrefire"}),
        ("cannon", set()),
    ],
)
def test_which_licence_is_for_which_class(weapon_class: str, categories: set[str]) -> None:
    entitling = {one for one in known_categories(GENERIC) if refusal([licence(one)], weapon_class, JUNE, JULY) is None}
    assert entitling == categories


@pytest.mark.parametrize(
    ("licences", "weapon_class", "refused", "reason"),
    [
        ([], "air", NoLicence, "You have no licence on record at this range."),
        (
            [licence()],
            "cannon",
            WeaponClassUnknown,
            "The range's rules say nothing about weapons of class cannon, so nobody may shoot them.",
        ),
        (
            [licence("pneumatic")],
            "smallbore",
            WrongCategory,
            "None of your licences covers weapons of class smallbore; that takes one of: centrefire, smallbore.",
        ),
        (
            [licence(state=LicenceState.RECORDED), licence(state=LicenceState.SUSPENDED)],
            "smallbore",
            LicenceNotConfirmed,
            "Your licence for weapons of class smallbore has not been confirmed by the range's staff yet.",
        ),
        (
            [licence(state=LicenceState.SUSPENDED), licence("pneumatic")],
            "smallbore",
            LicenceIsSuspended,
            "Your licence for weapons of class smallbore is suspended.",
        ),
        (
            [licence(begin=JUNE - 2 * HOUR, end=JUNE - HOUR)],
            "smallbore",
            LicenceExpired,
            "Your licence for weapons of class smallbore expired on 2026-05-31 23:00 UTC.",
        ),
    ],
)
def test_a_refusal_says_why(licences: list[Licence], weapon_class: str, refused: type[Rejected], reason: str) -> None:
    answer = refusal(licences, weapon_class, JUNE, JULY)
    assert answer is not None
    assert (type(answer), answer.reason) == (refused, reason)


def test_a_renewal_without_a_gap_is_one_entitlement() -> None:
    renewed = [licence(begin=JULY, end=AUGUST), licence()]
    assert entitlements(renewed)[-1] == Entitlement(weapon_class="smallbore", valid_from=JUNE, valid_until=AUGUST)
    assert refusal(renewed, "smallbore", JULY - HOUR, JULY + HOUR) is None


def test_between_two_licences_there_is_none() -> None:
    two = [licence(end=JULY - MOMENT), licence(begin=JULY, end=AUGUST)]
    assert isinstance(refusal(two, "smallbore", JULY - HOUR, JULY + HOUR), LicenceExpiresTooSoon)
