import pytest

from gateway.problems import Problem
from gateway.tracking.push import LinesResult
from tests.gateway.tracking.conftest import Gateway
from tests.gateway.tracking.test_makers import SHOTMARKER_CSV, backup, string

TARGETSCAN = b"""Shot Number,Scan Number,Score,x,y
"1","1","10*","1.20","-0.61"
"2","1","?","a","b"
"3","1","8","-17.77","-3.72"
"""


async def test_a_file_imported_twice_counts_once_and_tells_what_it_could_not_read(gateway: Gateway) -> None:
    async with gateway.at_work() as tracking:
        first = await tracking.take_file(TARGETSCAN, "targetscan", "lane-1", "person:me")
        again = await tracking.take_file(TARGETSCAN, "targetscan", "lane-1", "person:me")
    assert (first.recorded, first.repeated, len(first.wrong)) == (2, 0, 1)
    assert (again.recorded, again.repeated) == (0, 2)
    found = await gateway.shots()
    assert [(one.number, one.x_um, one.y_um) for one in found] == [(1, 1_200, -610), (3, -17_770, -3_720)]
    assert [(one.device_rings, one.device_inner_ten) for one in found] == [(10, True), (8, None)]
    assert {(one.device, one.epoch) for one in found} == {(first.device, *first.epochs)}
    assert await gateway.pool.fetchval("SELECT DISTINCT actor FROM bus.outbox") == "person:me"


async def test_shotmarkers_exports_are_imported_at_the_times_they_tell(gateway: Gateway) -> None:
    async with gateway.at_work() as tracking:
        told = await tracking.take_file(SHOTMARKER_CSV, "shotmarker-csv", "lane-1", "person:me")
        packed = backup(("string-7.z", string((1.5, -2.0), (3.0, 4.0))))
        tar = await tracking.take_file(packed, "shotmarker-tar", "lane-2", "person:me")
    assert (told.recorded, tar.recorded, tar.epochs) == (4, 2, ("shotmarker:7",))
    found = [one for one in await gateway.shots() if one.lane == "lane-2"]
    assert [one.received_at.timestamp() for one in found] == [1_780_000_000, 1_780_000_001]


@pytest.mark.parametrize("form", ["targetscan", "shotmarker-csv", "shotmarker-tar"])
async def test_a_file_that_holds_no_shot_is_refused(gateway: Gateway, form: str) -> None:
    async with gateway.at_work() as tracking:
        with pytest.raises(Problem):
            await tracking.take_file(b"rubbish,\n1,2", form, "lane-1", "person:me")  # type: ignore[arg-type]
    assert await gateway.shots() == []


async def test_a_line_that_is_none_costs_no_other(gateway: Gateway) -> None:
    lines = [
        b'{"epoch": "e", "number": 1, "x_um": 5}', b"rubbish", b"", b'{"epoch": "e", "number": 2, "x_um": 1.5}',
        b'{"epoch": "e", "number": 3, "miss": true}',
    ]  # fmt: skip
    async with gateway.at_work() as tracking:
        told = await tracking.lines(b"\n".join(lines), "pad-1", "lane-1")
        again = await tracking.lines(b"\n".join(lines[::-1]), "pad-1", "lane-1")
    assert told == LinesResult(recorded=2, repeated=0, wrong=(2, 4))
    assert (again.recorded, again.repeated, again.wrong) == (0, 2, (2, 4))
    assert [one.number for one in await gateway.shots()] == [1, 3]
