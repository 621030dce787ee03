import asyncio
import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from handlers.auth.model import Standing
from handlers.auth.passwords import Hasher
from handlers.auth.session_store import Held
from handlers.auth.sessions import GRACE, Verdict, judge
from tests.database import Database
from tests.handlers.auth.counter import Answer, Counter, open_counter

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


async def refresh(counter: Counter, token: str) -> Answer:
    return await counter.post("/sessions/refresh", {"refresh_token": token})


async def spent_long_ago(counter: Counter) -> None:
    """Lets the grace of all spent tokens pass."""
    await counter.fetch("UPDATE auth.refresh_token SET spent_at = spent_at - interval '11 seconds'")


async def test_a_login_gives_tokens_that_say_who_it_is(counter: Counter) -> None:
    person = await counter.register()
    tokens = await counter.log_in()
    assert set(tokens) == {
        "person",
        "roles",
        "token_type",
        "access_token",
        "expires_in_s",
        "refresh_token",
        "refresh_expires_at",
    }
    claims = counter.claims(tokens["access_token"])
    assert (claims.person, claims.roles) == (person, ("shooter",))
    assert (claims.expires_at - claims.issued_at).total_seconds() == tokens["expires_in_s"] == 300
    assert (tokens["person"], tokens["roles"], tokens["token_type"]) == (str(person), ["shooter"], "Bearer")


async def test_unknown_names_and_wrong_passwords_get_one_answer(counter: Counter) -> None:
    await counter.register()
    wrong = await counter.try_login(password="not the password")
    unknown = await counter.try_login("nobody@example.org")
    assert wrong == unknown
    assert (wrong[0], wrong[1]["type"]) == (401, "/problems/login-refused")


async def test_unknown_names_and_wrong_passwords_cost_one_hash_each(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await counter.register()
    verified: list[str] = []
    verify = Hasher._verify

    def counted(self: Hasher, password_hash: str, password: str) -> bool:
        verified.append(password_hash.rpartition("$")[0].rpartition("$")[0])  # with which parameters
        return verify(self, password_hash, password)

    monkeypatch.setattr(Hasher, "_verify", counted)
    await counter.try_login(password="not the password")
    await counter.try_login("nobody@example.org")
    assert len(verified) == 2
    assert verified[0] == verified[1]


async def test_the_time_does_not_tell_which_names_exist(database: Database, master_key_file: Path) -> None:
    async with open_counter(database, master_key_file, Hasher()) as counter:
        await counter.register()
        times: dict[str, list[float]] = {"anna@example.org": [], "nobody@example.org": []}
        for n in range(20):
            for login, taken in times.items():
                began = time.perf_counter()
                await counter.try_login(login, "wrong password", f"192.0.2.{n}")
                taken.append(time.perf_counter() - began)
    known, unknown = (statistics.median(taken) for taken in times.values())
    assert abs(known - unknown) < 0.4 * max(known, unknown)


async def test_a_refresh_token_gives_the_next_and_is_spent(counter: Counter) -> None:
    await counter.register()
    first = await counter.log_in()
    status, second = await refresh(counter, first["refresh_token"])
    assert status == 200
    assert second["refresh_token"] != first["refresh_token"]
    assert counter.claims(second["access_token"]).subject == f"person:{first['person']}"
    assert (await refresh(counter, second["refresh_token"]))[0] == 200


async def test_whoever_lost_the_answer_is_given_the_same_successor(counter: Counter) -> None:
    await counter.register()
    first = await counter.log_in()
    _, lost = await refresh(counter, first["refresh_token"])
    status, again = await refresh(counter, first["refresh_token"])
    assert status == 200
    assert again["refresh_token"] == lost["refresh_token"]
    assert (await refresh(counter, again["refresh_token"]))[0] == 200


async def test_two_refreshes_at_once_get_one_successor(counter: Counter) -> None:
    await counter.register()
    first = await counter.log_in()
    answers = await asyncio.gather(*(refresh(counter, first["refresh_token"]) for _ in range(6)))
    assert {status for status, _ in answers} == {200}
    assert len({answer["refresh_token"] for _, answer in answers}) == 1


async def test_a_spent_token_that_comes_late_ends_the_session(counter: Counter) -> None:
    await counter.register()
    first = await counter.log_in()
    _, second = await refresh(counter, first["refresh_token"])
    await spent_long_ago(counter)
    status, answer = await refresh(counter, first["refresh_token"])
    assert (status, answer["type"]) == (401, "/problems/refresh-refused")
    assert (await refresh(counter, second["refresh_token"]))[0] == 401
    assert [row["closed_by"] for row in await counter.fetch("SELECT closed_by FROM auth.session")] == ["reuse"]


async def test_a_spent_token_whose_successor_was_used_ends_the_session(counter: Counter) -> None:
    await counter.register()
    first = await counter.log_in()
    _, second = await refresh(counter, first["refresh_token"])
    _, third = await refresh(counter, second["refresh_token"])
    assert (await refresh(counter, first["refresh_token"]))[0] == 401
    assert (await refresh(counter, third["refresh_token"]))[0] == 401


async def test_a_stolen_token_ends_one_login_not_all(counter: Counter) -> None:
    await counter.register()
    stolen, other = await counter.log_in(), await counter.log_in()
    await refresh(counter, stolen["refresh_token"])
    await spent_long_ago(counter)
    await refresh(counter, stolen["refresh_token"])
    assert (await refresh(counter, other["refresh_token"]))[0] == 200


async def test_logging_out_ends_the_session(counter: Counter) -> None:
    await counter.register()
    tokens = await counter.log_in()
    body = {"refresh_token": tokens["refresh_token"]}
    assert await counter.post("/sessions/logout", body) == (204, None)
    assert (await refresh(counter, tokens["refresh_token"]))[0] == 401
    assert await counter.post("/sessions/logout", body) == (204, None)
    assert await counter.post("/sessions/logout", {"refresh_token": "invented"}) == (204, None)


async def test_logging_out_with_a_spent_token_ends_the_session_too(counter: Counter) -> None:
    await counter.register()
    first = await counter.log_in()
    _, second = await refresh(counter, first["refresh_token"])
    await counter.post("/sessions/logout", {"refresh_token": first["refresh_token"]})
    assert (await refresh(counter, second["refresh_token"]))[0] == 401


async def test_a_session_ends_at_last_however_often_it_was_refreshed(counter: Counter) -> None:
    await counter.register()
    tokens = await counter.log_in()
    await counter.fetch(
        "UPDATE auth.session SET opened_at = opened_at - interval '30 days', expires_at = clock_timestamp()"
    )
    assert (await refresh(counter, tokens["refresh_token"]))[0] == 401


async def test_no_token_other_than_a_refresh_token_refreshes(counter: Counter) -> None:
    await counter.register()
    tokens = await counter.log_in()
    for other in (tokens["access_token"][:256], tokens["refresh_token"] + "x", "x"):
        assert (await refresh(counter, other))[0] == 401
    status, _ = await counter.get(f"/people/{tokens['person']}", tokens["refresh_token"])
    assert status == 401


async def test_a_hash_of_old_parameters_becomes_one_of_new_ones(database: Database, master_key_file: Path) -> None:
    async with open_counter(database, master_key_file) as counter:
        await counter.register()
    async with open_counter(database, master_key_file, Hasher(time_cost=2, memory_kib=16)) as counter:
        for _ in range(2):
            await counter.log_in()
            rows = await counter.fetch("SELECT password_hash FROM auth.account")
            assert "$m=16,t=2,p=1$" in rows[0]["password_hash"]


async def test_roles_in_a_new_token_are_those_of_the_moment(counter: Counter) -> None:
    person = await counter.register()
    tokens = await counter.log_in()
    await counter.fetch("UPDATE auth.person SET roles = '{shooter,cashier}' WHERE person = $1", person)
    _, again = await refresh(counter, tokens["refresh_token"])
    assert counter.claims(again["access_token"]).roles == ("cashier", "shooter")


async def test_many_logins_at_once_leave_the_endpoint_quick(database: Database, master_key_file: Path) -> None:
    async with open_counter(database, master_key_file, Hasher()) as counter:
        await counter.register()
        logins = [asyncio.create_task(counter.try_login(address=f"10.0.0.{n}")) for n in range(50)]
        waited_for = [0]  # how many logins were through before health was answered: no clock, however busy the machine
        while not all(login.done() for login in logins):
            before = sum(login.done() for login in logins)
            assert (await counter.get("/health"))[0] == 200
            waited_for.append(sum(login.done() for login in logins) - before)
            await asyncio.sleep(0.01)
        assert {login.result()[0] for login in logins} == {200}
    assert max(waited_for) < 15


async def test_more_logins_than_can_wait_are_told_to_come_again(database: Database, master_key_file: Path) -> None:
    async with open_counter(database, master_key_file, Hasher(most_waiting=2)) as counter:
        await counter.register()
        answers = await asyncio.gather(*(counter.try_login(address=f"10.0.0.{n}") for n in range(20)))
    assert {status for status, _ in answers} == {200, 503}
    turned_away = next(answer for status, answer in answers if status == 503)
    assert (turned_away["type"], turned_away["retry_after_s"]) == ("/problems/busy", 2)


HELD = Held(
    session=UUID(int=1),
    person=UUID(int=2),
    expires_at=NOON + timedelta(days=7),
    spent_at=None,
    opened_at=NOON - timedelta(days=1),
    session_expires_at=NOON + timedelta(days=30),
    closed_at=None,
    second_factor=False,
)


@pytest.mark.parametrize(
    ("changes", "at", "successor_unspent", "verdict"),
    [
        ({}, NOON, False, Verdict.FRESH),
        ({}, HELD.expires_at - MOMENT, False, Verdict.FRESH),
        ({}, HELD.expires_at, False, Verdict.ENDED),
        ({"closed_at": NOON}, NOON, False, Verdict.ENDED),
        ({"closed_at": NOON, "spent_at": NOON}, NOON, True, Verdict.ENDED),
        ({"session_expires_at": NOON}, NOON, False, Verdict.ENDED),
        ({"spent_at": NOON}, NOON + GRACE - MOMENT, True, Verdict.AGAIN),
        ({"spent_at": NOON}, NOON + GRACE, True, Verdict.STOLEN),
        ({"spent_at": NOON}, NOON, False, Verdict.STOLEN),
    ],
)
def test_what_a_refresh_token_is_worth(
    changes: dict[str, datetime],
    at: datetime,
    successor_unspent: bool,  # noqa: FBT001 - a case of the table
    verdict: Verdict,
) -> None:
    fields = {name: getattr(HELD, name) for name in Held.__dataclass_fields__}
    held = Held(**{**fields, **changes})
    assert judge(held, Standing(frozenset()), at, successor_unspent=successor_unspent) is verdict


@pytest.mark.parametrize(
    ("standing", "verdict"),
    [
        (None, Verdict.ENDED),
        (Standing(frozenset(), disabled=True), Verdict.ENDED),
        (Standing(frozenset(), tokens_since=NOON), Verdict.FRESH),
        (Standing(frozenset(), logins_since=HELD.opened_at), Verdict.FRESH),
        (Standing(frozenset(), logins_since=HELD.opened_at + MOMENT), Verdict.ENDED),
    ],
)
def test_a_refresh_token_is_worth_nothing_to_who_may_not_be_here(standing: Standing | None, verdict: Verdict) -> None:
    assert judge(HELD, standing, NOON, successor_unspent=False) is verdict
