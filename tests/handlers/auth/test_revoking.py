"""Disabling a person, and changes of roles, logins and passwords, act at once."""

import asyncio
from typing import Any
from uuid import UUID

from bus.identity import uuid7
from handlers.auth.commands import AssignRoles, DisablePerson, EnablePerson
from handlers.auth.events import CommandRejected, PersonDisabled, RolesAssigned, TokensRevoked
from handlers.auth.service import service
from handlers.rebuild import verify
from tests.handlers.auth.counter import PASSWORD, Answer, Counter

NEW = "an entirely different staple"


async def refresh(counter: Counter, tokens: dict[str, Any]) -> Answer:
    return await counter.post("/sessions/refresh", {"refresh_token": tokens["refresh_token"]})


async def known_by(counter: Counter, tokens: dict[str, Any]) -> int:
    """Asks with an access token; returns the status."""
    status, _ = await counter.get(f"/people/{tokens['person']}", tokens["access_token"])
    return status


async def change_password(counter: Counter, tokens: dict[str, Any], old: str, new: str) -> Answer:
    body = {"old_password": old, "new_password": new}
    return await counter.ask("PUT", f"/people/{tokens['person']}/password", tokens["access_token"], json=body)


async def test_a_disabled_person_is_out_at_once_and_logs_in_no_more(counter: Counter) -> None:
    anna, ada = await counter.register(), f"person:{await counter.bootstrap()}"
    tokens = await counter.log_in()
    assert await known_by(counter, tokens) == 200
    said = await counter.hears(DisablePerson(person=anna, reason="left-the-club"), ada)
    assert [type(one) for one in said] == [TokensRevoked, PersonDisabled]
    assert await known_by(counter, tokens) == 401
    assert (await refresh(counter, tokens))[0] == 401
    assert await counter.try_login() == await counter.try_login("nobody@example.org"), "like an unknown one"

    await counter.hears(EnablePerson(person=anna), ada)
    assert (await refresh(counter, tokens))[0] == 401, "what was ended stays ended"
    assert await known_by(counter, tokens) == 401
    assert await known_by(counter, await counter.log_in()) == 200


async def test_a_disabled_admin_decides_nothing_any_more(counter: Counter) -> None:
    ada, anna = await counter.bootstrap(), await counter.register()
    by_ada = f"person:{ada}"
    await counter.hears(AssignRoles(person=anna, roles=("admin",)), by_ada)
    await counter.hears(DisablePerson(person=ada, reason="left-the-club"), f"person:{anna}")
    [refused] = await counter.hears(EnablePerson(person=ada), by_ada)
    assert isinstance(refused, CommandRejected)
    assert refused.rule == "not-allowed"
    [refused] = await counter.hears(DisablePerson(person=anna, reason="left-the-club"), f"person:{anna}")
    assert isinstance(refused, CommandRejected)
    assert refused.rule == "last-admin", "a disabled admin is none"


async def test_new_roles_come_with_new_tokens_and_end_no_login(counter: Counter) -> None:
    anna, ada = await counter.register(), f"person:{await counter.bootstrap()}"
    tokens = await counter.log_in()
    said = await counter.hears(AssignRoles(person=anna, roles=("cashier",)), ada)
    assert [type(one) for one in said] == [TokensRevoked, RolesAssigned]
    assert await known_by(counter, tokens) == 401
    status, again = await refresh(counter, tokens)
    assert (status, again["roles"]) == (200, ["cashier"])
    assert await known_by(counter, again) == 200, "at once, not a second later"


async def test_a_changed_password_ends_every_other_login(counter: Counter) -> None:
    await counter.register()
    mine, other = await counter.log_in(), await counter.log_in()
    status, tokens = await change_password(counter, mine, PASSWORD, NEW)
    assert status == 200
    assert await known_by(counter, tokens) == 200
    for gone in (mine, other):
        assert await known_by(counter, gone) == 401
        assert (await refresh(counter, gone))[0] == 401
    assert (await refresh(counter, tokens))[0] == 200
    assert (await counter.try_login())[0] == 401
    assert (await counter.try_login(password=NEW))[0] == 200


async def test_a_password_is_changed_by_who_knows_the_present_one(counter: Counter) -> None:
    await counter.register()
    mine = await counter.log_in()
    for _ in range(5):
        status, answer = await change_password(counter, mine, "not the password", NEW)
        assert (status, answer["type"]) == (403, "/problems/password-wrong")
    status, answer = await change_password(counter, mine, "not the password", NEW)
    assert status == 403
    status, answer = await change_password(counter, mine, PASSWORD, NEW)
    assert (status, answer["type"]) == (429, "/problems/too-many-logins"), "a stolen token does not help to guess"
    assert await known_by(counter, mine) == 200


async def test_a_changed_password_keeps_the_rules_of_a_first_one(counter: Counter) -> None:
    await counter.register()
    status, answer = await change_password(counter, await counter.log_in(), PASSWORD, "password1")
    assert (status, answer["type"]) == (422, "/problems/password-guessable")


async def test_of_two_changes_at_once_one_is_made(counter: Counter) -> None:
    await counter.register()
    mine = await counter.log_in()
    answers = await asyncio.gather(*(change_password(counter, mine, PASSWORD, f"{NEW} {n}") for n in range(3)))
    assert [status for status, _ in answers].count(200) == 1


async def test_logins_are_listed_and_ended_one_by_one_or_all(counter: Counter) -> None:
    await counter.register()
    first, second = await counter.log_in(), await counter.log_in()
    _, first = await refresh(counter, first)
    own = f"/people/{first['person']}/sessions"
    _, listed = await counter.get(own, second["access_token"])
    assert [one["refreshed_at"] is None for one in listed["items"]] == [False, True]
    gone = listed["items"][0]["session"]
    assert await counter.ask("DELETE", f"{own}/{gone}", second["access_token"]) == (204, None)
    assert (await refresh(counter, first))[0] == 401
    assert await known_by(counter, first) == 401
    status, second = await refresh(counter, second)
    assert status == 200
    again = await counter.ask("DELETE", f"{own}/{gone}", second["access_token"])
    assert (again[0], again[1]["type"]) == (404, "/problems/session-unknown")
    assert await counter.ask("DELETE", own, second["access_token"]) == (204, None)
    assert (await refresh(counter, second))[0] == 401
    third = await counter.log_in()
    _, listed = await counter.get(own, third["access_token"])
    assert len(listed["items"]) == 1


async def test_nobody_sees_or_ends_the_logins_of_others(counter: Counter) -> None:
    await counter.register()
    anna = await counter.log_in()
    admin = await counter.admin()
    own = f"/people/{anna['person']}/sessions"
    session = (await counter.get(own, anna["access_token"]))[1]["items"][0]["session"]
    ada = UUID(str(counter.claims(admin).person))
    asked = [
        ("GET", own),
        ("DELETE", own),
        ("DELETE", f"{own}/{session}"),
        ("DELETE", f"/people/{ada}/sessions/{session}"),
    ]
    for method, path in (*asked, ("GET", f"/people/{uuid7()}/sessions"), ("DELETE", f"/people/{ada}/sessions/x")):
        assert (await counter.ask(method, path, admin))[0] == 404, path
    assert (await refresh(counter, anna))[0] == 200


async def test_a_login_that_was_stolen_or_left_gives_no_access_any_more(counter: Counter) -> None:
    await counter.register()
    left = await counter.log_in()
    await counter.post("/sessions/logout", {"refresh_token": left["refresh_token"]})
    assert await known_by(counter, left) == 401
    stolen = await counter.log_in()
    _, successor = await refresh(counter, stolen)
    await counter.fetch("UPDATE auth.refresh_token SET spent_at = spent_at - interval '11 seconds'")
    assert (await refresh(counter, stolen))[0] == 401
    assert await known_by(counter, successor) == 401


async def test_who_may_be_here_follows_from_the_events(counter: Counter) -> None:
    anna, ada = await counter.register(), f"person:{await counter.bootstrap()}"
    await counter.hears(AssignRoles(person=anna, roles=("cashier",)), ada)
    await counter.hears(DisablePerson(person=anna, reason="left-the-club"), ada)
    await counter.hears(EnablePerson(person=anna), ada)
    await counter.hears(DisablePerson(person=anna, reason="left-the-club"), ada)
    compared = await verify(counter.database.url("postgres"), service(), lambda _: None)
    assert [one.table for one in compared if not one.same] == []
