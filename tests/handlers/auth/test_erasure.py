"""Export and erasure: what is held is told, and afterwards nothing of it is left, not even by an older backup."""

import json
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner

from handlers.auth.commands import ConfirmLicence
from handlers.auth.service import service
from handlers.rebuild import verify
from ops.cli import main
from ops.unprivileged import INSTALLED, PROGRAMS
from tests.database import Database
from tests.handlers.auth.counter import LICENCE, PASSWORD, Counter, open_counter

CANARIES = ("canary-login@example.org", "Canary Bird", "CANARY 4711", "Canary Office", PASSWORD)
LOGIN, NAME, NUMBER, OFFICE, _ = CANARIES
KEPT = ("account", "person_key", "session", "second_factor", "licence_document")


async def person_with_all(counter: Counter) -> tuple[UUID, str]:
    """Returns somebody of whom there is everything, and an admin's token."""
    person = await counter.register(LOGIN, display_name=NAME)
    admin = await counter.admin()
    entry = {**LICENCE, "number": NUMBER, "authority": OFFICE}
    _, recorded = await counter.post(f"/people/{person}/licences", entry, admin)
    by = f"person:{counter.claims(admin).person}"
    await counter.hears(ConfirmLicence(person=person, licence=UUID(recorded["licence"])), by)
    return person, admin


async def erase(counter: Counter, person: UUID, token: str, password: str = PASSWORD) -> int:
    status, _ = await counter.post(f"/people/{person}/erase", {"password": password}, token)
    return status


async def rows_of(counter: Counter, person: UUID) -> int:
    return sum(
        [
            (await counter.fetch(f"SELECT count(*) FROM auth.{table} AS t WHERE t.person = $1", person))[0][0]
            for table in KEPT
        ]
    )


async def test_all_that_is_held_is_told_to_its_owner_and_to_admins(counter: Counter) -> None:
    person, admin = await person_with_all(counter)
    own = await counter.token_of(LOGIN)
    status, held = await counter.get(f"/people/{person}/export", own)
    assert status == 200
    assert (held["login"], held["display_name"], held["roles"]) == (LOGIN, NAME, ["shooter"])
    assert [(one["number"], one["authority"]) for one in held["licences"]] == [(NUMBER, OFFICE)]
    assert {one["weapon_class"] for one in held["entitlements"]} == {"air", "smallbore"}
    assert len(held["logins"]) == 1
    assert (await counter.get(f"/people/{person}/export", admin))[1]["login"] == LOGIN
    await counter.register()
    stranger = await counter.token_of("anna@example.org")
    assert (await counter.get(f"/people/{person}/export", stranger))[0] == 404
    assert await erase(counter, person, stranger) == 404


async def test_after_erasure_nothing_is_left_in_a_dump_or_in_what_processes_say(
    counter: Counter, capfd: pytest.CaptureFixture[str]
) -> None:
    person, _ = await person_with_all(counter)
    token = await counter.token_of(LOGIN)
    assert await erase(counter, person, token, "not the password") == 403
    assert await erase(counter, person, token) == 204
    assert (await counter.get(f"/people/{person}", token))[0] == 401
    assert (await counter.try_login(LOGIN))[0] == 401
    dump = subprocess.run(  # noqa: ASYNC221 - nothing else is going on
        [INSTALLED / PROGRAMS / "pg_dump", "--inserts", counter.database.url("postgres")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert str(person) in dump, "the log knows the id, and nothing else"
    said = "".join(capfd.readouterr())
    for canary in CANARIES:
        for text in (canary, canary.casefold(), canary.encode().hex()):
            assert text not in dump
            assert text not in said
    assert await rows_of(counter, person) == 0


async def test_an_erased_person_has_no_licence_role_or_way_back(counter: Counter) -> None:
    person, admin = await person_with_all(counter)
    assert await erase(counter, person, admin) == 204
    assert await erase(counter, person, admin) == 404
    assert (await counter.get(f"/people/{person}", admin))[0] == 404
    for table in ("licence", "entitlement"):
        assert await counter.fetch(f"SELECT FROM auth.{table} WHERE person = $1", person) == []
    assert [name for name, _, _ in await counter.log()][-3:] == [
        "auth.tokens-revoked",
        "auth.entitlements-published",
        "auth.person-erased",
    ]
    compared = await verify(counter.database.url("postgres"), service(), lambda _: None)
    assert [one.table for one in compared if not one.same] == []
    assert await counter.register(LOGIN) != person, "the name is free again"


async def test_the_last_admin_is_not_erased(counter: Counter) -> None:
    token = await counter.admin()
    person = counter.claims(token).person
    status, answer = await counter.post(f"/people/{person}/erase", {"password": PASSWORD}, token)
    assert (status, answer["type"]) == (409, "/problems/last-admin")


async def test_a_restored_backup_brings_nobody_back(database: Database, master_key_file: Path) -> None:
    async with open_counter(database, master_key_file) as counter:
        person, admin = await person_with_all(counter)
        ada = counter.claims(admin).person
        tables = ("person", "licence", "account", "person_key", "licence_document")
        backup = {
            table: await counter.fetch(f"SELECT * FROM auth.{table} WHERE person = $1", person) for table in tables
        }
        assert await erase(counter, person, admin) == 204
        await counter.fetch("DELETE FROM auth.person WHERE person = $1", person)
        for table, rows in backup.items():
            for row in rows:
                places = ", ".join(f"${n + 1}" for n in range(len(row)))
                await counter.fetch(f"INSERT INTO auth.{table} VALUES ({places})", *row)
        assert (await counter.try_login(LOGIN))[0] == 200, "the backup brought the person back"
    listed = master_key_file.with_name("erasures.jsonl")
    assert listed.stat().st_mode & 0o777 == 0o600
    record = json.loads(listed.read_text())
    assert (record["person"], record["asked_by"]) == (str(person), f"person:{ada}")
    assert record["ground"] == "decision of an administrator"
    assert "licence numbers and authorities" in record["destroyed"]
    assert "destroyed" in record["method"]
    erased_at, by, keep = (datetime.fromisoformat(record[n]) for n in ("erased_at", "destroy_by", "keep_until"))
    assert by - erased_at == timedelta(days=30)
    assert keep >= erased_at.replace(year=erased_at.year + 3)
    shown = CliRunner().invoke(main, ["erasures"], env={"FIRINGLINE_HOME": str(listed.parent)})
    assert shown.output == listed.read_text(), "the command shows it as it is"
    async with open_counter(database, master_key_file) as counter:
        assert (await counter.try_login(LOGIN))[0] == 401
        assert await rows_of(counter, person) == 0
        assert await counter.register(LOGIN) != person
