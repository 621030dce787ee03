"""Brings a database to this version's schema, once however many ask at the same time."""

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import click
import stamina

from bus.errors import Refusal
from handlers.auth.enrolment import enrol
from handlers.wiring import may_append
from ops.credentials import Credential, load_or_make
from ops.database import connected
from ops.settings import Settings

ROOT: Final = Path(__file__).parent.parent
LOCK_KEY: Final = 0x6669_7265_6C69_6E65  # "fireline"
LOCK_TIMEOUT_S: Final = 2  # a migration that waits for a lock makes everything else wait behind it
ATTEMPTS: Final = 20
OLDEST_POSTGRESQL: Final = 18
SCRAM_ITERATIONS: Final = 4096


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step from an older schema to a newer one."""

    number: int
    name: str
    script: str


def migrations(root: Path = ROOT) -> list[Migration]:
    found = []
    for path in sorted((root / "migrations").glob("*.sql")):
        named = re.fullmatch(r"(\d{4})_([a-z0-9_]+)", path.stem)
        if named is None:
            raise Refusal(f"{path} is not named like 0001_what_it_does.sql.")
        found.append(Migration(int(named[1]), named[2], path.read_text()))
    if [step.number for step in found] != list(range(1, len(found) + 1)):
        raise Refusal(f"The migrations in {root / 'migrations'} are not numbered 1, 2, 3 … without a gap.")
    return found


async def bring_up_to_date(
    admin_url: str, credentials: Mapping[str, Credential], *, root: Path = ROOT, from_migrations: bool = False
) -> list[Migration]:
    """Apply what is missing and give the roles their passwords; return the migrations applied.

    An empty database gets schema.sql at once, unless `from_migrations` asks for the long way.
    """
    async with connected(admin_url) as connection:
        _refuse_old_server(connection)
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        steps = migrations(root)
        schema = root / "schema.sql"
        found = await _applied(connection)
        applied = found or set()
        if applied - {step.number for step in steps}:
            raise Refusal(
                f"The database has migration {max(applied)}, this version of Firingline knows {len(steps)}: "
                "start the newer version."
            )
        missing = [step for step in steps if step.number not in applied]
        if found is None and not from_migrations and schema.exists():
            async with connection.transaction():
                await connection.execute(_inside_a_transaction(schema.read_text()))
                await _record(connection, missing)
        else:
            for step in missing:
                await _apply(connection, step)
        for credential in credentials.values():
            await _let_in(connection, credential)
        await _enrol_services(connection, credentials)
        return missing


def _refuse_old_server(connection: asyncpg.Connection) -> None:
    version = connection.get_server_version()
    if version.major < OLDEST_POSTGRESQL:
        raise Refusal(f"Firingline needs PostgreSQL {OLDEST_POSTGRESQL} or later, and this server is {version.major}.")


async def _enrol_services(connection: asyncpg.Connection, credentials: Mapping[str, Credential]) -> None:
    """Tell auth which processes there are, and which messages each may append."""
    if await connection.fetchval("SELECT to_regclass('auth.service_credential')") is not None:
        names = {name: may for name, may in may_append().items() if name in credentials}
        await connection.execute("SET search_path = auth, bus")
        await enrol(connection, {name: credentials[name].secret for name in names}, names)
        await connection.execute("RESET search_path")


async def _applied(connection: asyncpg.Connection) -> set[int] | None:
    """Return the numbers of the migrations applied, None for an empty database."""
    if await connection.fetchval("SELECT to_regclass('bus.migration')") is not None:
        return {row["number"] for row in await connection.fetch("SELECT number FROM bus.migration")}
    foreign = await connection.fetchval(
        """
        SELECT n.nspname || '.' || c.relname
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
         LIMIT 1
        """
    )
    if foreign is not None:
        raise Refusal(f"The database is not empty ({foreign}) and not Firingline's: name another in DATABASE_URL.")
    return None


async def _apply(connection: asyncpg.Connection, step: Migration) -> None:
    async for attempt in stamina.retry_context(on=asyncpg.LockNotAvailableError, attempts=ATTEMPTS, timeout=None):
        with attempt:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
                await connection.execute(_inside_a_transaction(step.script))
                await _record(connection, [step])


def _inside_a_transaction(script: str) -> str:
    """Return the script without its own BEGIN and COMMIT, so that its record belongs to its transaction."""
    return re.sub(r"^(BEGIN|COMMIT);$", "", script, flags=re.MULTILINE) + "\n;RESET ROLE"


async def _record(connection: asyncpg.Connection, steps: list[Migration]) -> None:
    await connection.executemany(
        "INSERT INTO bus.migration (number, name) VALUES ($1, $2)",
        [(step.number, step.name) for step in steps],
    )


async def _let_in(connection: asyncpg.Connection, credential: Credential) -> None:
    """Let a role log in with its password, of which PostgreSQL and its logs only ever see a verifier."""
    known = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", credential.role)
    verb = "ALTER" if known else "CREATE"
    await connection.execute(f"{verb} ROLE {credential.role} LOGIN PASSWORD '{_verifier(credential.password)}'")


def _verifier(password: str) -> str:
    """Return what PostgreSQL stores for SCRAM-SHA-256 (RFC 5803)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    words = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{words[0]}${words[1]}:{words[2]}"


@click.command()
def migrate() -> None:
    """Bring the database that DATABASE_URL names to this version's schema.

    An empty database gets the whole schema; an older one gets the migrations it lacks. Roles without
    credentials get theirs, and may log in with them. Running it twice does no harm.
    """
    settings = Settings.from_environment()
    steps = asyncio.run(bring_up_to_date(settings.admin_url, load_or_make(settings.home)))
    click.echo(f"The schema is up to date; migrations applied just now: {len(steps)}.")
