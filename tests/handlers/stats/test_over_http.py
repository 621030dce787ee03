from pathlib import Path
from uuid import UUID

from tests.database import Database
from tests.gateway.gate import open_gate
from tests.handlers.stats.making import SHOOTER, Stats, finished, shot, started

STATISTICS = f"/v1/results/{UUID(int=1)}/statistics"


async def test_a_groups_statistics_are_shown_to_its_shooter_and_to_staff_alone(database: Database, tmp_path: Path):
    connection = await database.connect("stats")
    fired = (shot(n, x_um=n * n * 500, y_um=n * 700, at_s=n) for n in range(1, 11))
    await Stats(connection).hear(started(1), *fired, finished(1))
    await connection.close()
    async with open_gate(database, tmp_path, services=("stats",)) as gate:
        own = await gate.get(f"{STATISTICS}?confidence=0.9", gate.token(person=SHOOTER))
        staff = await gate.get(STATISTICS, gate.token("instructor"))
        others = await gate.get(STATISTICS, gate.token())
        wrong = await gate.get(f"{STATISTICS}?confidence=95", gate.token(person=SHOOTER))
    assert (own.status, own.body["shots"], own.body["confidence"], own.body["distance_m"]) == (200, 10, 0.9, 10)
    assert own.body["sigma"]["mm"]["low"] > staff.body["sigma"]["mm"]["low"]
    assert (others.status, others.problem) == (404, "not-found")
    assert wrong.status == 422
