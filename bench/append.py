"""How fast the log takes single commands: each checked, made repeatable by its key, marked, and durable."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from bench.figures import Beside, Measured, Size, Tell, all_in_turns
from bench.ground import connected, database, registered
from bench.pgbench import CLIENTS, transactions_per_second
from handlers.wiring import may_append
from ops.settings import Settings

# The body of one BookSession, as the gateway would send it.
BODY: Final = (
    '{"booking":"01981c4e-6f3a-7cc0-8000-1d6b5a3c2f10","person":"01981c4e-6f3a-7cc0-8000-7a1b2c3d4e5f",'
    '"lane":"lane-3","starts_at":"2026-06-01T12:00:00Z","ends_at":"2026-06-01T13:00:00Z","weapon_class":"air",'
    '"weapon_type":"air-pistol","rounds":40}'
)
NUMBERS: Final = """\
\\set person random(1, 10000)
\\set key random(1, 9000000000000000000)
\\set booking random(1, 9000000000000000000)
"""
ACCEPT: Final = f"""\
{NUMBERS}\
SELECT bus.accept_new(
    :producer, gen_random_uuid(),
    '\\x9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'::bytea, uuidv7(), 'booking.book-session',
    1::smallint, 'booking:' || :booking::bigint, '{BODY}'::jsonb, uuidv7(), 'person:' || :person::int);
"""
INTO_PLAIN_LOG: Final = f"""\
INSERT INTO plain.log (topic, partition, schema, producer, id, correlation, at, name, stream, actor, body)
VALUES ('domain', :partition, 1::smallint, :producer, uuidv7(), uuidv7(), clock_timestamp(), 'booking.book-session',
        'booking:' || :booking::bigint, 'person:' || :person::int, '{BODY}'::jsonb)"""  # noqa: S608 - the same
INSERT: Final = f"""\
{NUMBERS}\
\\set partition random(0, 63)
{INTO_PLAIN_LOG};
"""
INSERT_AND_NOTIFY: Final = f"""\
{NUMBERS}\
\\set partition random(0, 63)
WITH written AS ({INTO_PLAIN_LOG} RETURNING 1)
SELECT pg_notify('firingline_bench', '') FROM written;
"""  # noqa: S608 - the same
PLAIN_LOG: Final = """
    CREATE SCHEMA plain;
    CREATE SEQUENCE plain.position AS bigint;
    CREATE TABLE plain.log (LIKE bus.outbox INCLUDING DEFAULTS);
    ALTER TABLE plain.log ALTER COLUMN position SET DEFAULT nextval('plain.position'), ADD PRIMARY KEY (position);
    CREATE INDEX ON plain.log (stream, position);
    CREATE INDEX ON plain.log (correlation, position);
    GRANT USAGE ON SCHEMA plain TO PUBLIC;
    GRANT USAGE ON SEQUENCE plain.position TO PUBLIC;
    GRANT SELECT, INSERT ON plain.log TO PUBLIC;
"""
WITHOUT_THE_MARK: Final = """
    DO $$
    DECLARE
        one regclass;
    BEGIN
        FOR one IN SELECT tgrelid FROM pg_trigger WHERE tgname = 'mark' AND tgparentid = 0 LOOP
            EXECUTE format('DROP TRIGGER mark ON %s', one);
        END LOOP;
    END $$;
"""


NOTIFY: Final = "the INSERT with a NOTIFY in its transaction"


async def append(server: Settings, size: Size, tell: Tell) -> Measured:
    """Single commands through bus.accept_new, beside plain INSERTs into a table with the log's columns and indexes."""
    tell("making a database", 0, 1)
    async with database(server, "append") as log:
        async with connected(log.admin_url) as admin:
            await admin.execute(PLAIN_LOG)
        scripts = [(log, ACCEPT), (log, INSERT), (log, INSERT_AND_NOTIFY)]
        ours, baseline, notifying = await _side_by_side(scripts, size, tell)
    return Measured(ours, baseline, _details(size), {NOTIFY: Beside(notifying)})


async def append_mark(server: Settings, size: Size, tell: Tell) -> Measured:
    """Single commands through bus.accept_new, beside the same in a database where no trigger takes the mark."""
    tell("making two databases", 0, 1)
    async with database(server, "marked") as marked, database(server, "unmarked") as unmarked:
        async with connected(unmarked.admin_url) as admin:
            await admin.execute(WITHOUT_THE_MARK)
        ours, baseline = await _side_by_side([(marked, ACCEPT), (unmarked, ACCEPT)], size, tell)
    return Measured(ours, baseline, _details(size))


def _details(size: Size) -> dict[str, float]:
    return {"connections": CLIENTS, "seconds": size.seconds}


async def _side_by_side(scripts: Sequence[tuple[Settings, str]], size: Size, tell: Tell) -> list[list[float]]:
    async def measure(log: Settings, script: str, _number: int) -> float:
        async with registered(log, "gateway", may_append()["gateway"]) as producer:
            return await transactions_per_second(log.dsn("gateway"), script, size.seconds, {"producer": producer.id})

    return await all_in_turns(size.rounds, [partial(measure, *side) for side in scripts], tell)
