"""Other queues on PostgreSQL, measured in the same rounds where they are installed (`make peers`)."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from bench.child import Child, child_of
from bench.figures import Beside, Measured, Tell, all_in_turns
from bench.ground import connected
from bus.connection import Connection
from ops.settings import Settings

PGQUEUER: Final = "pgqueuer"
GRAPHILE_WORKER: Final = "graphile-worker"
NODE_PART: Final = Path(__file__).with_name("graphile_worker")
HOW: Final = "`make peers` installs it"


@dataclass(frozen=True, slots=True)
class Peer:
    """A queue that is installed: its version, and the program that is asked to work with it."""

    version: str
    command: Sequence[str]


@dataclass(frozen=True, slots=True)
class Peers:
    """The processes of those that are there, and why the others are not."""

    there: Mapping[str, Peer]
    running: Mapping[str, Child]
    skipped: Mapping[str, Beside]

    def beside(self, figures: Iterable[Sequence[float]]) -> dict[str, Beside]:
        """What each of them did, given in their order, and those that were not measured."""
        found = zip(self.running, figures, strict=True)
        return {name: Beside(values, self.there[name].version) for name, values in found} | dict(self.skipped)


@asynccontextmanager
async def peers(log: Settings, names: Sequence[str]) -> AsyncIterator[Peers]:
    """Runs a process for each peer of these that is installed, with its tables beside the log's."""
    found = {name: FIND[name]() for name in names}
    there = {name: peer for name, peer in found.items() if isinstance(peer, Peer)}
    skipped = {name: Beside(skipped=why) for name, why in found.items() if isinstance(why, str)}
    async with AsyncExitStack() as stack:
        running = {}
        for name, peer in there.items():
            running[name] = await stack.enter_async_context(child_of(peer.command, log))
            running[name].ask(do="install")
            await running[name].answer()
        yield Peers(there, running, skipped)


async def drained(log: Settings, kind: str, bodies: Sequence[str], process: Child, _number: int) -> float:
    """Jobs a second of a queue that was filled before; its tables are cleaned up first, as after a quiet hour."""
    process.ask(do="fill", kind=kind, bodies=bodies)
    await process.answer()
    async with connected(log.admin_url) as admin:
        await admin.execute("VACUUM (ANALYZE)")
    process.ask(do="drain", kind=kind, jobs=len(bodies))
    return len(bodies) / float((await process.answer())["seconds"])


async def beside_peers(
    sides: Sequence[Callable[[int], Awaitable[float]]],
    others: Peers,
    theirs: Callable[[Child, int], Awaitable[float]],
    rounds: int,
    tell: Tell,
    details: Mapping[str, Any],
) -> Measured:
    """Ours, the baseline and each peer, in turns."""
    measured: list[Callable[[int], Awaitable[float]]] = [*sides]
    measured += [partial(theirs, process) for process in others.running.values()]
    ours, baseline, *figures = await all_in_turns(rounds, measured, tell)
    return Measured(ours, baseline, details, others.beside(figures))


def enqueuer(name: str) -> Callable[[Connection, str, Sequence[bytes]], Awaitable[None]]:
    """How jobs are put into a peer's queue, in the transaction that is open."""
    if name == GRAPHILE_WORKER:
        return _add_jobs
    enqueue: Callable[[Connection, str, Sequence[bytes]], Awaitable[None]]
    enqueue = importlib.import_module("bench.queueing").enqueue  # which only those have who installed it
    return enqueue


async def _add_jobs(connection: Connection, kind: str, bodies: Sequence[bytes]) -> None:
    await connection.execute(
        "SELECT graphile_worker.add_job($1::text, body::json) FROM unnest($2::text[]) AS body",
        kind,
        [body.decode() for body in bodies],
    )


def _pgqueuer() -> Peer | str:
    try:
        version = metadata.version("pgqueuer")
    except metadata.PackageNotFoundError:
        return f"it is not installed; {HOW}"
    return Peer(version, (sys.executable, "-m", "bench.queueing"))


def _graphile_worker() -> Peer | str:
    node = shutil.which("node")
    if node is None:
        return "Node is not here"
    package = NODE_PART / "node_modules" / "graphile-worker" / "package.json"
    if not package.exists():
        return f"it is not installed; {HOW}"
    return Peer(json.loads(package.read_text())["version"], (node, str(NODE_PART / "queueing.mjs")))


FIND: Final[Mapping[str, Callable[[], Peer | str]]] = {PGQUEUER: _pgqueuer, GRAPHILE_WORKER: _graphile_worker}
