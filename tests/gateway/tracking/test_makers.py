"""Each maker's frames, whole and broken: what is a shot is read to the micrometre, and nothing beside it is lost."""

import io
import json
import tarfile
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tracking import ways
from gateway.tracking.frames import Wrong
from gateway.tracking.journal import Entry
from gateway.tracking.makers import disag, megalink, sius
from gateway.tracking.makers.columns import TARGETSCAN, Mapped, Row
from gateway.tracking.makers.found import At
from gateway.tracking.shots import Sighted
from gateway.tracking.sources.events import merged
from gateway.tracking.sources.files import LONGEST_ROW, Lines, Table
from gateway.tracking.ways import WAYS
from simulation import makers
from simulation.makers import Fired
from simulation.shot_files import Shot
from tests.gateway.tracking.test_freetarget import OUTSIDE_DATA

NOON = datetime(2026, 6, 1, 12, 30, 15, 250_000)  # noqa: DTZ001 - a machine's wall clock
SIUS_CONTEXT = "20260601.csv|UTC"
SIUS_EXAMPLE = (
    b"1002;5;0;19;5.2;14893;18:43:59.60;0;138.66761;-54.34996;1;7.56;0;0;27;0;0;0;0;0;6;3;2209943960;0;0;0;63;0"
)


def fired(number: int = 1, x: str = "-3.90", y: str = "27.70", *, sighter: bool = False) -> Fired:
    shot = Shot(Decimal(x), Decimal(y), "sighter" if sighter else "match")
    return Fired(shot, NOON + timedelta(seconds=number), number)


def shots(found: Sequence[At]) -> list[Sighted]:
    return [one.told for one in found if isinstance(one.told, Sighted)]


def reasons(found: Sequence[At]) -> list[str]:
    return [one.told.reason for one in found if isinstance(one.told, Wrong)]


def places(found: Sequence[At]) -> list[tuple[int, int]]:
    return [(one.x_um, one.y_um) for one in shots(found)]


# All of them

CONTEXTS = {
    ways.SIUS: SIUS_CONTEXT,
    ways.MEGALINK: "3",
    ways.CSV: Row(mapped=TARGETSCAN, header=("Shot Number", "Score", "x", "y"), epoch="e", at=1).model_dump_json(),
}
PIECES = [
    b"{", b"}", b"[", b"]", b'"', b",", b";", b":", b"\n", b"0", b"1e999999", b"NaN", b"-", b"null", b"true", b'"x":',
    b'{"MessageType":"Event","MessageVerb":"Shot","Objects":[{"X":', b'{"series":[{"shots":[{"v":"9.0","x":',
    b'"X"', b'"gaugeSize":0',
    b'{"target_lane":3,"h":[1,2,3,4,', b"\xff", b"\x00", b"shot", b'"tags","id"', b"time,tags,id,x mm,y mm\n",
]  # fmt: skip
RUBBISH = st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))


@pytest.mark.parametrize("way", sorted(WAYS))
@given(raw=RUBBISH, context=st.one_of(st.none(), st.text(max_size=40)))
def test_no_bytes_whatever_bring_an_adapter_down(way: str, raw: bytes, context: str | None) -> None:
    for one in WAYS[way](raw, CONTEXTS.get(way, "") if context is None else context):
        assert isinstance(one.told, Sighted | Wrong)
        if isinstance(one.told, Sighted):
            assert abs(one.told.x_um) <= 10_000_000
            assert one.told.number >= 1


@pytest.mark.parametrize("way", sorted(WAYS))
@given(seed=st.integers(0, 2**32))
def test_a_frame_with_any_bytes_changed_is_read_or_refused_and_never_raises(way: str, seed: int) -> None:
    dice = Random(seed)
    raw = bytearray(GOOD[way])
    for _ in range(dice.randrange(1, 6)):
        raw[dice.randrange(len(raw))] = dice.randrange(256)
    for one in WAYS[way](bytes(raw), CONTEXTS.get(way, "")):
        assert isinstance(one.told, Sighted | Wrong)


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_good_frame_of_each_way_tells_of_its_shot(way: str) -> None:
    assert len(shots(WAYS[way](GOOD[way], CONTEXTS.get(way, "")))) == 1


def backup(*strings: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, packed in strings:
            member = tarfile.TarInfo(name)
            member.size = len(packed)
            archive.addfile(member, io.BytesIO(packed))
    return file.getvalue()


def string(*places_mm: tuple[float, float], **more: Any) -> bytes:
    told = [{"ts": 1_780_000_000_000 + 1000 * n, "x": x, "y": y, **more} for n, (x, y) in enumerate(places_mm)]
    return zlib.compress(json.dumps({"name": "A. Shooter", "face_id": 1, "shots": told}).encode())


SHOTMARKER_CSV = (
    b"\xef\xbb\xbfMay 31 2026,,,\r\n,,,\r\n"
    b"time,tags,id,score,temp C,x mm,y mm\r\n"
    b"10:00:01,sighter,S1,5,21.0,-10.5,20.25\r\n"
    b"10:01:00,,1,X,21.0,1.5,-2.125\r\n"
    b"10:02:00,incomplete/off,2,0,21.0,0,0\r\n"
    b"10:02:00,,L3,6,21.0,4,5\r\n"
    b"avg,,,5.5,,1,1\r\n,,,\r\n"
)
GOOD = {
    ways.TCP: b'{"shot":7, "session_type":5, "time":123456, "x":1.25, "y":-30.75}',
    ways.HTTP: makers.own_post(fired(), "boot-1"),
    ways.LINES: b'{"epoch": "boot-1", "number": 1, "x_um": 5}',
    ways.MQTT: makers.own_post(fired(), "boot-1"),
    ways.DISAG: makers.disag_datagram(fired()),
    ways.SIUS: makers.sius_row(fired()),
    ways.MEGALINK: json.dumps(makers.megalink_tree([fired()])["data"]["fp"]["3"]).encode(),
    ways.BIATHLON: makers.biathlon_result([1_780_000_000_000]),
    ways.CSV: b"1,10*,1.20,-0.61",
    ways.SHOTMARKER_CSV: b"time,tags,id,score,temp C,x mm,y mm\n1,,1,X,21,1.5,-2.125",
    ways.SHOTMARKER_TAR: backup(("string-77.z", string((1.5, -2.0)))),
}


# DISAG


def disag_of(**changed: object) -> bytes:
    told = json.loads(makers.disag_datagram(fired(x="-0.39", y="2.77")).decode("cp1252"))
    told["Objects"][0] |= changed
    return json.dumps(told, ensure_ascii=False).encode("cp1252")


def test_disags_datagram_is_read_to_the_hundredth() -> None:
    (found,) = disag.read(makers.disag_datagram(fired(sighter=True)), "Europe/Berlin")
    assert found.point == "3"
    assert isinstance(found.told, Sighted)
    assert (found.told.x_um, found.told.y_um, found.told.kind) == (-3_900, 27_700, "sighter")
    assert found.told.face == "air-pistol-10m"
    assert found.told.fired_at == datetime(2026, 6, 1, 10, 30, 16, 250_000, UTC)
    assert (found.told.epoch, found.told.number) == ("clock:2026-06-01T12", 30 * 60_000 + 16_250 + 1)
    assert (found.told.device_tenths, found.told.device_rings) == (75, 7)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"Distance": 900}, "its distance contradicts its place"),
        ({"FullValue": 9}, "its whole score contradicts its decimal one"),
        ({"DecValue": 4.2, "FullValue": 4}, "its score contradicts its place"),
        ({"X": 0, "Y": 0, "Distance": 0, "DecValue": 0, "FullValue": 0}, "a score of nothing stands on the centre"),
        ({"X": "?"}, "X is no number"),
        ({"X": 1e9}, "X is more than ten metres"),
        ({"ShotDateTime": "yesterday"}, "its time is none"),
        ({"DecValue": 11.5}, "DecValue is no decimal score"),
    ],
)
def test_disags_broken_packets_are_no_shots(changed: dict[str, object], reason: str) -> None:
    assert reasons(disag.read(disag_of(**changed), "")) == [reason]


def test_what_disag_marks_invalid_is_a_shot_that_counts_nothing() -> None:
    (told,) = shots(disag.read(disag_of(IsValid=False), ""))
    assert told.invalid == "by-device"


@given(st.lists(st.one_of(st.none(), st.dictionaries(st.sampled_from("XY"), st.text(max_size=3))), max_size=5))
def test_a_broken_object_in_a_datagram_costs_no_other(others: list[object]) -> None:
    envelope = json.loads(makers.disag_datagram(fired()).decode("cp1252"))
    envelope["Objects"] = [*others, envelope["Objects"][0], *others]
    assert places(disag.read(json.dumps(envelope).encode(), "")) == [(-3_900, 27_700)]


# SIUS


def sius_of(**changed: str) -> bytes:
    fields = SIUS_EXAMPLE.decode().split(";")
    for place, value in changed.items():
        fields[int(place.removeprefix("f")) - 1] = value
    return ";".join(fields).encode()


def test_a_real_row_is_read() -> None:
    (found,) = sius.read(SIUS_EXAMPLE, "20150913.csv|")
    assert found.point == "19"
    assert isinstance(found.told, Sighted)
    assert (found.told.x_um, found.told.y_um, found.told.kind) == (138_668, -54_350, "sighter")
    assert found.told.fired_at == datetime(2015, 9, 13, 18, 43, 59, 600_000, UTC)
    assert (found.told.device_tenths, found.told.device_rings, found.told.invalid) == (52, 5, None)


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"f11": "0"}, "out-of-time"),
        ({"f22": "10"}, "cross-shot"),
        ({"f22": "12"}, "illegal"),
        ({"f17": "2"}, "taken-back"),
        ({"f17": "1"}, None),
        ({"f12": "655.35"}, None),
        ({"f6": "65535"}, None),  # the divisions wrap
        ({"f6": "14893", "f9": "938.66761"}, None),
    ],
)
def test_what_counts_nothing_is_told_with_the_reason(changed: dict[str, str], wanted: str | None) -> None:
    (told,) = shots(sius.read(sius_of(**changed), SIUS_CONTEXT))
    assert told.invalid == wanted


@pytest.mark.parametrize(
    ("primary", "secondary", "tenths", "rings"),
    [("10.4", "0", 104, 10), ("9", "9.7", 97, 9), ("10", "0", 100, 10), ("9", "85", None, None), ("0", "0", 0, 0)],
)
def test_scores_are_read_as_each_discipline_writes_them(
    primary: str, secondary: str, tenths: int | None, rings: int | None
) -> None:
    (told,) = shots(sius.read(sius_of(f2=primary, f5=secondary), SIUS_CONTEXT))
    assert (told.device_tenths, told.device_rings) == (tenths, rings)


def test_demonstrations_are_no_shots() -> None:
    assert sius.read(sius_of(f14="1", f9="0", f10="0"), SIUS_CONTEXT) == []


def test_only_the_days_file_of_shots_is_read() -> None:
    assert [sius.is_shots(name) for name in ("20260601.csv", "20260601_stl.csv", "20260601_mod.csv")] == [
        True,
        False,
        False,
    ]


# Rows of files that grow


@given(
    st.lists(st.tuples(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")), st.integers(1, 3000)), max_size=6),
    st.integers(1, 400),
)
def test_rubbish_in_a_growing_file_loses_no_row_beside_it(parts: list[tuple[bytes, int]], chunk: int) -> None:
    rows = [(rubbish, makers.sius_row(fired(number))) for rubbish, number in parts]
    stream = b"".join(rubbish + b"\r\n" + row for rubbish, row in rows)
    lines = Lines()
    read = [row for at in range(0, len(stream), chunk) for row in lines.feed(stream[at : at + chunk])]
    found = [one.number for row in read for one in shots(sius.read(row, SIUS_CONTEXT))]
    wanted = [shots(sius.read(row, SIUS_CONTEXT))[0].number for _, row in rows]
    assert found == wanted


def test_a_row_longer_than_any_is_passed_over_to_its_end_and_memory_stays_bounded() -> None:
    lines = Lines()
    for _ in range(100):
        assert lines.feed(b"x" * 1000) == []
        assert len(lines._kept) <= LONGEST_ROW
    assert lines.feed(b"tail\nwhole\nhalf") == [b"whole"]
    assert lines.feed(b" a row\n") == [b"half a row"]


def test_a_last_row_without_its_end_is_taken_after_a_while_and_again_when_it_is_whole() -> None:
    lines = Lines()
    assert lines.feed(b"a;b") == []
    assert [row for _ in range(20) for row in lines.feed(b"")] == [b"a;b"]
    assert lines.feed(b";c\n") == [b"a;b;c"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_last_row_whose_end_comes_before_the_next_row_is_one_row(end: bytes) -> None:
    lines = Lines()
    assert lines.feed(b"a;b") == []
    assert [row for _ in range(20) for row in lines.feed(b"")] == [b"a;b"]
    assert lines.feed(end + b"c;d" + end) == [(b"c;d" + end).rstrip(b"\n")]
    assert lines.feed(b"c;d\n") == [b"c;d"], "the same words again are another row"


# Megalink


@pytest.mark.parametrize("version", [1, 2])
def test_megalinks_versions_tell_the_same_places(version: int) -> None:
    told = [fired(1, sighter=True), fired(2, "1.5", "-2"), fired(3, "-20.25", "8.75")]
    ((point, node),) = megalink.points(makers.megalink_tree(told, version=version))
    found = shots(megalink.read(json.dumps(node).encode(), point))
    assert point == "3"
    assert [(one.x_um, one.y_um) for one in found] == [(-3_900, 27_700), (1_500, -2_000), (-20_250, 8_750)]
    assert [one.kind for one in found] == ["sighter", "match", "match"]
    assert [one.device_tenths for one in found] == [75, 106, 82]
    assert [one.device_inner for one in found] == [False, True, False]
    assert {one.face for one in found} == {"air-pistol-10m"}
    assert [one.number for one in found] == [1001, 2001, 2002]


def megalink_node(**shot: object) -> bytes:
    node = makers.megalink_tree([fired(1), fired(2, "1.5", "-2")])["data"]["fp"]["3"]
    node["series"][1]["shots"].insert(1, shot)
    return json.dumps(node).encode()


@pytest.mark.parametrize(
    "shot", [{"v": "\ue009", "x": 1, "y": 1}, {"v": "", "x": 1, "y": 1}, {"v": "\ufffd", "x": 0, "y": 0}]
)
def test_megalinks_marks_for_no_shot_are_none(shot: dict[str, object]) -> None:
    found = megalink.read(megalink_node(**shot), "3")
    assert places(found) == [(-3_900, 27_700), (1_500, -2_000)]
    assert reasons(found) == []


def test_a_broken_shot_of_a_series_costs_no_other() -> None:
    found = megalink.read(megalink_node(v="9.9", x="far", y=1), "3")
    assert places(found) == [(-3_900, 27_700), (1_500, -2_000)]
    assert reasons(found) == ["x is no number"]


def test_an_integer_series_truncates_and_styles_are_stripped() -> None:
    node = makers.megalink_tree([fired(1, "1", "1")])["data"]["fp"]["3"]
    node["series"][1]["decimal"] = False
    node["series"][1]["shots"][1]["v"] = '*10.8Style:{"font":"italic"}'
    (told,) = shots(megalink.read(json.dumps(node).encode(), "3"))
    assert (told.device_tenths, told.device_rings, told.device_inner) == (None, 10, True)


def test_a_card_that_grows_stays_one_epoch_and_the_next_card_is_another() -> None:
    def epochs(*told: Fired) -> list[str | None]:
        node = makers.megalink_tree(told)["data"]["fp"]["3"]
        return [one.epoch for one in shots(megalink.read(json.dumps(node).encode(), "3"))]

    first = epochs(fired(1))
    assert epochs(fired(1), fired(2), fired(3)) == first * 3
    assert epochs(fired(1, "1", "2")) != first


def test_puts_and_patches_build_the_tree_that_a_whole_put_would() -> None:
    whole = makers.megalink_tree([fired(1), fired(2)])
    tree = merged(None, "put", json.dumps({"path": "/", "data": makers.megalink_tree([fired(1)])}).encode())
    shot = whole["data"]["fp"]["3"]["series"][1]["shots"][2]
    patched = merged(tree, "patch", json.dumps({"path": "/data/fp/3/series/1/shots", "data": {"2": shot}}).encode())
    put = merged(tree, "put", json.dumps({"path": "/data/fp/3/series/1/shots/2", "data": shot}).encode())
    wanted = read_tree(whole)
    assert read_tree(patched) == read_tree(put) == wanted
    assert len(wanted) == 2


def read_tree(tree: object) -> list[tuple[int, int]]:
    return [
        place
        for point, node in megalink.points(tree)
        for place in places(megalink.read(json.dumps(node).encode(), point))
    ]


@given(st.sampled_from(["put", "patch"]), st.one_of(st.binary(max_size=60), st.just(b'{"path":"/data/fp","data":7}')))
def test_no_event_whatever_brings_the_tree_down(event: str, data: bytes) -> None:
    tree = merged(makers.megalink_tree([fired(1)]), event, data)
    for point, node in megalink.points(tree):
        megalink.read(json.dumps(node).encode(), point)


# ShotMarker, and tables


def test_shotmarkers_export_is_read_with_its_sighters_and_misses_apart() -> None:
    found = WAYS[ways.SHOTMARKER_CSV](SHOTMARKER_CSV, "")
    assert [one.point for one in found] == ["", "", "", "L"]
    assert [(one.number, one.kind, one.miss) for one in shots(found)] == [
        (3, "sighter", False), (4, "match", False), (6, "match", True), (8, "match", False),
    ]  # fmt: skip
    assert places(found) == [(-10_500, 20_250), (1_500, -2_125), (0, 0), (4_000, 5_000)]


def test_an_older_export_in_inches_is_the_same() -> None:
    (told,) = shots(WAYS[ways.SHOTMARKER_CSV](b"time,tags,id,score,x inch,y inch,fps\n1,,1,X,0.5,-1,2700", ""))
    assert (told.x_um, told.y_um) == (12_700, -25_400)


def test_a_string_that_cannot_be_read_costs_no_other_of_the_backup() -> None:
    whole = string((1.5, -2.0), (3.0, 4.0))
    found = WAYS[ways.SHOTMARKER_TAR](
        backup(("archive.txt", b"{}"), ("string-1.z", b"rubbish"), ("string-2.z", whole), ("string-3.z", whole[:-9])),
        "",
    )
    assert places(found)[:2] == [(1_500, -2_000), (3_000, 4_000)]
    assert reasons(found)[0] == "string 1 cannot be read"


def test_a_packed_string_that_unpacks_without_end_is_refused() -> None:
    bomb = zlib.compress(b" " * 50_000_000)
    assert reasons(WAYS[ways.SHOTMARKER_TAR](backup(("string-1.z", bomb)), "")) == ["string 1 cannot be read"]


@pytest.mark.parametrize("name", ["ts_551.csv", "ts_562.csv", "ts_Rifle.csv", "ts_esp.csv"])
def test_scanned_targets_are_read_row_for_row(name: str) -> None:
    path = OUTSIDE_DATA / "targetscan" / name
    if not path.exists():
        pytest.skip("the outside data is not here")
    header, *rows = [line for line in path.read_bytes().splitlines() if line.strip()]
    found = of_table(TARGETSCAN, [header, *rows])
    assert [one.number for one in found] == list(range(1, len(rows) + 1))
    cells = [row.decode().replace('"', "").split(",") for row in rows]
    assert [(one.x_um, one.y_um) for one in found] == [
        (int(Decimal(r[3]) * 1000), int(Decimal(r[4]) * 1000)) for r in cells
    ]
    assert [one.device_rings for one in found] == [int(float(row[2].rstrip("*"))) for row in cells]


def of_table(mapped: Mapped, lines: Sequence[bytes]) -> list[Sighted]:
    table = Table(mapped)
    read: Callable[[bytes, str], Sequence[At]] = WAYS[ways.CSV]
    return [one for line in lines if (context := table.context(line)) for one in shots(read(line, context))]


def test_any_table_is_read_by_its_mapping() -> None:
    mapped = Mapped.model_validate_json(
        b'{"x": "X [cm]", "y": "Y [cm]", "unit": "cm", "upwards": false, "separator": ";", "decimal": ",",'
        b'"encoding": "cp1252", "time": "Zeit", "score": "Ring", "sighter": {"column": "Art", "values": ["Probe"]},'
        b'"skip": {"column": "Art", "values": ["Demo"]}}'
    )
    found = of_table(
        mapped,
        [
            "Schützenverein".encode("cp1252"), b"Art;Zeit;Ring;X [cm];Y [cm]", b"Demo;;;0;0",
            b"Probe;2026-06-01 12:00:00;9,9;-0,25;1,5", b"far;away", b"Wertung;2026-06-01T12:00:30;10;0,1;0,2",
        ],
    )  # fmt: skip
    assert [(one.kind, one.x_um, one.y_um) for one in found] == [("sighter", -2_500, -15_000), ("match", 1_000, -2_000)]
    assert found[1].fired_at == datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)
    assert [one.number for one in found] == [2, 4]


# Biathlon


def test_a_biathlon_result_tells_of_the_plates_that_fell() -> None:
    found = WAYS[ways.BIATHLON](makers.biathlon_result([1_780_000_005_000, 1_780_000_001_000]), "")
    assert [one.point for one in found] == ["3", "3"]
    assert [one.fired_at for one in shots(found)] == [
        datetime.fromtimestamp(1_780_000_001, UTC), datetime.fromtimestamp(1_780_000_005, UTC)
    ]  # fmt: skip


def test_what_an_adapter_made_of_a_frame_is_made_of_it_again_from_the_journal() -> None:
    for way, raw in GOOD.items():
        context = CONTEXTS.get(way, "")
        ((point, told),) = WAYS[way](raw, context)
        entry = Entry("d", "lane-1", way, None, raw, source=f"{point}/{context}")
        assert ways.decode(Entry.decoded(entry.encoded())) == [told]
