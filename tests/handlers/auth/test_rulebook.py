"""How versions of the rules come into force, and what they would refuse before that."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from bus.errors import Rejected
from bus.identity import uuid7
from bus.service import Schedule
from handlers.auth import rulebook
from handlers.auth.commands import AttestAge, PublishRules, PutRulesInForce, RepublishEntitlements
from handlers.auth.events import AgeAttested, EntitlementsPublished, RulesPublished, RulesTookEffect
from handlers.auth.model import AgeAttestedBefore, LicenceFile, NotAllowed, OwnAge, attest_age
from handlers.auth.rule_set import ClassRules, Way
from handlers.auth.rule_sets import GENERIC, RUSSIAN_CIVIL
from handlers.auth.rulebook import TOLD_AT_ONCE, Booked, People, RuleBook
from handlers.auth.rules import Licence, LicenceState, Shooter
from handlers.auth.service import service
from handlers.booking.events import BookingCancelled
from handlers.rebuild import verify
from tests.handlers.auth.counter import Counter
from tests.handlers.auth.test_licences import held, record
from tests.handlers.auth.test_model import ADA, ANNA, INA, STAFF, by
from tests.handlers.scenario import NOON, given

DAY = timedelta(days=1)
PUBLISH = PublishRules(code="ru-civil", rule_set=RUSSIAN_CIVIL, takes_effect_at=NOON + DAY)
IN_FORCE = PutRulesInForce(code="ru-civil", rule_version=1)
REPUBLISH = RepublishEntitlements(code="ru-civil", rule_version=1, after_person=None)
LICENCE = Licence(UUID(int=7), "pneumatic", NOON - DAY, NOON + 90 * DAY, LicenceState.CONFIRMED)


def test_an_admin_publishes_rules_that_take_effect_later() -> None:
    given(RuleBook(None, STAFF), actor=by(ADA)).when(rulebook.publish_rules, PUBLISH).then(
        RulesPublished(
            code="ru-civil",
            rule_version=1,
            rule_set=RUSSIAN_CIVIL,
            takes_effect_at=NOON + DAY,
            published_by=by(ADA),
        ),
        Schedule("rules:ru-civil:1", NOON + DAY, IN_FORCE),
    )
    is_published = True
    given(is_published, at=NOON + DAY).when(rulebook.put_in_force, IN_FORCE).then(
        RulesTookEffect(code="ru-civil", rule_version=1, took_effect_at=NOON + DAY),
        Schedule("republish:ru-civil", NOON + DAY, REPUBLISH),
    )


def test_rules_are_not_published_by_others_or_again_or_for_the_past() -> None:
    book = RuleBook(None, STAFF)
    given(book, actor=by(INA)).when(rulebook.publish_rules, PUBLISH).then_refused(NotAllowed)
    given(replace(book, latest=1), actor=by(ADA)).when(rulebook.publish_rules, PUBLISH).then_refused(
        rulebook.VersionKnown, version=1
    )
    past = PUBLISH.model_copy(update={"takes_effect_at": NOON - DAY})
    given(book, actor=by(ADA)).when(rulebook.publish_rules, past).then_refused(rulebook.TakesEffectInThePast)
    is_published = False
    given(is_published).when(rulebook.put_in_force, IN_FORCE).then_refused(rulebook.RulesUnknown)


def test_rules_that_nobody_can_have_meant_are_not_published() -> None:
    guests = ClassRules(weapon_class="air", ways=(Way(age=18),))
    wrong: list[tuple[dict[str, object], type[Rejected]]] = [
        ({"time_zone": "Europe/Atlantis"}, rulebook.TimeZoneUnknown),
        ({"time_zone": "../etc/passwd"}, rulebook.TimeZoneUnknown),
        ({"classes": RUSSIAN_CIVIL.classes[:1] * 2}, rulebook.ClassNamedTwice),
        ({"classes": (guests,)}, rulebook.GuestsAlone),
        ({"code": "generic"}, rulebook.AnotherCode),
    ]
    for change, rule in wrong:
        ask = PUBLISH.model_copy(update={"rule_set": RUSSIAN_CIVIL.model_copy(update=change)})
        given(RuleBook(None, STAFF), actor=by(ADA)).when(rulebook.publish_rules, ask).then_refused(rule)


def test_people_are_told_anew_so_many_at_a_time() -> None:
    people = [(UUID(int=n), Shooter((LICENCE,))) for n in range(1, TOLD_AT_ONCE + 1)]
    decided = given(People(people, GENERIC)).when(rulebook.republish, REPUBLISH)
    told = [one for one in decided.effects if isinstance(one, EntitlementsPublished)]
    assert [one.person for one in told] == [person for person, _ in people]
    assert {one.because for one in told} == {"the range's rules are generic, version 1, now"}
    after = REPUBLISH.model_copy(update={"after_person": UUID(int=TOLD_AT_ONCE)})
    assert decided.effects[-1] == Schedule("republish:ru-civil", NOON, after)
    last = given(People(people[1:], GENERIC)).when(rulebook.republish, REPUBLISH)
    assert not any(isinstance(one, Schedule) and one.key.startswith("republish") for one in last.effects)


def booked(number: int, weapon_class: str = "air", begins: int = 1) -> Booked:
    return Booked(UUID(int=number), ANNA, weapon_class, NOON + begins * DAY, NOON + begins * DAY + timedelta(hours=1))


def test_a_trial_tells_what_would_be_refused_and_counts_the_places_under_supervision() -> None:
    guest = Shooter((), 14)
    bookings = [(booked(n), guest) for n in (3, 1, 2)] + [(booked(4, begins=2), guest), (booked(5, "cannon"), guest)]
    refused = rulebook.trial(bookings, RUSSIAN_CIVIL)
    assert [(one.booked.booking.int, one.refused.rule) for one in refused] == [
        (3, "supervisors-busy"),
        (5, "no-licence"),
    ]
    assert [one.booked.booking.int for one in rulebook.trial(bookings, GENERIC)] == [1, 2, 3, 5, 4]


def test_staff_attests_an_age_that_opens_what_takes_it() -> None:
    file = LicenceFile((), STAFF, 12, RUSSIAN_CIVIL)
    ask = AttestAge(person=ANNA, at_least=14)
    attested, published, *_ = given(file, actor=by(INA)).when(attest_age, ask).effects
    assert attested == AgeAttested(person=ANNA, at_least=14, attested_by=by(INA))
    assert isinstance(published, EntitlementsPublished)
    assert [(one.weapon_class, one.supervised_at_most) for one in published.entitlements] == [("air", 2)]
    given(file, actor=by(ANNA)).when(attest_age, ask).then_refused(NotAllowed)
    given(replace(file, age=14), actor=by(INA)).when(attest_age, ask).then_refused(AgeAttestedBefore, age=14)
    own = AttestAge(person=INA, at_least=18)
    given(file, actor=by(INA)).when(attest_age, own).then_refused(OwnAge)


async def published(counter: Counter, ada: UUID) -> None:
    at = (await counter.fetch("SELECT clock_timestamp()"))[0][0]
    ask = PublishRules(code="ru-civil", rule_set=RUSSIAN_CIVIL, takes_effect_at=at)
    assert [one.name for one in await counter.hears(ask, by(ada))] == ["auth.rules-published"]


async def test_a_version_decides_from_when_it_takes_effect_and_is_named_in_the_decision(counter: Counter) -> None:
    anna, ada = await counter.register(), await counter.bootstrap()
    assert (await counter.hears(held(anna, "air"), "service:booking"))[0].rule_set == "generic"  # type: ignore[attr-defined]
    await published(counter, ada)
    assert (await counter.hears(held(anna, "air"), "service:booking"))[0].rule_set == "generic"  # type: ignore[attr-defined]
    assert [one.name for one in await counter.hears(IN_FORCE, "service:auth")] == ["auth.rules-took-effect"]
    await counter.hears(AttestAge(person=anna, at_least=14), by(ada))
    for place in ("of-2", "of-2", "none"):
        (said,) = await counter.hears(held(anna, "air"), "service:booking")
        assert said.rule_set == "ru-civil"  # type: ignore[attr-defined]
        assert "age:14" in said.inputs  # type: ignore[attr-defined]
        assert (said.name == "auth.licence-validated") is (place == "of-2")
    rows = await counter.fetch("SELECT booking FROM auth.known_booking WHERE supervised")
    cancelled = BookingCancelled(booking=rows[0]["booking"], person=anna, cancelled_by="person:x")
    await counter.hears(cancelled, "service:booking")
    (said,) = await counter.hears(held(anna, "air"), "service:booking")
    assert said.name == "auth.licence-validated", "a place is free again"


async def test_the_trial_answers_before_the_rules_take_effect(counter: Counter) -> None:
    anna, token = await counter.register(), await counter.admin()
    at = (await counter.fetch("SELECT clock_timestamp()"))[0][0]
    for days, wanted in ((1, True), (59, True), (61, False)):
        lane = held(anna, "smallbore")
        terms = lane.terms.model_copy(
            update={"starts_at": at + days * DAY, "ends_at": at + days * DAY + timedelta(hours=1)}
        )
        await counter.hears(lane.model_copy(update={"terms": terms}), "service:booking")
        assert wanted is (days < 60)
    body = {"rule_set": RUSSIAN_CIVIL.model_dump(mode="json")}
    status, trial = await counter.post("/rules/trial", body, token)
    assert (status, trial["tried"], trial["refused"], trial["complete"]) == (200, 2, 2, True)
    assert {one["rule"] for one in trial["first"]} == {"no-licence"}
    assert {one["person"] for one in trial["first"]} == {str(anna)}
    anna_s = await counter.token_of("anna@example.org")
    assert (await counter.post("/rules/trial", body, anna_s))[0] == 403
    assert (await counter.post("/rules/trial", {"rule_set": {}}, token))[0] == 422


async def test_newcomers_are_guests_from_the_first_day_where_the_rules_have_guests(counter: Counter) -> None:
    ada = await counter.bootstrap()
    guests = ClassRules(weapon_class="air", ways=(Way(per_supervisor=2),))
    rules = RUSSIAN_CIVIL.model_copy(update={"classes": (guests,)})
    at = (await counter.fetch("SELECT clock_timestamp()"))[0][0]
    await counter.hears(PublishRules(code="ru-civil", rule_set=rules, takes_effect_at=at), by(ada))
    await counter.hears(IN_FORCE, "service:auth")
    anna = await counter.register()
    rows = await counter.fetch("SELECT weapon_class, supervised_at_most FROM auth.entitlement WHERE person = $1", anna)
    assert [tuple(row) for row in rows] == [("air", 2)]


async def test_days_on_a_licence_are_those_of_the_range_s_time_zone(counter: Counter) -> None:
    anna, ada = await counter.register(), await counter.bootstrap()
    await published(counter, ada)
    await counter.hears(IN_FORCE, "service:auth")
    token = await counter.token_of("ada@example.org")
    days = {"category": "pneumatic-7j5", "valid_from": "2026-03-01", "valid_until": "2026-03-31"}
    licence = await record(counter, anna, token, **days)
    [row] = await counter.fetch("SELECT valid_from, valid_until FROM auth.licence WHERE licence = $1", licence)
    assert [moment.isoformat() for moment in row] == ["2026-02-28T21:00:00+00:00", "2026-03-31T21:00:00+00:00"]
    assert await record(counter, anna, token, **days) == licence
    status, answer = await counter.post(
        f"/people/{anna}/licences", {**days, "number": "1", "authority": "x", "category": "smallbore"}, token
    )
    assert (status, answer["type"]) == (422, "/problems/category-unknown"), "of other rules"


async def test_the_tables_of_rules_are_what_the_log_says(counter: Counter) -> None:
    anna, ada = await counter.register(), await counter.bootstrap()
    await published(counter, ada)
    await counter.hears(IN_FORCE, "service:auth")
    await counter.hears(AttestAge(person=anna, at_least=18), by(ada))
    await counter.hears(REPUBLISH, "service:auth")
    compared = await verify(counter.database.url("postgres"), service(), lambda _: None)
    assert {"rule_set", "known_booking"} <= {one.table for one in compared}
    assert [one.table for one in compared if not one.same] == []


@pytest.mark.parametrize("at_least", [13, 0, 99])
def test_an_age_is_one_of_those_that_laws_name(at_least: int) -> None:
    with pytest.raises(ValueError, match="at_least"):
        AttestAge(person=uuid7(), at_least=at_least)  # type: ignore[arg-type]
