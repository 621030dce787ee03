import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from bus.identity import uuid7
from handlers.auth import store, views
from handlers.auth.commands import AssignRoles, ConfirmLicence, ForeseeExpiry, RevokeLicence, SuspendLicence
from handlers.auth.events import (
    CommandRejected,
    EntitlementsPublished,
    LicenceConfirmed,
    LicenceRefused,
    LicenceSuspended,
    LicenceValidated,
    RolesAssigned,
)
from handlers.auth.service import service
from handlers.booking.events import LaneHeld, Terms
from handlers.rebuild import verify
from tests.handlers.auth.counter import LICENCE, Counter

JUNE, JULY = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)


async def record(counter: Counter, person: UUID, token: str, **changes: str) -> UUID:
    status, answer = await counter.post(f"/people/{person}/licences", {**LICENCE, **changes}, token)
    assert status == 201, answer
    return UUID(answer["licence"])


def held(person: UUID, weapon_class: str = "smallbore") -> LaneHeld:
    booking = uuid7()
    terms = Terms(
        booking=booking,
        command=booking,
        person=person,
        range="main",
        lane="lane-1",
        discipline="pistol-25m",
        starts_at=JUNE,
        ends_at=JULY,
        weapon_class=weapon_class,
        weapon_type=None,
        rounds=0,
    )
    return LaneHeld(booking=booking, terms=terms, held_until=JUNE, no_show_at=JULY)


async def test_a_licence_counts_from_its_confirmation_to_its_suspension(counter: Counter) -> None:
    anna, ada = await counter.register(), await counter.bootstrap()
    by = f"person:{ada}"
    licence = await record(counter, anna, await counter.token_of("ada@example.org"))
    async with counter.pool.acquire() as connection:
        assert [(one.licence, one.state) for one in await views.licences(connection, anna)] == [(licence, "recorded")]
        assert await views.entitlements(connection, anna) == []
    assert [type(one) for one in await counter.hears(held(anna), "service:booking")] == [LicenceRefused]

    said = await counter.hears(ConfirmLicence(person=anna, licence=licence), by)
    assert [type(one) for one in said] == [LicenceConfirmed, EntitlementsPublished]
    async with counter.pool.acquire() as connection:
        assert [
            (one.weapon_class, one.valid_from, one.valid_until) for one in await views.entitlements(connection, anna)
        ] == [
            ("air", JUNE, JULY),
            ("smallbore", JUNE, JULY),
        ]
    assert [type(one) for one in await counter.hears(held(anna), "service:booking")] == [LicenceValidated]

    said = await counter.hears(SuspendLicence(person=anna, licence=licence, reason="lost"), by)
    assert [type(one) for one in said] == [LicenceSuspended, EntitlementsPublished]
    async with counter.pool.acquire() as connection:
        assert await views.entitlements(connection, anna) == []
    (refused,) = await counter.hears(held(anna), "service:booking")
    assert isinstance(refused, LicenceRefused)
    assert refused.rule == "licence-is-suspended"


async def test_a_revoked_licence_is_shown_with_its_reason_and_is_not_entered_anew(counter: Counter) -> None:
    anna, ada = await counter.register(), await counter.bootstrap()
    token = await counter.token_of("ada@example.org")
    licence = await record(counter, anna, token)
    await counter.hears(ConfirmLicence(person=anna, licence=licence), f"person:{ada}")
    await counter.hears(RevokeLicence(person=anna, licence=licence, reason="withdrawn"), f"person:{ada}")
    (refused,) = await counter.hears(held(anna), "service:booking")
    assert isinstance(refused, LicenceRefused)
    assert refused.rule == "licence-is-revoked"
    assert await record(counter, anna, token) == licence
    _, profile = await counter.get(f"/people/{anna}", await counter.token_of("anna@example.org"))
    assert [(one["state"], one["reason"]) for one in profile["licences"]] == [("revoked", "withdrawn")]
    (again,) = await counter.hears(ConfirmLicence(person=anna, licence=licence), f"person:{ada}")
    assert isinstance(again, CommandRejected)


async def test_the_profile_tells_what_ends_within_a_month(counter: Counter) -> None:
    anna, ada = await counter.register(), await counter.bootstrap()
    until = (datetime.now(UTC) + timedelta(days=29)).replace(microsecond=0)
    licence = await record(
        counter, anna, await counter.token_of("ada@example.org"), category="pneumatic", valid_until=until.isoformat(),
        valid_from="2020-01-01T00:00:00Z",
    )  # fmt: skip
    await counter.hears(ConfirmLicence(person=anna, licence=licence), f"person:{ada}")
    token = await counter.token_of("anna@example.org")
    assert (await counter.get(f"/people/{anna}", token))[1]["notices"] == []
    assert len(await counter.hears(ForeseeExpiry(person=anna), "service:auth")) == 1
    assert (await counter.get(f"/people/{anna}", token))[1]["notices"] == [
        f"Your licence for weapons of class air ends on {until:%Y-%m-%d %H:%M} UTC; bookings after that are refused."
    ]


async def test_the_log_hears_of_category_and_validity_alone(counter: Counter) -> None:
    anna, ada = await counter.register(), await counter.bootstrap()
    licence = await record(counter, anna, await counter.token_of("ada@example.org"))
    name, actor, body = (await counter.log())[-1]
    assert (name, actor) == ("auth.licence-recorded", f"person:{ada}")
    assert set(body.replace('"', "").split()) >= {str(licence), "smallbore,"} or str(licence) in body
    assert "4711" not in body
    assert "Suhl" not in body


async def test_the_same_licence_entered_twice_is_one(counter: Counter) -> None:
    anna, token = await counter.register(), await counter.admin()
    answers = await asyncio.gather(*(counter.post(f"/people/{anna}/licences", LICENCE, token) for _ in range(5)))
    assert {status for status, _ in answers} == {201}
    first = UUID(answers[0][1]["licence"])
    assert {answer["licence"] for _, answer in answers} == {str(first)}
    assert await record(counter, anna, token, number=" wb 4711 ") == first
    assert await record(counter, anna, token, number="WB 4712") != first
    assert await record(counter, anna, token, valid_until="2027-07-01T00:00:00Z") != first
    assert [name for name, _, _ in await counter.log()].count("auth.licence-recorded") == 3


async def test_another_person_may_have_the_same_number(counter: Counter) -> None:
    anna, ben, token = await counter.register(), await counter.register("ben"), await counter.admin()
    assert await record(counter, anna, token) != await record(counter, ben, token)


async def test_only_staff_records_licences(counter: Counter) -> None:
    anna, ada = await counter.register(), await counter.bootstrap()
    token = await counter.token_of("anna@example.org")
    status, answer = await counter.post(f"/people/{anna}/licences", LICENCE, token)
    assert (status, answer["type"]) == (403, "/problems/not-allowed")
    await counter.hears(AssignRoles(person=anna, roles=("cashier",)), f"person:{ada}")
    token = await counter.token_of("anna@example.org")
    assert (await counter.post(f"/people/{anna}/licences", LICENCE, token))[0] == 403
    await counter.hears(AssignRoles(person=anna, roles=("instructor",)), f"person:{ada}")
    token = await counter.token_of("anna@example.org")
    assert (await counter.post(f"/people/{anna}/licences", LICENCE, token))[0] == 201


NO_LICENCES: list[tuple[dict[str, object], int, str]] = [
    ({"valid_until": LICENCE["valid_from"]}, 422, "validity-empty"),
    ({"valid_until": "2020-01-01T00:00:00Z"}, 422, "validity-empty"),
    ({"category": "fishing"}, 422, "category-unknown"),
    ({"category": "Small Bore"}, 422, "invalid-request"),
    ({"valid_from": "2026-06-01T00:00:00"}, 422, "invalid-request"),
    ({"valid_from": "2026-06-31"}, 422, "invalid-request"),
    ({"valid_from": "1899-06-01"}, 422, "invalid-request"),
    ({"valid_from": "2027-06-01"}, 422, "validity-empty"),
    ({"valid_from": 1_780_000_000}, 422, "invalid-request"),
    ({"valid_until": "9999-01-01T00:00:00Z"}, 422, "invalid-request"),
    ({"number": ""}, 422, "invalid-request"),
    ({"number": "a\nb"}, 422, "invalid-request"),
    ({"number": "a\x00b"}, 422, "invalid-request"),
    ({"authority": "x" * 121}, 422, "invalid-request"),
]


async def test_a_licence_that_is_none_is_not_recorded(counter: Counter) -> None:
    anna, token = await counter.register(), await counter.admin()
    before = await counter.log()
    for changes, status, name in NO_LICENCES:
        answer = await counter.post(f"/people/{anna}/licences", {**LICENCE, **changes}, token)
        assert (answer[0], answer[1]["type"]) == (status, f"/problems/{name}"), changes
    assert await counter.log() == before


async def test_nobody_s_licence_is_not_recorded(counter: Counter) -> None:
    token = await counter.admin()
    for person in (str(UUID(int=9)), "nobody", "1"):
        assert (await counter.post(f"/people/{person}/licences", LICENCE, token))[0] == 404


async def test_two_confirmations_at_once_are_one(counter: Counter) -> None:
    anna, ada = await counter.register(), await counter.bootstrap()
    licence = await record(counter, anna, await counter.token_of("ada@example.org"))
    confirm = ConfirmLicence(person=anna, licence=licence)
    said = await asyncio.gather(*(counter.hears(confirm, f"person:{ada}") for _ in range(4)))
    rejected = [messages[0] for messages in said if isinstance(messages[0], CommandRejected)]
    assert len(rejected) == 3
    assert {one.rule for one in rejected} == {"licence-already-confirmed"}


async def test_two_admins_cannot_dismiss_each_other_at_once(counter: Counter) -> None:
    ada, ben = await counter.bootstrap(), await counter.register("ben")
    await counter.hears(AssignRoles(person=ben, roles=("admin",)), f"person:{ada}")
    dismiss_ben = AssignRoles(person=ben, roles=("shooter",))
    async with counter.pool.acquire() as connection, connection.transaction():
        await store.load_role_book(connection, dismiss_ben)
        other = asyncio.create_task(counter.hears(AssignRoles(person=ada, roles=("shooter",)), f"person:{ben}"))
        while not other.done() and not await waits_for_a_lock(counter):
            await asyncio.sleep(0.01)
        await store.apply_roles_assigned(connection, RolesAssigned(person=ben, roles=("shooter",)))
    (rejected,) = await other
    assert isinstance(rejected, CommandRejected)
    assert rejected.rule == "not-allowed"  # ben is no admin any more


async def waits_for_a_lock(counter: Counter) -> bool:
    rows = await counter.fetch(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(rows)


async def test_the_tables_are_what_the_log_says(counter: Counter) -> None:
    anna, ada = await counter.register(), await counter.bootstrap()
    token, by = await counter.token_of("ada@example.org"), f"person:{ada}"
    first = await record(counter, anna, token)
    second = await record(counter, anna, token, category="centrefire", valid_until="2026-09-01T00:00:00Z")
    for licence in (first, second):
        await counter.hears(ConfirmLicence(person=anna, licence=licence), by)
    await counter.hears(SuspendLicence(person=anna, licence=first, reason="lost"), by)
    await counter.hears(AssignRoles(person=anna, roles=("shooter", "cashier")), by)
    for lane in ("lane-1", "lane-2"):
        await counter.post("/devices", {"device": "target-1", "lane": lane}, token)
    compared = await verify(counter.database.url("postgres"), service(), lambda _: None)
    assert {one.table: one.rows for one in compared if one.rows} == {
        "device": 1,
        "entitlement": 3,
        "licence": 2,
        "person": 2,
    }
    assert [one.table for one in compared if not one.same] == []
