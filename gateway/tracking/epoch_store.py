"""What gateways remember of targets' epochs, in tables that all of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bus.connection import Connection
from bus.identity import uuid7
from gateway.tracking import epochs
from gateway.tracking.epochs import Epoch, Fingerprint, Memory

EPOCHS_A_LANE: Final = 8


async def hold_lanes(connection: Connection, lanes: Sequence[str]) -> None:
    """Nobody else identifies shots of these lanes until the transaction ends."""
    await connection.execute(
        "INSERT INTO tracking.lane (lane) SELECT l FROM unnest($1::text[]) AS l ORDER BY l ON CONFLICT DO NOTHING",
        lanes,
    )
    await connection.execute("SELECT FROM tracking.lane WHERE lane = ANY ($1) ORDER BY lane FOR UPDATE", lanes)


async def remember(connection: Connection, wanted: Sequence[tuple[str, int]]) -> dict[str, Memory]:
    """What is known of these shot numbers, each in the latest epochs of its lane, which the caller holds."""
    lanes = sorted({lane for lane, _ in wanted})
    rows = await connection.fetch(
        """
        SELECT lane, device, epoch, ordinal, named, zero_at, highest, highest_elapsed_ms
        FROM tracking.target_epoch WHERE lane = ANY ($1) ORDER BY lane, ordinal
        """,
        lanes,
    )
    known = {(row["device"], row["epoch"]): Epoch(*row[1:]) for row in rows}
    seen = await connection.fetch(
        """
        SELECT f.device, f.epoch, f.number, f.miss, f.x_um, f.y_um, f.elapsed_ms
        FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::bigint[])) AS w (lane, number)
        JOIN tracking.target_epoch AS e ON e.lane = w.lane AND e.highest >= w.number
        JOIN tracking.fingerprint AS f ON f.device = e.device AND f.epoch = e.epoch AND f.number = w.number
        """,
        [lane for lane, _ in wanted],
        [number for _, number in wanted],
    )
    for row in seen:
        known[row["device"], row["epoch"]].seen[row["number"]] = Fingerprint(*row[3:])
    memories = {lane: Memory([], _new_name) for lane in lanes}
    for row in rows:
        memories[row["lane"]].epochs.append(known[row["device"], row["epoch"]])
    return memories


async def write_down(connection: Connection, memories: Mapping[str, Memory]) -> None:
    """Keep what was learned, and forget what is too old to come again."""
    known = [(lane, epoch) for lane, memory in memories.items() for epoch in memory.epochs]
    begun = [(lane, epoch) for lane, memory in memories.items() for epoch in memory.begun]
    await _save_epochs(connection, [*known, *begun])
    added = [one for memory in memories.values() for one in memory.added]
    if added:
        await _add_fingerprints(connection, added)
        await _forget_fingerprints(connection, [one for one in added if one[1] > epochs.REMEMBERED_SHOTS])
    for lane, memory in memories.items():
        if memory.begun:
            await _forget_epochs(connection, lane, memory.epochs[-1].ordinal - EPOCHS_A_LANE)


def _new_name() -> str:
    return str(uuid7())


async def _forget_epochs(connection: Connection, lane: str, up_to: int) -> None:
    await connection.execute("DELETE FROM tracking.target_epoch WHERE lane = $1 AND ordinal <= $2", lane, up_to)


async def _save_epochs(connection: Connection, remembered: Sequence[tuple[str, Epoch]]) -> None:
    """One row a device and epoch: one that is told of on two lanes stands where it was found last."""
    found = list({(one.device, one.epoch): (lane, one) for lane, one in remembered}.values())
    await connection.execute(
        """
        INSERT INTO tracking.target_epoch AS t
               (lane, device, epoch, ordinal, named, zero_at, highest, highest_elapsed_ms)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::boolean[], $6::timestamptz[],
                             $7::bigint[], $8::bigint[])
        ON CONFLICT (device, epoch) DO UPDATE SET  -- a device that moved to another lane takes its epochs along
            lane = excluded.lane, ordinal = excluded.ordinal, zero_at = excluded.zero_at, highest = excluded.highest,
            highest_elapsed_ms = excluded.highest_elapsed_ms
        WHERE (t.lane, t.zero_at, t.highest) IS DISTINCT FROM (excluded.lane, excluded.zero_at, excluded.highest)
        """,
        [lane for lane, _ in found],
        [one.device for _, one in found],
        [one.epoch for _, one in found],
        [one.ordinal for _, one in found],
        [one.named for _, one in found],
        [one.zero_at for _, one in found],
        [one.highest for _, one in found],
        [one.highest_elapsed_ms for _, one in found],
    )


async def _add_fingerprints(connection: Connection, added: Sequence[tuple[Epoch, int]]) -> None:
    looks = [epoch.seen[number] for epoch, number in added]
    await connection.execute(
        """
        INSERT INTO tracking.fingerprint (device, epoch, number, miss, x_um, y_um, elapsed_ms)
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::boolean[], $5::integer[], $6::integer[],
                             $7::bigint[])
        ON CONFLICT DO NOTHING
        """,
        [epoch.device for epoch, _ in added],
        [epoch.epoch for epoch, _ in added],
        [number for _, number in added],
        [one.miss for one in looks],
        [one.x_um for one in looks],
        [one.y_um for one in looks],
        [one.elapsed_ms for one in looks],
    )


async def _forget_fingerprints(connection: Connection, added: Sequence[tuple[Epoch, int]]) -> None:
    """Each new number ends the memory of the one that many before it."""
    if not added:
        return
    await connection.execute(
        """
        DELETE FROM tracking.fingerprint AS f
        USING unnest($1::text[], $2::text[], $3::bigint[]) AS g (device, epoch, number)
        WHERE f.device = g.device AND f.epoch = g.epoch AND f.number = g.number
        """,
        [epoch.device for epoch, _ in added],
        [epoch.epoch for epoch, _ in added],
        [number - epochs.REMEMBERED_SHOTS for _, number in added],
    )
