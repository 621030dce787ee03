import asyncio
from uuid import UUID

import pytest

from handlers.auth.commands import AssignRoles
from handlers.auth.spelling import one_spelling
from tests.handlers.auth.counter import BOOTSTRAP_SECRET, LICENCE, PASSWORD, Counter

CANARIES = {
    "login": "canary.login@example.org",
    "password": "canary-password-of-nine-words",
    "display_name": "Canary Displayname",
    "number": "CANARYNUMBER",
    "authority": "Canary Authority",
}


async def test_whoever_registers_is_a_shooter(counter: Counter) -> None:
    person = await counter.register()
    assert await counter.log() == [
        ("auth.person-registered", f"person:{person}", f'{{"roles": ["shooter"], "person": "{person}"}}')
    ]


async def test_a_login_name_is_taken_once_however_it_is_written(counter: Counter) -> None:
    await counter.register("Anna@Example.org")
    for again in ("anna@example.org", " ANNA@EXAMPLE.ORG ", "\uff21nna@example.org"):  # the last has a wide A
        body = {"login": again, "password": PASSWORD, "display_name": "Anna"}
        status, answer = await counter.post("/people", body)
        assert (status, answer["type"]) == (409, "/problems/login-taken")
    assert len(await counter.log()) == 1


async def test_of_two_who_take_a_name_at_once_one_gets_it(counter: Counter) -> None:
    body = {"login": "anna", "password": PASSWORD, "display_name": "Anna"}
    answers = await asyncio.gather(*(counter.post("/people", body) for _ in range(8)))
    assert sorted(status for status, _ in answers) == [201] + [409] * 7
    assert len(await counter.log()) == 1


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("seven77", "password-length"),
        ("x" * 129, "password-length"),
        ("Password123!", "password-guessable"),
        ("anna.schmidt-2026", "password-tells-who-you-are"),
    ],
)
async def test_a_poor_password_is_refused_with_a_reason(counter: Counter, password: str, rule: str) -> None:
    body = {"login": "anna.schmidt@example.org", "password": password, "display_name": "Anna"}
    status, answer = await counter.post("/people", body)
    assert (status, answer["type"]) == (422, f"/problems/{rule}")
    assert answer["detail"]
    assert await counter.log() == []


async def test_the_first_admin_comes_by_the_secret_and_nobody_after(counter: Counter) -> None:
    person = await counter.bootstrap()
    assert (await counter.log())[0][2] == f'{{"roles": ["admin"], "person": "{person}"}}'
    body = {"login": "eve", "password": PASSWORD, "display_name": "Eve", "secret": BOOTSTRAP_SECRET}
    status, answer = await counter.post("/bootstrap", body)
    assert (status, answer["type"]) == (409, "/problems/bootstrap-done")
    assert len(await counter.log()) == 1


async def test_of_two_first_admins_at_once_there_is_one(counter: Counter) -> None:
    bodies = [
        {"login": f"admin{n}", "password": PASSWORD, "display_name": "Admin", "secret": BOOTSTRAP_SECRET}
        for n in range(6)
    ]
    answers = await asyncio.gather(*(counter.post("/bootstrap", body) for body in bodies))
    assert sorted(status for status, _ in answers) == [201] + [409] * 5


async def test_without_the_secret_nobody_becomes_an_admin(counter: Counter) -> None:
    body = {"login": "eve", "password": PASSWORD, "display_name": "Eve", "secret": "guessed"}
    status, answer = await counter.post("/bootstrap", body)
    assert (status, answer["type"]) == (403, "/problems/bootstrap-refused")
    await counter.bootstrap()


async def test_a_failed_first_admin_leaves_the_way_open(counter: Counter) -> None:
    await counter.register("taken")
    body = {"login": "taken", "password": PASSWORD, "display_name": "Ada", "secret": BOOTSTRAP_SECRET}
    status, _ = await counter.post("/bootstrap", body)
    assert status == 409
    await counter.bootstrap()


async def test_one_reads_one_s_own_profile(counter: Counter) -> None:
    person = await counter.register(display_name="Änna Schmidt")
    status, answer = await counter.get(f"/people/{person}", await counter.token_of("anna@example.org"))
    assert status == 200
    assert answer == {
        "person": str(person),
        "display_name": "Änna Schmidt",
        "login": "anna@example.org",
        "roles": ["shooter"],
        "licences": [],
        "notices": [],
    }


async def test_another_s_profile_looks_absent(counter: Counter) -> None:
    anna = await counter.register()
    await counter.register("ben")
    token = await counter.token_of("ben")
    nobody = await counter.get(f"/people/{UUID(int=5)}", token)
    assert await counter.get(f"/people/{anna}", token) == nobody
    assert nobody[0] == 404


async def test_staff_reads_a_profile_but_not_the_login_name(counter: Counter) -> None:
    anna, token = await counter.register(), await counter.admin()
    await counter.post(f"/people/{anna}/licences", LICENCE, token)
    status, answer = await counter.get(f"/people/{anna}", token)
    assert (status, answer["display_name"], answer["login"]) == (200, "Anna Schmidt", None)
    assert answer["licences"][0]["number"] == "WB 4711"


async def test_a_role_taken_away_counts_at_once_whatever_the_token_says(counter: Counter) -> None:
    ada = await counter.bootstrap()
    ben = await counter.register("ben")
    anna = await counter.register()
    await counter.hears(AssignRoles(person=ben, roles=("instructor",)), f"person:{ada}")
    token = await counter.token_of("ben")
    assert (await counter.get(f"/people/{anna}", token))[0] == 200
    await counter.hears(AssignRoles(person=ben, roles=("shooter",)), f"person:{ada}")
    assert counter.claims(token).roles == ("instructor",)
    assert (await counter.get(f"/people/{anna}", token))[0] == 401, "it is a token of before"
    assert (await counter.get(f"/people/{anna}", await counter.token_of("ben")))[0] == 404


async def test_nothing_personal_stands_in_the_log_or_unsealed_in_a_table(
    counter: Counter, capfd: pytest.CaptureFixture[str]
) -> None:
    registration = {name: CANARIES[name] for name in ("login", "password", "display_name")}
    status, answer = await counter.post("/people", registration)
    assert status == 201
    _, tokens = await counter.try_login(CANARIES["login"], CANARIES["password"])
    await counter.try_login(CANARIES["login"], "canary-wrong-password")
    licence = {**LICENCE, "number": CANARIES["number"], "authority": CANARIES["authority"]}
    status, _ = await counter.post(f"/people/{answer['person']}/licences", licence, await counter.admin())
    assert status == 201
    planted = [*CANARIES.values(), "canary-wrong-password", tokens["refresh_token"], tokens["access_token"]]
    planted += [text.casefold() for text in planted]
    tables = await counter.fetch(
        """
        SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN ('auth', 'bus')
        """
    )
    seen = capfd.readouterr()
    places = {"the output": seen.out + seen.err}
    for table in tables:
        rows = await counter.fetch(f"SELECT t::text AS row FROM {table['name']} AS t")
        places[table["name"]] = "\n".join(row["row"] for row in rows)
    assert places["bus.outbox"].count("\n") == 2  # three events were looked through
    hex_of = [text.encode().hex() for text in planted]
    found = {(place, one) for place, text in places.items() for one in planted + hex_of if one in text}
    assert found == set()


@pytest.mark.parametrize(
    ("one", "other"), [("Anna", "anna"), (" anna ", "anna"), ("STRASSE", "straße"), ("ﬁne", "fine")]
)
def test_login_names_written_differently_are_the_same(one: str, other: str) -> None:
    assert one_spelling(one) == one_spelling(other)
