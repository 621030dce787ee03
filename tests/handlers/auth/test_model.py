from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from bus.errors import Rejected
from bus.service import Schedule, Unschedule
from handlers.auth import model, reactions
from handlers.auth.commands import (
    AssignRoles,
    ConfirmLicence,
    DisablePerson,
    EnablePerson,
    ForeseeExpiry,
    RevokeLicence,
    SuspendLicence,
)
from handlers.auth.events import (
    Ending,
    Entitlement,
    EntitlementsPublished,
    ExpiryForeseen,
    LicenceConfirmed,
    LicenceRefused,
    LicenceRevoked,
    LicenceSuspended,
    LicenceValidated,
    PersonDisabled,
    PersonEnabled,
    Role,
    RolesAssigned,
    TokensRevoked,
)
from handlers.auth.model import LicenceFile, OwnFile, RoleBook, Standing
from handlers.auth.reactions import Check
from handlers.auth.rule_sets import GENERIC
from handlers.auth.rules import Licence, LicenceState, Shooter
from handlers.booking.events import LaneHeld, Terms
from tests.handlers.scenario import given

ANNA, ADA, INA, ARNO, CARL = (UUID(int=n) for n in range(1, 6))
STAFF: dict[UUID, frozenset[Role]] = {
    ADA: frozenset({"admin"}),
    INA: frozenset({"instructor", "shooter"}),
    ARNO: frozenset({"armourer"}),
    CARL: frozenset({"cashier"}),
}
NUMBER, OTHER = UUID(int=100), UUID(int=101)
JUNE, JULY = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
RECORDED = Licence(NUMBER, "smallbore", JUNE, JULY, LicenceState.RECORDED)
CONFIRMED = replace(RECORDED, state=LicenceState.CONFIRMED)
SUSPENDED = replace(RECORDED, state=LicenceState.SUSPENDED)
REVOKED = replace(RECORDED, state=LicenceState.REVOKED)
CONFIRM = ConfirmLicence(person=ANNA, licence=NUMBER)
SUSPEND = SuspendLicence(person=ANNA, licence=NUMBER, reason="withdrawn-by-authority")
REVOKE = RevokeLicence(person=ANNA, licence=NUMBER, reason="withdrawn-by-authority")
FORESEE = ForeseeExpiry(person=ANNA)
DAY = timedelta(days=1)


BOOK = RoleBook(subject=Standing(frozenset({"shooter"})), staff=STAFF, locked_at=JUNE)
DISABLE = DisablePerson(person=ANNA, reason="left-the-club")


def revoked(person: UUID, *, logins: bool) -> TokensRevoked:
    return TokensRevoked(person=person, issued_before=JUNE + timedelta(seconds=1), logins=logins)


def by(person: UUID) -> str:
    return f"person:{person}"


def file(*licences: Licence) -> LicenceFile:
    return LicenceFile(licences, STAFF)


def published(*classes: str, until: datetime = JULY, because: str | None = None) -> EntitlementsPublished:
    spans = tuple(Entitlement(weapon_class=one, valid_from=JUNE, valid_until=until) for one in classes)
    return EntitlementsPublished(person=ANNA, entitlements=spans, rule_set="generic", rule_version=1, because=because)


def foreseen(until: datetime) -> Schedule:
    return Schedule(f"expiry:{ANNA}", until - 30 * DAY, FORESEE)


NOTHING_FORESEEN = Unschedule(f"expiry:{ANNA}")


@pytest.mark.parametrize("staff", [INA, ARNO, ADA])
@pytest.mark.parametrize("before", [RECORDED, SUSPENDED])
def test_a_confirmed_licence_entitles(staff: UUID, before: Licence) -> None:
    given(file(before), actor=by(staff)).when(model.confirm_licence, CONFIRM).then(
        LicenceConfirmed(person=ANNA, licence=NUMBER, confirmed_by=by(staff)),
        published("air", "smallbore"),
        foreseen(JULY),
    )


@pytest.mark.parametrize("before", [RECORDED, CONFIRMED])
def test_a_suspended_licence_entitles_no_more(before: Licence) -> None:
    given(file(before), actor=by(INA)).when(model.suspend_licence, SUSPEND).then(
        LicenceSuspended(person=ANNA, licence=NUMBER, suspended_by=by(INA), reason="withdrawn-by-authority"),
        published(because="the licence of category smallbore was suspended (withdrawn-by-authority)"),
        NOTHING_FORESEEN,
    )


@pytest.mark.parametrize("before", [RECORDED, CONFIRMED, SUSPENDED])
def test_a_revoked_licence_entitles_no_more(before: Licence) -> None:
    given(file(before), actor=by(INA)).when(model.revoke_licence, REVOKE).then(
        LicenceRevoked(person=ANNA, licence=NUMBER, revoked_by=by(INA), reason="withdrawn-by-authority"),
        published(because="the licence of category smallbore was revoked (withdrawn-by-authority)"),
        NOTHING_FORESEEN,
    )


@pytest.mark.parametrize(
    ("decide", "message"),
    [(model.confirm_licence, CONFIRM), (model.suspend_licence, SUSPEND), (model.revoke_licence, REVOKE)],
)
def test_a_revoked_licence_stays_revoked(decide: object, message: object) -> None:
    given(file(REVOKED), actor=by(INA)).when(decide, message).then_refused(  # type: ignore[arg-type]
        model.LicenceRevokedForGood
    )


def test_what_ends_within_a_month_is_told_and_the_next_end_is_awaited() -> None:
    soon, later = replace(CONFIRMED, category="pneumatic"), replace(CONFIRMED, licence=OTHER, valid_until=JULY + DAY)
    at = JULY - 30 * DAY
    given(OwnFile(Shooter((soon, later)), GENERIC), at=at).when(model.foresee_expiry, FORESEE).then(
        foreseen(JULY + DAY)
    )
    later = replace(later, category="centrefire", valid_from=JULY - DAY, valid_until=JULY + 90 * DAY)
    soon = replace(soon, category="smallbore", valid_until=JULY - 2 * DAY)
    given(OwnFile(Shooter((soon, later)), GENERIC), at=at).when(model.foresee_expiry, FORESEE).then(
        ExpiryForeseen(
            person=ANNA,
            endings=tuple(Ending(weapon_class=one, valid_until=JULY - 2 * DAY) for one in ("air", "smallbore")),
        ),
        foreseen(JULY + 90 * DAY),
    )


@pytest.mark.parametrize(
    ("at", "told"),
    [(JULY - 30 * DAY - DAY / 1440, False), (JULY - 30 * DAY, True), (JULY - DAY / 1440, True), (JULY, False)],
)
def test_an_end_is_foreseen_from_thirty_days_before_it_until_it_comes(at: datetime, told: bool) -> None:  # noqa: FBT001
    decided = given(OwnFile(Shooter((CONFIRMED,)), GENERIC), at=at).when(model.foresee_expiry, FORESEE)
    assert any(isinstance(one, ExpiryForeseen) for one in decided.effects) is told


def test_a_renewal_makes_the_old_end_no_news() -> None:
    renewal = replace(CONFIRMED, licence=OTHER, valid_from=JULY, valid_until=JULY + 365 * DAY)
    given(OwnFile(Shooter((CONFIRMED, renewal)), GENERIC), at=JULY - DAY).when(model.foresee_expiry, FORESEE).then(
        foreseen(JULY + 365 * DAY)
    )


def test_what_is_published_counts_the_other_licences_too() -> None:
    other = Licence(OTHER, "centrefire", JUNE, JULY + timedelta(days=31), LicenceState.CONFIRMED)
    decided = given(file(CONFIRMED, other), actor=by(INA)).when(model.suspend_licence, SUSPEND)
    assert decided.effects[1] == published(
        "air",
        "centrefire",
        "smallbore",
        until=JULY + timedelta(days=31),
        because="the licence of category smallbore was suspended (withdrawn-by-authority)",
    )


@pytest.mark.parametrize("actor", [by(ANNA), by(CARL), "service:gateway", "device:target-3", "person:nobody"])
@pytest.mark.parametrize(
    ("decide", "message"),
    [(model.confirm_licence, CONFIRM), (model.suspend_licence, SUSPEND), (model.revoke_licence, REVOKE)],
)
def test_only_staff_judges_licences(actor: str, decide: object, message: object) -> None:
    if actor == "person:nobody":
        actor = by(UUID(int=99))
    given(file(RECORDED), actor=actor).when(decide, message).then_refused(  # type: ignore[arg-type]
        model.NotAllowed, allowed="admin or armourer or instructor"
    )


def test_nobody_confirms_a_licence_of_their_own() -> None:
    own = ConfirmLicence(person=INA, licence=NUMBER)
    given(file(RECORDED), actor=by(INA)).when(model.confirm_licence, own).then_refused(model.OwnLicence)


@pytest.mark.parametrize(
    ("licences", "rule"),
    [
        ((), model.LicenceUnknown),
        ((replace(RECORDED, licence=OTHER),), model.LicenceUnknown),
        ((CONFIRMED,), model.LicenceAlreadyConfirmed),
    ],
)
def test_what_is_not_to_be_confirmed(licences: tuple[Licence, ...], rule: type[Rejected]) -> None:
    given(file(*licences), actor=by(INA)).when(model.confirm_licence, CONFIRM).then_refused(rule)


@pytest.mark.parametrize(
    ("licences", "rule"), [((), model.LicenceUnknown), ((SUSPENDED,), model.LicenceAlreadySuspended)]
)
def test_what_is_not_to_be_suspended(licences: tuple[Licence, ...], rule: type[Rejected]) -> None:
    given(file(*licences), actor=by(INA)).when(model.suspend_licence, SUSPEND).then_refused(rule)


def test_an_admin_assigns_roles() -> None:
    asked = AssignRoles(person=ANNA, roles=("shooter", "cashier", "shooter"))
    given(BOOK, actor=by(ADA)).when(model.assign_roles, asked).then(
        revoked(ANNA, logins=False), RolesAssigned(person=ANNA, roles=("cashier", "shooter"))
    )


@pytest.mark.parametrize("actor", [by(ANNA), by(INA), by(ARNO), by(CARL), "service:auth", "device:target-3"])
def test_nobody_else_assigns_roles(actor: str) -> None:
    asked = AssignRoles(person=ANNA, roles=("admin",))
    given(BOOK, actor=actor).when(model.assign_roles, asked).then_refused(model.NotAllowed, allowed="admin")


def test_whoever_is_not_there_is_given_no_roles() -> None:
    asked = AssignRoles(person=UUID(int=99), roles=("shooter",))
    given(replace(BOOK, subject=None), actor=by(ADA)).when(model.assign_roles, asked).then_refused(model.PersonUnknown)


def test_the_last_admin_stays_one() -> None:
    asked = AssignRoles(person=ADA, roles=("shooter",))
    given(BOOK, actor=by(ADA)).when(model.assign_roles, asked).then_refused(model.LastAdmin)
    two = replace(BOOK, subject=Standing(frozenset({"admin"})), staff={**STAFF, INA: frozenset({"admin"})})
    given(two, actor=by(ADA)).when(model.assign_roles, asked).then(
        revoked(ADA, logins=False), RolesAssigned(person=ADA, roles=("shooter",))
    )


def test_roles_that_stay_what_they_are_revoke_nothing() -> None:
    asked = AssignRoles(person=ANNA, roles=("shooter",))
    given(BOOK, actor=by(ADA)).when(model.assign_roles, asked).then(RolesAssigned(person=ANNA, roles=("shooter",)))


def test_an_admin_disables_and_enables_a_person() -> None:
    given(BOOK, actor=by(ADA)).when(model.disable_person, DISABLE).then(
        revoked(ANNA, logins=True), PersonDisabled(person=ANNA, disabled_by=by(ADA), reason="left-the-club")
    )
    disabled = replace(BOOK, subject=Standing(frozenset(), disabled=True))
    given(disabled, actor=by(ADA)).when(model.enable_person, EnablePerson(person=ANNA)).then(
        PersonEnabled(person=ANNA, enabled_by=by(ADA))
    )
    given(disabled, actor=by(ADA)).when(model.disable_person, DISABLE).then_refused(model.AlreadyDisabled)
    given(BOOK, actor=by(ADA)).when(model.enable_person, EnablePerson(person=ANNA)).then_refused(model.NotDisabled)


@pytest.mark.parametrize("actor", [by(ANNA), by(INA), "service:auth"])
def test_nobody_else_disables_or_enables(actor: str) -> None:
    given(BOOK, actor=actor).when(model.disable_person, DISABLE).then_refused(model.NotAllowed)
    given(BOOK, actor=actor).when(model.enable_person, EnablePerson(person=ANNA)).then_refused(model.NotAllowed)


def test_the_last_admin_and_whoever_is_not_there_are_not_disabled() -> None:
    nobody = replace(BOOK, subject=None)
    given(nobody, actor=by(ADA)).when(model.disable_person, DISABLE).then_refused(model.PersonUnknown)
    given(nobody, actor=by(ADA)).when(model.enable_person, EnablePerson(person=ANNA)).then_refused(model.PersonUnknown)
    herself = DisablePerson(person=ADA, reason="left-the-club")
    given(BOOK, actor=by(ADA)).when(model.disable_person, herself).then_refused(model.LastAdmin)


@pytest.mark.parametrize("microsecond", [0, 1, 999_999])
def test_a_second_that_has_begun_is_over_before_new_tokens_count(microsecond: int) -> None:
    at = JUNE.replace(microsecond=microsecond)
    standing = Standing(frozenset())
    first = model.revoked(ANNA, standing, at, logins=False).issued_before
    assert first == JUNE + timedelta(seconds=1)
    standing = Standing(frozenset(), tokens_since=first)
    assert model.revoked(ANNA, standing, at, logins=False).issued_before == first + timedelta(seconds=1)


TERMS = Terms(
    booking=UUID(int=50),
    command=UUID(int=50),
    person=ANNA,
    range="main",
    lane="lane-1",
    discipline="pistol-25m",
    starts_at=JUNE,
    ends_at=JUNE + timedelta(hours=1),
    weapon_class="smallbore",
    weapon_type=None,
    rounds=0,
)
HELD = LaneHeld(booking=UUID(int=50), terms=TERMS, held_until=JUNE, no_show_at=JULY)


def test_a_held_lane_is_validated_by_a_licence_that_covers_it() -> None:
    given(Check(Shooter((CONFIRMED,)), GENERIC)).when(reactions.check_licence, HELD).then(
        LicenceValidated(
            booking=HELD.booking,
            terms=TERMS,
            rule_set="generic",
            rule_version=1,
            reason="A confirmed licence covers the whole time.",
            inputs=(f"licence:{NUMBER}",),
        )
    )


def test_a_held_lane_is_refused_in_words() -> None:
    given(Check(Shooter((RECORDED,)), GENERIC)).when(reactions.check_licence, HELD).then(
        LicenceRefused(
            booking=HELD.booking,
            terms=TERMS,
            rule="licence-not-confirmed",
            rule_version=1,
            reason="Your licence for weapons of class smallbore has not been confirmed by the range's staff yet.",
            rule_set="generic",
            inputs=(f"licence:{NUMBER}",),
        )
    )
