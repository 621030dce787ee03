"""The table of what is measured: each figure, its baseline, and the least that is asked of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench.accepting import accepting
from bench.aggregating import aggregate, shooter_statistics
from bench.append import NOTIFY, append, append_mark
from bench.append_bulk import append_bulk
from bench.auth import known_tokens, licences, logins, new_tokens
from bench.booking import booking
from bench.cease_fire import cease_fire
from bench.consume import consume, consume_real
from bench.figures import Beside, Bound, Measured, Size, Tell
from bench.ground import connected, ground
from bench.growth import growth
from bench.held_snapshot import held_snapshot
from bench.latency import latency, latency_busy, latency_full
from bench.live import live
from bench.machine import machine
from bench.memory import memory
from bench.peers import GRAPHILE_WORKER, PGQUEUER
from bench.recovery import recovery
from bench.replaying import replaying
from bench.scoring import scoring
from bench.shots import shots
from bench.slots import slots
from ops.settings import Settings


@dataclass(frozen=True, slots=True)
class Bench:
    """A row of the table: what is measured, beside what, and the least that is asked of it.

    `slow_bound` is asked instead where commits are slowed down; `beside` of the ratio to what else is measured.
    """

    measure: Callable[[Settings, Size, Tell], Awaitable[Measured]]
    what: str
    unit: str
    baseline: str
    bound: Bound = field(default_factory=Bound)
    slow_bound: Bound | None = None
    beside: Mapping[str, Bound] = field(default_factory=dict)


SOONER: Final = {PGQUEUER: Bound(ratio_at_most=1), GRAPHILE_WORKER: Bound(ratio_at_most=1)}
BENCHES: Final = {
    "append": Bench(
        append,
        "single commands made durable, 64 connections: producer checked, key kept, mark taken",
        "commits/s",
        "plain INSERTs of the same columns into a table with the log's indexes",
        Bound(ratio_at_least=0.5),
        slow_bound=Bound(ratio_at_least=0.85),
        beside={NOTIFY: Bound(ratio_at_least=3)},
    ),
    "append-mark": Bench(
        append_mark,
        "the same, to see what the mark costs",
        "commits/s",
        "the same function with a mark that does nothing",
        Bound(ratio_at_least=0.9),
    ),
    "append-bulk": Bench(
        append_bulk,
        "events of as many bookings through bus.append, 1,000 a commit on one connection, each with its revision",
        "events/s",
        "COPY of the same rows into a table with the log's columns and indexes",
        Bound(ratio_at_least=0.3),
    ),
    "consume": Bench(
        consume,
        "events through one worker: read, validated, handled by a handler that does nothing, progress committed",
        "events/s",
        "asyncpg fetching the same rows, 1,000 at a time by position",
        Bound(ratio_at_least=0.15, value_at_least=100_000),
        beside={PGQUEUER: Bound(ratio_at_least=5), GRAPHILE_WORKER: Bound(ratio_at_least=2.5)},
    ),
    "consume-real": Bench(
        consume_real,
        "the same, with a handler that writes a row and says an event for each, row by row, exactly once",
        "events/s",
        "the same statements, one by one, in a transaction for 1,000, with INSERTs for the events",
        beside={PGQUEUER: Bound(ratio_at_least=3)},
    ),
    "recovery": Bench(
        recovery,
        "from PostgreSQL being back, after it was stopped under a whole range, until all consumers are at work",
        "s",
        "how long PostgreSQL itself takes to be back",
        Bound(value_at_most=2),
    ),
    "memory": Bench(
        memory,
        "resident memory of a worker's process, the most after any of four passes over the log",
        "MiB",
        "the same process after the first pass",
        Bound(value_at_most=120, ratio_at_most=1.1),
    ),
    "held-snapshot": Bench(
        held_snapshot,
        "consume while another connection holds a snapshot that is older than all of it",
        "events/s",
        "the same without the snapshot",
        Bound(ratio_at_least=0.9),
    ),
    "growth": Bench(
        growth,
        "append, in a log of a million events (more by --grown)",
        "commits/s",
        "the same in a log of a hundredth of that",
        Bound(ratio_at_least=0.85),
    ),
    "replay": Bench(
        replaying,
        "the whole log by `firingline replay` as NDJSON into a file, from the command's start to its end",
        "events/s",
        "COPY of the same columns as CSV into a file",
        Bound(ratio_at_least=0.3),
    ),
    "aggregate": Bench(
        aggregate,
        "shots through stats: given to their session, scored, kept, added up and told, exactly once",
        "shots/s",
        "the same rows fetched, validated, and inserted 1,000 at a time into a table with the same indexes",
        Bound(value_at_least=30_000),
    ),
    "shooter": Bench(
        shooter_statistics,
        "statistics of one shooter over 100,000 shots in 2,000 sessions, by lane, from the sums: p50",
        "ms",
        "mean, deviation and scatter by lane from the shots themselves, in one statement",
        Bound(value_at_most=50),
    ),
    "live": Bench(
        live,
        "ten shots posted until the lane's follower has their score, 500 shots/s on 50 followed lanes: p50",
        "ms",
        "an INSERT of ten rows with NOTIFY in its transaction, and a connection that listens",
        Bound(value_at_most=20),
    ),
    "latency": Bench(
        latency,
        "from sending COMMIT to the validated message in the handler of another process, at 100 events/s: p50",
        "ms",
        "NOTIFY inside the transaction, and one SELECT by position in the listener",
        Bound(ratio_at_most=1.6),
        beside=SOONER,
    ),
    "latency-1000": Bench(
        latency_busy,
        "the same at 1,000 events/s over 16 connections, a commit each: p99",
        "ms",
        "the same, which misses events whose transactions ended in another order than they took their positions",
        Bound(value_at_most=6),
        beside=SOONER,
    ),
    "latency-10000": Bench(
        latency_full,
        "the same at 10,000 events/s over 16 connections, ten in a commit: p99",
        "ms",
        "the same",
        Bound(value_at_most=10),
        beside=SOONER,
    ),
    "http": Bench(
        accepting,
        "POST /v1/bookings accepted by one gateway process, 64 connections: token checked, key kept, durable",
        "commands/s",
        "a bare aiohttp handler that parses the same body and answers",
        Bound(ratio_at_least=0.35),
    ),
    "booking": Bench(
        booking,
        "POST /v1/bookings with Prefer: wait until the booking is confirmed, one after the other: p50",
        "ms",
        "the same accepting, loading, deciding, applying and appending of all services in one transaction",
    ),
    "shots": Bench(
        shots,
        "shots from eight devices' posts of 500 into the log: parsed, journalled, identified, appended",
        "shots/s",
        "COPY of the same rows, 1,000 at a time, into a table with the log's columns and indexes",
        Bound(ratio_at_least=0.25, value_at_least=50_000),
    ),
    "score": Bench(
        scoring,
        "shots scored in one call on the air pistol face, exact at every ring's edge",
        "shots/s",
        "the same rule in floating point, with numpy",
        Bound(value_at_least=5_000_000),
    ),
    "slots": Bench(
        slots,
        "GET /v1/slots of 20 lanes, each of the next 30 days in turn for 50 shooters, one gateway process",
        "requests/s",
        "a bare aiohttp handler that answers as many bytes",
        Bound(value_at_least=500),
    ),
    "logins": Bench(
        logins,
        "logins at the default cost: throttle, argon2id, session and tokens, eight people at once",
        "logins/s",
        "bare argon2id of the same cost, in as many threads",
        Bound(ratio_at_least=0.5),
    ),
    "new-tokens": Bench(
        new_tokens,
        "user tokens verified that were never seen before",
        "tokens/s",
        "the bare verification of an Ed25519 signature over as many bytes",
        Bound(value_at_least=5_000),
    ),
    "known-tokens": Bench(
        known_tokens,
        "user tokens verified that were seen before, each looked up among a thousand revoked people",
        "tokens/s",
        "SHA-256 of the same tokens, looked up in a dictionary",
        Bound(value_at_least=100_000),
    ),
    "licences": Bench(
        licences,
        "licence decisions by the rules alone, with reason and inputs, on shooters with up to five licences",
        "decisions/s",
        "a loop over the same licences that asks for one category and the time",
        Bound(value_at_least=2_000),
    ),
    "cease-fire": Bench(
        cease_fire,
        "POST /v1/ranges/{range}/cease-fire until the last of 20 followed lanes is told, with 1,000 shots/s: p99",
        "ms",
        "an INSERT with NOTIFY in its transaction, and 20 connections that listen",
        Bound(value_at_most=250),
    ),
}


async def reports_of(
    names: Sequence[str], size: Size, settings: Settings, tell: Tell, *, commit_ms: float = 0
) -> AsyncIterator[dict[str, Any]]:
    """One object a bench, as --json prints it; `commit_ms` is what each commit's flush waits before it begins."""
    async with ground(settings, commit_ms=commit_ms) as server:
        for name in names:
            async with connected(server.admin_url) as admin:
                seen_on = await machine(admin)
            measured = await BENCHES[name].measure(server, size, _of(name, tell))
            yield report_of(name, size, measured, seen_on)


def report_of(name: str, size: Size, measured: Measured, seen_on: dict[str, Any]) -> dict[str, Any]:
    """What a bench found, beside what is asked of it."""
    row = BENCHES[name]
    bound = row.slow_bound if row.slow_bound is not None and seen_on["commit_delay_ms"] else row.bound
    return {
        "bench": name,
        "value": _rounded(measured.value),
        "unit": row.unit,
        "baseline": row.baseline,
        "baseline_value": _rounded(measured.baseline_value),
        "ratio": round(measured.ratio, 3),
        "rounds": size.rounds,
        "what": row.what,
        "asked": bound.asked,
        "met": bound.met(measured.value, measured.ratio),
        "values": [_rounded(value) for value in measured.values],
        "baseline_values": [_rounded(value) for value in measured.baseline_values],
        "beside": {one: _beside(seen, measured.value, row.beside[one]) for one, seen in measured.beside.items()},
        **measured.details,
        "machine": seen_on,
    }


def _beside(seen: Beside, value: float, bound: Bound) -> dict[str, Any]:
    """What became of another thing in the same rounds: our figure by its own is what is asked for."""
    if seen.skipped is not None:
        return {"version": seen.version, "skipped": seen.skipped}
    ratio = value / seen.value
    return {
        "version": seen.version,
        "value": _rounded(seen.value),
        "values": [_rounded(one) for one in seen.values],
        "ratio": round(ratio, 3),
        "asked": bound.asked,
        "met": bound.met(value, ratio),
    }


def _rounded(value: float) -> float:
    return round(value) if value >= 1000 else round(value, 3)


def _of(name: str, tell: Tell) -> Tell:
    return lambda what, done, of: tell(f"{name}: {what}", done, of)
