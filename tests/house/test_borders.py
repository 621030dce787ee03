"""The borders between services, which PostgreSQL itself keeps: every role tries to cross every one of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest

from tests.database import Database

SERVICES = ("auth", "booking", "armory", "payment", "stats")
ROLES = (*SERVICES, "gateway", "analyst", "operator")
OURS = "n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'"

OWN_SCHEMA = {service: service for service in SERVICES} | {"gateway": "tracking"}
FOR_EVERYBODY = {"auth.public_keys"}  # published: whoever reads the log checks signatures
LOG = {
    "bus.outbox",
    "bus.producer",
    "bus.epoch",
    "bus.outcome",
    "bus.progress",
    "bus.consumer",
    "bus.worker",
    "bus.migration",
    "bus.lease",
    "bus.retention",
    "bus.dropped",
}
OPERATED = {"bus.dead_letter", "bus.parked"}  # seen through the gateway, and moved by a few of their columns
SHOWN = {"bus.pause", "bus.circuit"}  # each service's own rows, for operators to see
OWN_ROWS = {"bus.parked", "bus.dead_letter", "bus.attempt", "bus.scheduled"} | SHOWN  # each service sees its own alone
GATE = {"bus.accepted", "bus.device_shots"}
AUDITED = "bus.stream_head"  # which tells nothing that the log does not

WRITES = (
    "INSERT INTO {table} DEFAULT VALUES",
    "UPDATE {table} SET {column} = {column} WHERE false",
    "DELETE FROM {table} WHERE false",
    "TRUNCATE {table}",
    "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
)
READS = ("SELECT {column} FROM {table} LIMIT 0", "COPY (SELECT * FROM {table} LIMIT 0) TO STDOUT")
IMPOSSIBLE = (asyncpg.ObjectNotInPrerequisiteStateError, asyncpg.WrongObjectTypeError)  # with a view, for anybody


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view of ours."""

    name: str
    schema: str
    column: str
    is_view: bool


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await database.connect("postgres")
    yield connection
    await connection.close()


@pytest.fixture
async def relations(admin) -> list[Relation]:
    rows = await admin.fetch(
        f"""
        SELECT format('%s.%s', n.nspname, c.relname) AS name, n.nspname AS schema, min(a.attname) AS column,
               c.relkind IN ('v', 'm') AS is_view
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE {OURS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f') GROUP BY 1, 2, 4 ORDER BY 1
        """
    )
    return [Relation(**row) for row in rows]


def may_read(role: str, relation: Relation) -> bool:
    if relation.schema == OWN_SCHEMA.get(role) or relation.name in FOR_EVERYBODY | LOG:
        return True
    if relation.schema in SERVICES:
        return role == "gateway" and relation.is_view
    if role == "analyst" and relation.name == AUDITED:
        return True
    if relation.name in SHOWN:
        return True
    if role == "gateway" and relation.name in OPERATED:
        return True
    return relation.name in (OWN_ROWS if role in SERVICES else GATE if role == "gateway" else ())


def may_write(role: str, relation: Relation) -> bool:
    own = relation.schema == OWN_SCHEMA.get(role) and not relation.is_view
    return own or (role in SERVICES and relation.name in OWN_ROWS)


async def passes(connection: asyncpg.Connection, statement: str) -> bool:
    """Whether the server lets a statement through; whatever it did is undone."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except (asyncpg.InsufficientPrivilegeError, *IMPOSSIBLE):
        return False
    except asyncpg.IntegrityConstraintViolationError:
        return True  # it was permitted, and failed for another reason
    finally:
        await transaction.rollback()
    return True


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_reads_or_writes_what_is_not_its_own(database, relations, role):
    connection = await database.connect(role)
    crossed = []
    for relation in relations:
        for statements, allowed in ((READS, may_read), (WRITES, may_write)):
            if allowed(role, relation):
                continue
            for pattern in statements:
                statement = pattern.format(table=relation.name, column=f'"{relation.column}"')
                moves = role == "gateway" and relation.name in OPERATED and statement.startswith("UPDATE")
                if not moves and await passes(connection, statement):
                    crossed.append(statement)
    assert crossed == []
    await connection.close()


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_holds_a_privilege_beyond_reading_and_writing_its_own(admin, relations, role):
    """Also where trying would fail for another reason, as an INSERT without the right to its sequence."""
    held = []
    for relation in relations:
        privileges = {"REFERENCES", "TRIGGER", "TRUNCATE", "MAINTAIN"}
        privileges |= set() if may_read(role, relation) else {"SELECT"}
        privileges |= set() if may_write(role, relation) else {"INSERT", "UPDATE", "DELETE"}
        held += await admin.fetch(
            "SELECT $2 AS table, p AS privilege FROM unnest($3::text[]) AS p WHERE has_table_privilege($1, $2, p)",
            f"firingline_{role}",
            relation.name,
            sorted(privileges),
        )
    assert held == []


async def test_each_service_reaches_its_own_tables_and_the_gateway_some_views(database, relations):
    """Otherwise the test above would praise a database in which nobody may do anything."""
    for role, schema in OWN_SCHEMA.items():
        connection = await database.connect(role)
        own = [relation for relation in relations if relation.schema == schema and not relation.is_view]
        assert own
        for relation in own:
            assert await passes(connection, f"SELECT FROM {relation.name} LIMIT 0"), relation.name
        await connection.close()
    gateway = await database.connect("gateway")
    for schema in SERVICES:
        views = [relation for relation in relations if relation.schema == schema and relation.is_view]
        assert [one for one in views if await passes(gateway, f"SELECT FROM {one.name} LIMIT 0")], schema
    await gateway.close()


@pytest.mark.parametrize("role", ROLES)
async def test_no_role_makes_anything_or_becomes_another(database, admin, role):
    connection = await database.connect(role)
    schemas = await admin.fetch(f"SELECT n.nspname AS name FROM pg_namespace AS n WHERE {OURS}")
    attempts = [f"CREATE TABLE {row['name']}.mine (n integer)" for row in schemas]
    attempts += [f"CREATE FUNCTION {row['name']}.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'" for row in schemas]
    attempts += [f"SET ROLE firingline_{other}" for other in (*ROLES, "owner") if other != role]
    attempts += [
        "SET ROLE postgres",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "SET session_replication_role = replica",
        "SELECT pg_read_file('/etc/hosts')",
        "COPY bus.epoch TO '/tmp/x'",
    ]
    assert [statement for statement in attempts if await passes(connection, statement)] == []
    await connection.close()


async def test_no_role_fills_the_disk_with_temporary_tables_and_no_stranger_comes_in(admin, template):
    """Looked up where the schema was made: privileges on a database are not copied with it."""
    for role in (*(f"firingline_{role}" for role in ROLES), "public"):
        for privilege, has in (("TEMPORARY", False), ("CREATE", False), ("CONNECT", role != "public")):
            found = await admin.fetchval("SELECT has_database_privilege($1, $2, $3)", role, template, privilege)
            assert found is has, f"{role}: {privilege}"


async def test_no_role_has_a_power_over_the_cluster(admin):
    powerful = await admin.fetch(
        """
        SELECT rolname FROM pg_roles
        WHERE rolname LIKE 'firingline%'
          AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
        """
    )
    assert powerful == []


async def test_functions_of_ours_are_granted_by_name_and_run_with_a_fixed_search_path(admin):
    """A function that runs as its owner and looks tables up by the caller's path can be led astray."""
    open_to_all = await admin.fetch(
        f"""
        SELECT p.oid::regprocedure AS function FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE {OURS} AND has_function_privilege('public', p.oid, 'EXECUTE')
          AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
        """
    )
    led_astray = await admin.fetch(
        f"""
        SELECT p.oid::regprocedure AS function FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE {OURS} AND p.prosecdef
          AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c LIKE 'search_path=%pg_temp')
        """
    )
    assert (open_to_all, led_astray) == ([], [])


async def test_views_run_as_their_owner_over_one_service_alone(admin):
    """What is published is chosen by its service: a view never shows another service's tables."""
    mixed = await admin.fetch(
        """
        SELECT DISTINCT v.oid::regclass::text AS view, t.oid::regclass::text AS shows
        FROM pg_class AS v JOIN pg_rewrite AS r ON r.ev_class = v.oid
        JOIN pg_depend AS d ON d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
        JOIN pg_class AS t ON t.oid = d.refobjid AND t.oid <> v.oid
        WHERE v.relkind = 'v' AND v.relnamespace <> t.relnamespace
          AND v.relnamespace::regnamespace::text = ANY ($1) AND t.relnamespace::regnamespace::text = ANY ($1)
        """,
        list(SERVICES),
    )
    assert mixed == []


@pytest.mark.parametrize("table", sorted(OWN_ROWS))
async def test_of_the_bus_tables_each_service_sees_and_moves_its_own_rows_alone(database, admin, table):
    key = "service" if table == "bus.scheduled" else "consumer"
    columns = {
        "bus.parked": "stream, head, last, attempts, retry_at, cause, error",
        "bus.dead_letter": "position, stream, name, attempts, cause, error",
        "bus.attempt": "position, begun",
        "bus.scheduled": "key, due_at, name, schema, stream, body, correlation, actor",
        "bus.pause": "kind, what, reason",
        "bus.circuit": "circuit, state, since, opened",
    }[table]
    values = {
        "bus.parked": "'s', 1, 1, 1, now(), '', ''",
        "bus.dead_letter": "1, 's', 'n', 1, '', ''",
        "bus.attempt": "1, 1",
        "bus.scheduled": "'k', now(), 'n', 1, 's', '{}', uuidv7(), 'x'",
        "bus.pause": "'stream', 's', ''",
        "bus.circuit": "'c', 'open', now(), 1",
    }[table]
    await admin.execute(f"INSERT INTO {table} ({key}, {columns}) VALUES ('booking', {values})")
    for role, sees in (("booking", 1), ("armory", 0)):
        connection = await database.connect(role)
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == sees
        assert await connection.execute(f"UPDATE {table} SET {key} = {key}") == f"UPDATE {sees}"
        others = "armory" if role == "booking" else "booking"
        assert not await passes(connection, f"INSERT INTO {table} ({key}, {columns}) VALUES ('{others}', {values})")
        assert not sees or not await passes(connection, f"UPDATE {table} SET {key} = '{others}'")
        await connection.close()
    assert await admin.fetchval(f"SELECT count(*) FROM {table} WHERE {key} = 'booking'") == 1


async def test_nobody_moves_another_services_cursor_or_does_its_work(database):
    armory = await database.connect("armory")
    for call in (
        "bus.advance('booking', 1, -1, 0, 5, 0, 0)",
        "bus.enter('booking', uuidv7(), 'host', 1, '{}', '{}', '1 hour')",
        "bus.heartbeat('booking', uuidv7(), '1 hour')",
        "bus.balance('booking', 1, 0)",
        "bus.leave('booking', 1, 0)",
    ):
        with pytest.raises(
            asyncpg.InsufficientPrivilegeError, match="consumer booking does not belong to firingline_armory"
        ):
            await armory.execute(f"SELECT {call}")
    await armory.close()


@pytest.mark.parametrize("role", ROLES)
async def test_only_the_gateway_takes_what_clients_and_devices_say(database, role):
    connection = await database.connect(role)
    calls = (
        "SELECT bus.accept(1, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
        "SELECT bus.accept_new(1, uuidv7(), '', uuidv7(), 'x', 1::smallint, 'x', '{}', uuidv7(), 'x')",
        "SELECT bus.record_shots(1, 'x', 1::smallint, '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
    )
    for call in calls:
        try:
            await connection.execute(call)
        except asyncpg.InsufficientPrivilegeError as error:
            let_in = "is not registered" in str(error)
        else:
            let_in = True
        assert let_in == (role == "gateway"), call
    await connection.close()
