"""Every SQL literal in the code is understood by the schema, by the very role that will run it."""

from collections import defaultdict

import asyncpg
import pytest

from tests.house import statements
from tests.house.statements import Statement

SERVICES = ("auth", "booking", "armory", "payment", "stats")

AT_THE_GATE = ("bus/group_commit.py", "bus/shots.py", "bus/outcomes.py", "bus/tail.py")

SAID_WHEN_RUN = {
    "handlers/time_travel.py": "the same, in tables that it makes",
    "handlers/rebuild.py": "it works on whatever tables a service has, in a schema that it makes",
}


def role_of(statement: Statement) -> str:
    """Who runs it: a service its own, the gateway what it reads in views and what it appends."""
    folder, _, rest = statement.file.partition("/")
    if folder == "bus":
        return "gateway" if statement.file in AT_THE_GATE else "booking"
    if folder == "gateway":
        return "gateway"
    service, _, part = rest.partition("/")
    if service not in SERVICES or statement.file == "handlers/auth/enrolment.py":
        return "postgres"
    return "gateway" if part.startswith("views") else service


@pytest.mark.parametrize("folder", ["bus", "handlers", "gateway"])
async def test_every_statement_is_understood_and_permitted(database, folder):
    by_role: defaultdict[str, list[Statement]] = defaultdict(list)
    for statement in statements.in_folder(folder):
        if statement.preparable:
            by_role[role_of(statement)].append(statement)
    assert by_role, "there is something to look at"
    complaints = []
    for role, found in by_role.items():
        connection = await database.connect(role)
        if role == "postgres":
            await connection.execute("SET search_path = auth, bus")  # as at set-up
        for statement in found:
            complaint = await refusal(connection, statement)
            if complaint is not None:
                complaints.append(f"{statement.place} as {role}: {complaint}")
        await connection.close()
    assert complaints == []


async def refusal(connection: asyncpg.Connection, statement: Statement) -> str | None:
    """Why the server would not run it; planning it asks for every permission that running it needs."""
    assert statement.text is not None
    try:
        await connection.prepare(statement.text)
        await connection.execute(f"EXPLAIN (GENERIC_PLAN) {statement.text}")
    except asyncpg.PostgresError as error:
        return str(error)
    return None


@pytest.mark.parametrize("folder", ["bus", "handlers", "gateway"])
def test_statements_are_literal(folder):
    """What cannot be read in the code cannot be checked here, nor by a reader."""
    dynamic = [one for one in statements.in_folder(folder) if one.text is None and one.file not in SAID_WHEN_RUN]
    assert [one.place for one in dynamic] == []


async def test_a_wrong_column_a_wrong_type_and_a_foreign_table_are_noticed(database):
    """This test can fail."""
    connection = await database.connect("booking")
    for text, words in (
        ("SELECT colour FROM bus.outbox", "colour"),
        ("SELECT position FROM bus.outbox WHERE id = $1 AND position = $1", "operator does not exist"),
        ("DELETE FROM bus.outbox WHERE position = $1", "permission denied"),
        ("SELECT bus.set_retention('domain', 1)", "permission denied"),
    ):
        complaint = await refusal(connection, Statement("x.py", 1, text))
        assert complaint is not None, text
        assert words in complaint
    await connection.close()
