"""Codes besides the password: RFC 6238's own vectors, each step once, tries slowed down, secrets sealed."""

import asyncio
import base64
import time
from pathlib import Path
from typing import Any

import pytest

from handlers.auth import totp
from handlers.auth.commands import AssignRoles
from handlers.auth.events import Role
from tests.database import Database
from tests.handlers.auth.counter import HERE, PASSWORD, Answer, Counter, open_counter

RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("unix_s", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_standard(unix_s: int, code: str) -> None:
    assert totp.code_at(RFC_SECRET, unix_s // totp.STEP_S) == code


@pytest.mark.parametrize(("aside", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_one_step_off(aside: int, *, taken: bool) -> None:
    code = totp.code_at(RFC_SECRET, 1000 + aside)
    assert totp.step_of(RFC_SECRET, code, 1000 * totp.STEP_S, 0) == (1000 + aside if taken else None)


@pytest.mark.parametrize(("last", "taken"), [(998, True), (999, True), (1000, False), (1001, False)])
def test_no_step_is_taken_twice_nor_one_before_it(last: int, *, taken: bool) -> None:
    code = totp.code_at(RFC_SECRET, 1000)
    assert (totp.step_of(RFC_SECRET, code, 1000 * totp.STEP_S, last) is not None) == taken


async def ask(counter: Counter, tokens: dict[str, Any], path: str, body: object) -> Answer:
    return await counter.post(f"/people/{tokens['person']}/second-factor{path}", body, tokens["access_token"])


async def log_in(counter: Counter, code: str | None, login: str = "anna@example.org") -> Answer:
    return await counter.post("/sessions", {"login": login, "password": PASSWORD, "address": HERE, "code": code})


def code_of(secret: bytes, later: int = 1) -> str:
    return totp.code_at(secret, int(time.time()) // totp.STEP_S + later)


async def enrolled(counter: Counter, login: str = "anna@example.org") -> tuple[bytes, list[str]]:
    """Gives somebody a second factor, by the code of this step; returns its secret and recovery codes."""
    tokens = await counter.log_in(login)
    status, answer = await ask(counter, tokens, "", {"password": PASSWORD})
    assert status == 201, answer
    assert answer["uri"].startswith("otpauth://totp/Firingline:")
    secret = base64.b32decode(answer["secret"])
    status, answer = await ask(counter, tokens, "/confirm", {"code": code_of(secret, 0)})
    assert status == 200, answer
    return secret, answer["recovery_codes"]


def rule(answer: Answer) -> tuple[int, str]:
    return answer[0], answer[1]["type"].removeprefix("/problems/")


async def test_a_login_asks_for_a_code_once_one_was_confirmed(counter: Counter) -> None:
    await counter.register()
    tokens = await counter.log_in()
    await ask(counter, tokens, "", {"password": PASSWORD})
    assert (await counter.try_login())[0] == 200, "not confirmed yet"
    secret, _ = await enrolled(counter)
    assert rule(await counter.try_login()) == (401, "second-factor-needed")
    assert rule(await counter.try_login(password="not the password")) == (401, "login-refused"), "told to nobody else"
    assert (await log_in(counter, code_of(secret)))[0] == 200
    assert rule(await ask(counter, tokens, "", {"password": PASSWORD})) == (409, "second-factor-there")


async def test_a_code_is_good_for_one_login_however_many_come_at_once(counter: Counter) -> None:
    await counter.register()
    secret, _ = await enrolled(counter)
    code = code_of(secret)
    answers = await asyncio.gather(*(log_in(counter, code) for _ in range(4)))
    assert sorted(status for status, _ in answers) == [200, 401, 401, 401]


async def test_codes_are_not_to_be_guessed(counter: Counter) -> None:
    await counter.register()
    secret, _ = await enrolled(counter)
    for _ in range(6):
        wrong = str((int(code_of(secret)) + 7) % 10**6).zfill(6)
        assert rule(await log_in(counter, wrong)) == (401, "second-factor-wrong")
    assert rule(await log_in(counter, code_of(secret))) == (429, "too-many-logins")


async def test_a_recovery_code_lets_in_once(counter: Counter) -> None:
    await counter.register()
    _, codes = await enrolled(counter)
    assert len(set(codes)) == 10
    assert (await log_in(counter, codes[3].upper()))[0] == 200
    assert rule(await log_in(counter, codes[3])) == (401, "second-factor-wrong")
    assert (await log_in(counter, codes[4]))[0] == 200


async def test_removing_needs_the_password_and_a_code(counter: Counter) -> None:
    await counter.register()
    tokens = await counter.log_in()
    secret, codes = await enrolled(counter)
    proof = {"password": "not the password", "code": codes[0]}
    assert rule(await ask(counter, tokens, "/remove", proof)) == (403, "proof-refused")
    proof = {"password": PASSWORD, "code": code_of(secret, 0)}
    assert rule(await ask(counter, tokens, "/remove", proof)) == (401, "second-factor-wrong"), "used to confirm"
    assert await ask(counter, tokens, "/remove", {"password": PASSWORD, "code": codes[0]}) == (204, None)
    assert (await counter.try_login())[0] == 200
    assert await counter.fetch("SELECT FROM auth.recovery_code") == []


async def test_enrolling_needs_the_password(counter: Counter) -> None:
    await counter.register()
    tokens = await counter.log_in()
    assert rule(await ask(counter, tokens, "", {"password": "not the password"})) == (403, "proof-refused")
    assert rule(await ask(counter, tokens, "/confirm", {"code": "123456"})) == (409, "second-factor-missing")


async def test_a_changed_password_needs_a_code_too(counter: Counter) -> None:
    await counter.register()
    tokens = await counter.log_in()
    secret, _ = await enrolled(counter)
    path, body = f"/people/{tokens['person']}/password", {"old_password": PASSWORD, "new_password": PASSWORD + " two"}
    answer = await counter.ask("PUT", path, tokens["access_token"], json=body)
    assert rule(answer) == (401, "second-factor-needed")
    status, _ = await counter.ask("PUT", path, tokens["access_token"], json={**body, "code": code_of(secret)})
    assert status == 200


async def test_where_staff_needs_a_second_factor_a_password_alone_gives_no_staffs_role(
    database: Database, master_key_file: Path
) -> None:
    async with open_counter(database, master_key_file, staff_needs_second_factor=True) as counter:
        ada, anna = await counter.bootstrap(), await counter.register()
        roles: tuple[Role, ...] = ("armourer", "cashier", "instructor", "shooter")
        await counter.hears(AssignRoles(person=anna, roles=roles), f"person:{ada}")
        tokens = await counter.log_in()
        assert tokens["roles"] == ["instructor", "shooter"]
        device = {"device": "target-3", "lane": "lane-3"}
        assert (await counter.post("/devices", device, tokens["access_token"]))[0] == 403
        secret, _ = await enrolled(counter)
        _, tokens = await log_in(counter, code_of(secret))
        assert tokens["roles"] == list(roles)
        assert (await counter.post("/devices", device, tokens["access_token"]))[0] == 201
        _, again = await counter.post("/sessions/refresh", {"refresh_token": tokens["refresh_token"]})
        assert again["roles"] == list(roles), "the login had it"


async def test_neither_secret_nor_codes_stand_readable_anywhere(counter: Counter) -> None:
    await counter.register()
    secret, codes = await enrolled(counter)
    tables = ("second_factor", "recovery_code", "session", "account")
    kept = str([await counter.fetch(f"SELECT t::text FROM auth.{table} AS t") for table in tables])
    told = kept + str(await counter.log())
    for canary in (secret.hex(), base64.b32encode(secret).decode(), *codes):
        assert canary not in told
