import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from handlers.auth.throttle import ACCOUNT, ADDRESS, BOTH, Limit, keys_of
from handlers.auth.vault import Vault
from tests.database import Database
from tests.handlers.auth.counter import HERE, Counter, open_counter

ELSEWHERE = "198.51.100.7"


async def fail(counter: Counter, times: int, address: str = HERE) -> list[int]:
    return [(await counter.try_login(password="wrong password", address=address))[0] for _ in range(times)]


async def time_passes(counter: Counter, seconds: int) -> None:
    await counter.fetch(
        "UPDATE auth.login_attempt SET next_at = next_at - $1::interval, last_at = last_at - $1::interval",
        timedelta(seconds=seconds),
    )


async def test_guessing_is_slowed_down_even_for_the_right_password(counter: Counter) -> None:
    await counter.register()
    assert await fail(counter, BOTH.free + 1) == [401] * (BOTH.free + 1)
    status, answer = await counter.try_login()
    assert (status, answer["type"], answer["retry_after_s"]) == (429, "/problems/too-many-logins", 1)
    await time_passes(counter, 1)
    assert (await counter.try_login())[0] == 200


async def test_each_further_guess_takes_twice_as_long(counter: Counter) -> None:
    await counter.register()
    await fail(counter, BOTH.free + 1)
    for pause_s in (1, 2, 4, 8):
        status, answer = await counter.try_login(password="wrong password")
        assert (status, answer["retry_after_s"]) == (429, pause_s)
        await time_passes(counter, pause_s)
        assert await fail(counter, 1) == [401]


async def test_being_turned_away_counts_for_nothing(counter: Counter) -> None:
    await counter.register()
    await fail(counter, BOTH.free + 20)
    await time_passes(counter, 1)
    assert (await counter.try_login())[0] == 200


async def test_names_that_do_not_exist_are_slowed_down_alike(counter: Counter) -> None:
    answers = [await counter.try_login("nobody", "wrong password") for _ in range(BOTH.free + 2)]
    assert [status for status, _ in answers] == [401] * (BOTH.free + 1) + [429]


async def test_a_hundred_guesses_at_once_count_as_a_hundred(counter: Counter) -> None:
    await counter.register()
    answers = await asyncio.gather(*(counter.try_login(password="wrong password") for _ in range(40)))
    assert sorted(status for status, _ in answers) == [401] * (BOTH.free + 1) + [429] * (40 - BOTH.free - 1)


async def test_the_owner_logs_in_where_she_did_before_while_others_guess_from_everywhere(counter: Counter) -> None:
    await counter.register()
    assert (await counter.try_login())[0] == 200
    for n in range(ACCOUNT.free + 2):
        await fail(counter, 1, f"198.51.100.{n}")
    assert (await counter.try_login(address=ELSEWHERE))[0] == 429
    assert (await counter.try_login())[0] == 200


async def test_an_account_guessed_at_from_everywhere_is_slow_but_not_locked(counter: Counter) -> None:
    await counter.register()
    for n in range(ACCOUNT.free + 1):
        await fail(counter, 1, f"198.51.100.{n}")
    assert (await counter.try_login(address=ELSEWHERE))[0] == 429
    await time_passes(counter, ACCOUNT.longest_s)
    assert (await counter.try_login(address=ELSEWHERE))[0] == 200


async def test_one_address_that_tries_many_names_is_slowed_down(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.auth.throttle.ADDRESS", Limit(free=10, longest_s=60))
    answers = [await counter.try_login(f"name{n}") for n in range(12)]
    assert [status for status, _ in answers] == [401] * 11 + [429]


async def test_what_was_right_is_not_held_against_an_address(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handlers.auth.throttle.ADDRESS", Limit(free=3, longest_s=60))
    await counter.register()
    assert [(await counter.try_login())[0] for _ in range(8)] == [200] * 8


async def test_what_was_guessed_is_remembered_over_a_restart(database: Database, master_key_file: Path) -> None:
    async with open_counter(database, master_key_file) as counter:
        await counter.register()
        assert (await counter.try_login())[0] == 200
        await fail(counter, BOTH.free + 1, ELSEWHERE)
    async with open_counter(database, master_key_file) as counter:
        assert (await counter.try_login(address=ELSEWHERE))[0] == 429
        assert (await counter.try_login())[0] == 200, "her own address is open to her still"


async def test_failures_are_forgotten_in_an_hour(counter: Counter) -> None:
    await counter.register()
    await fail(counter, BOTH.free + 1)
    await time_passes(counter, 3600)
    assert await fail(counter, BOTH.free) == [401] * BOTH.free


async def test_an_address_that_is_none_is_refused(counter: Counter) -> None:
    for address in ("", "anna", "192.0.2.256", "192.0.2.1/24", "::1%" + "x" * 99, None, 1):
        body = {"login": "anna", "password": "x", "address": address}
        assert (await counter.post("/sessions", body))[0] == 422, address


def test_pauses_grow_up_to_the_longest() -> None:
    assert [BOTH.pause(n).total_seconds() for n in (0, 5, 6, 7, 8, 16, 1000)] == [0, 0, 1, 2, 4, 900, 900]
    assert ADDRESS.pause(10**6) == ACCOUNT.pause(10**6) == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8:0:0:ffff::2", "same"),
        ("2001:db8::1", "2001:db8:0:1::1", "another"),
        ("::ffff:192.0.2.1", "192.0.2.1", "same"),
        ("192.0.2.1", "192.0.2.2", "another"),
    ],
)
def test_a_household_is_one_address(one: str, other: str, same: str) -> None:
    vault = Vault(bytes(32))
    assert (keys_of(vault, "anna", one) == keys_of(vault, "anna", other)) == (same == "same")
