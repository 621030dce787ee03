"""How many times a second one gateway process shows what can be booked."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from bench.child import Child, child
from bench.figures import Measured, Size, Tell, in_turns
from bench.ground import connected, database, registered, signing
from bench.range_at_work import at_work, program
from bus.clock import now
from bus.errors import Refusal
from bus.identity import uuid7
from bus.message import Event
from bus.outbox import Outbox
from handlers.auth.issuing import user_token
from handlers.booking.events import LaneOpened, OpeningHours, RangeSetUp
from handlers.payment.events import PriceListPublished
from handlers.wiring import SERVICES
from ops.postgres import free_port
from ops.settings import Settings

RANGE: Final = "bench"
LANES: Final = 20
DAYS: Final = 30
PAST_DAYS: Final = 365
PEOPLE: Final = 50
CONNECTIONS: Final = 16
WARM_UP_S: Final = 1.0

BOOKINGS: Final = """
    INSERT INTO booking.booking (booking, command, person, range, lane, discipline, starts_at, ends_at, during,
                                 weapon_class, weapon_type, rounds, state, held_until, no_show_at, claim, participants,
                                 taken, invoice, total_minor, currency, checked_in_at, started_at, finished_at)
    SELECT b, b, b, 'bench', 'lane-' || l, 'air-pistol-10m', s, e, tstzrange(s, e), 'air', 'air-' || l % 6, 0, state, s,
           e, b, '{}', tstzrange(s, e), b, 100, 'EUR', was, was, CASE WHEN was IS NOT NULL THEN e END
    FROM (
        SELECT gen_random_uuid() AS b, l, date_trunc('day', now()) + make_interval(days => d, hours => h) AS s,
               date_trunc('day', now()) + make_interval(days => d, hours => h + 1) AS e,
               CASE WHEN d < 0 THEN 'finished' ELSE 'confirmed' END AS state,
               CASE WHEN d < 0 THEN date_trunc('day', now()) + make_interval(days => d, hours => h) END AS was
        FROM generate_series(1, $1::integer) AS l
        CROSS JOIN generate_series(-$2::integer, $3::integer) AS d
        CROSS JOIN generate_series(9, 19, 2) AS h
    ) AS booked
"""
ENTITLED: Final = """
    INSERT INTO booking.known_entitlement (person, weapon_class, during, expiry_foreseen, supervised_at_most)
    SELECT person, 'air', tstzrange(now() - interval '1 year', now() + interval '1 year'), false, 0
    FROM unnest($1::uuid[]) AS person
"""
KNOWN: Final = """
    INSERT INTO booking.known_weapon_type (weapon_type, weapon_class, title, units, away)
    SELECT 'air-' || n, 'air', 'Air ' || n, 10, '{}' FROM generate_series(0, 5) AS n
"""


async def slots(server: Settings, size: Size, tell: Tell) -> Measured:
    """GET /v1/slots over 30 days of 20 lanes, beside a bare aiohttp handler that sends as many bytes."""
    tell("filling a range", 0, 1)
    bare_port = free_port()
    programs = [program("auth", "worker", "auth"), program("gateway", "gateway")]
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(database(server, "slots"))
        people = await _fill(log)
        running = await stack.enter_async_context(at_work(log, programs, lambda gateway: bool(gateway["registered"])))
        bare = await stack.enter_async_context(child("bench.bare", log))
        generator = await stack.enter_async_context(child("bench.loading", log))
        today = now().date()
        paths = [f"/v1/slots?date={today + timedelta(days=n)}&range={RANGE}" for n in range(1, DAYS + 1)]
        question: dict[str, Any] = {
            "paths": paths,
            "tokens": await _tokens(log, people),
            "connections": CONNECTIONS,
            "awaited": 200,
        }
        question |= {"connections": CONNECTIONS, "seconds": size.seconds, "warm_up_s": min(WARM_UP_S, size.seconds)}
        length = (await _asked(generator, {**question, "port": running.port, "seconds": 0.1}))["length"]
        bare.ask(port=bare_port, path="/v1/slots", answer="x" * length, method="GET")
        await bare.answer()
        ours, baseline = await in_turns(
            size.rounds,
            partial(_rate, generator, {**question, "port": running.port}),
            partial(_rate, generator, {**question, "port": bare_port}),
            tell,
        )
    details = {"lanes": LANES, "days": DAYS, "past_days": PAST_DAYS, "bytes": length, "connections": CONNECTIONS}
    return Measured(ours, baseline, details)


async def _rate(generator: Child, question: dict[str, Any], _number: int) -> float:
    answer = await _asked(generator, question)
    return float(answer["answers"]) / float(answer["seconds"])


async def _asked(generator: Child, question: dict[str, Any]) -> dict[str, Any]:
    generator.ask(**question)
    answer = await generator.answer()
    if "wrong" in answer:
        raise Refusal(f"A request was not answered: {answer['wrong']}.")
    return answer


async def _fill(log: Settings) -> list[UUID]:
    """A year of bookings behind, a month of them ahead, and people who may shoot."""
    people = [uuid7() for _ in range(PEOPLE)]
    await _say(log, "booking", _set_up(), *(_lane(n) for n in range(1, LANES + 1)))
    weapons = {f"air-{n}": 500 for n in range(6)}
    prices = PriceListPublished(
        price_list_version=1,
        currency="EUR",
        tax_permille=190,
        lane_hour_minor=1200,
        weapon_minor=weapons,
        round_minor={"air": 5},
    )
    await _say(log, "payment", prices)
    async with connected(log.admin_url) as admin:
        await admin.execute(KNOWN)
        await admin.execute(BOOKINGS, LANES, PAST_DAYS, DAYS)
        await admin.execute(ENTITLED, people)
        await admin.execute("VACUUM ANALYZE")
    return people


async def _say(log: Settings, service: str, *events: Event) -> None:
    made = SERVICES[service]()
    async with (
        registered(log, service, made.may_append) as producer,
        connected(log.dsn(service)) as connection,
        connection.transaction(),
    ):
        await Outbox(made, producer).say(connection, events, actor=f"service:{service}", correlation=uuid7())


def _set_up() -> RangeSetUp:
    return RangeSetUp(
        range=RANGE,
        title="Bench",
        time_zone="UTC",
        opening_hours=tuple(OpeningHours(weekday=day, opens_minute=540, closes_minute=1320) for day in range(1, 8)),
        slot_minutes=30,
        hold_seconds=30,
        early_check_in_minutes=60,
        no_show_minutes=15,
    )


def _lane(number: int) -> LaneOpened:
    return LaneOpened(
        range=RANGE,
        lane=f"lane-{number}",
        distance_m=10,
        discipline="air-pistol-10m",
        weapon_classes=("air",),
        target_address=None,
    )


async def _tokens(log: Settings, people: list[UUID]) -> list[str]:
    async with signing(log) as (signer, at):
        return [user_token(signer.key_at(at), person, ["shooter"], at) for person in people]
