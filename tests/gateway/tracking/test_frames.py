from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.tracking.frames import LONGEST_BYTES, Found, Frame, Scanner, Wrong, read_fields
from gateway.tracking.shots import NotUnderstood, Sighted, read_shot

MODERN = (
    b'{"shot":%d, "session_type":5, "time":123456, "time_to_go":0, "x":1.25, "y":-30.75, '
    b'"athelete":"", "event":"", "target_name":"ISSF 10m Air Pistol"}'
)
OLD = (
    b'\r\n{"shot":%d, "miss":0, "name":"BOSS", , "time":12.34, "x":  1.25, "y":-30.75, "r": 30.78, "a":-87.67, '
    b'"N":1, "E":2, "S":3, "W":4, "V_REF":2.49, "T":22.00, "VERSION":4.3.2 }\r\n'
)


def scan(stream: bytes, chunk: int = 1 << 20) -> list[Found]:
    scanner = Scanner()
    return [one for at in range(0, len(stream), chunk) for one in scanner.feed(stream[at : at + chunk])]


def shots(found: list[Found]) -> list[Sighted]:
    read = []
    for one in found:
        if isinstance(one, Frame):
            try:
                shot = read_shot(one)
            except NotUnderstood:
                continue
            if shot is not None:
                read.append(shot)
    return read


def numbers(stream: bytes, chunk: int = 1 << 20) -> list[int]:
    return [shot.number for shot in shots(scan(stream, chunk))]


# What arbitrary bytes may do to a frame beside them: nothing.

RUBBISH = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from(
            [
                b"{",
                b"}",
                b'"',
                b",",
                b":",
                b'"shot"',
                b'"x":1',
                b"\r\n",
                b"\xff",
                b'{"ECHO":0}',
                b'{"shot":3,"x":',
                b"[",
                b"{}",
            ]
        ),
        max_size=20,
    ).map(b"".join),
)


@given(st.lists(st.tuples(RUBBISH, st.integers(100, 10**6), st.booleans()), max_size=4), RUBBISH, st.integers(1, 400))
@example([(b"{" * 20, 100, False), (b'{"shot":3,"x":', 101, True)], b"", 7)
def test_rubbish_never_loses_a_frame_beside_it(parts: list[tuple[bytes, int, bool]], tail: bytes, chunk: int) -> None:
    stream = b"".join(rubbish + (OLD if old else MODERN) % number for rubbish, number, old in parts) + tail
    wanted = [number for _, number, _ in parts]
    assert [number for number in numbers(stream, chunk) if number >= 100] == wanted


@given(st.binary(max_size=4 * LONGEST_BYTES), st.integers(1, 5000))
def test_never_more_than_a_frames_length_is_kept(stream: bytes, chunk: int) -> None:
    scanner = Scanner()
    for at in range(0, len(stream), chunk):
        scanner.feed(b"{" + stream[at : at + chunk])
        assert len(scanner._kept) <= LONGEST_BYTES
        assert len(scanner._open) <= 8


@given(st.integers(1, 3000))
def test_where_a_stream_is_cut_does_not_matter(chunk: int) -> None:
    stream = b"freETarget 6.3\r\n" + b"".join(MODERN % n + OLD % (n + 50) for n in range(1, 20)) + b'{"KEEP":1}'
    assert scan(stream, chunk) == scan(stream)


@given(st.text(alphabet=st.characters(exclude_characters='"\\', exclude_categories=["C"]), max_size=20))
@example("a}b")
@example("a{b")
@example("a, b")
def test_a_name_may_contain_anything(name: str) -> None:
    old = b'{"shot":7, "miss":0, "name":"%s", "time":1.00, "x":1.00, "y":2.00}' % name.encode()
    new = b'{"shot":8, "time":1, "x":1.00, "y":2.00, "athelete":"%s", "event":""}' % name.encode()
    assert numbers(old + new) == [7, 8]


# Real firmware's ways


def test_frames_need_no_line_between_them() -> None:
    assert numbers(MODERN % 1 + MODERN % 2 + MODERN % 3) == [1, 2, 3]


def test_both_firmware_lines_mean_the_same_shot() -> None:
    modern, old = shots(scan(MODERN % 4 + OLD % 4))
    assert (modern.x_um, modern.y_um) == (old.x_um, old.y_um) == (1_250, -30_750)
    assert (modern.elapsed_ms, old.elapsed_ms) == (123_456, 12_340)
    assert (modern.kind, modern.miss, old.kind, old.miss) == ("match", False, "match", False)


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b'{"shot":1,,"x":1.00,,,"y":2.00,}', (1, 1_000, 2_000)),
        (b'{"shot":1, name":"BOSS", "x":1.00, "y":2.00}', (1, 1_000, 2_000)),
        (b'{"shot":1, "name:"BOSS", "x":1.00, "y":2.00}', (1, 1_000, 2_000)),
        (b'{"shot":1, "name":"BOSS, "x":1.00, "y":2.00}', (1, 1_000, 2_000)),
        (b'{"shot":1, "name":BOSS", "x":1.00, "y":2.00}', (1, 1_000, 2_000)),
        (b'{"shot":1, "x":  1.00, "y": -2.00, "event":"final}', (1, 1_000, -2_000)),
        (b'{"shot":1, "elapsed_time":12s, "x":1.00, "y":2.00}', (1, 1_000, 2_000)),
        (b'{"shot":1, "x":1.005, "y":-0.01}', (1, 1_005, -10)),
        (b'{"shot":1, "x":1, "y":-0.0004}', (1, 1_000, 0)),
        (b'{"shot":1, "x":1e1, "y":0}', (1, 10_000, 0)),
    ],
)
def test_a_targets_usual_mistakes_are_understood(stream: bytes, expected: tuple[int, int, int]) -> None:
    (shot,) = shots(scan(stream))
    assert (shot.number, shot.x_um, shot.y_um) == expected


def test_a_miss_is_told_in_both_ways() -> None:
    modern, old = shots(
        scan(
            b'{"shot":5, "miss":1, "time":777, "time_to_go":0}n'
            b'{"shot":6, "miss":1, "name":"BOSS", "time":7.77, "x":0, "y":0}\n\r'
        )
    )
    assert modern.miss
    assert old.miss
    assert (modern.x_um, modern.elapsed_ms, old.elapsed_ms) == (0, 777, 7_770)


def test_the_session_mask_tells_sighters_from_match_shots() -> None:
    stream = b"".join(b'{"shot":%d,"session_type":%d,"x":0,"y":0}' % pair for pair in [(1, 3), (2, 5), (3, 1), (4, 2)])
    assert [shot.kind for shot in shots(scan(stream))] == ["sighter", "match", "match", "sighter"]


def test_the_targets_code_names_a_face() -> None:
    (shot,) = shots(scan(b'{"shot":1,"x":0,"y":0,"r":  0.00,"a":  0.00,"target":110 }'))
    assert shot.face == "air-rifle-10m"


def test_the_prime_frame_and_other_frames_are_no_shots() -> None:
    stream = b'{"shot":0, "x":0, "y":0, "r":0, "a":0,"target":100}{"CONNECTED":3}\r\n{"ECHO":0}{"version":"6.3.2"}'
    found = scan(stream)
    assert shots(found) == []
    assert all(isinstance(one, Frame) for one in found)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"shot":1,"x":"far","y":2}',
        b'{"shot":1,"x":1.0}',
        b'{"shot":1}',
        b'{"shot":-1,"x":1,"y":1}',
        b'{"shot":1.5,"x":1,"y":1}',
        b'{"shot":1000000001,"x":1,"y":1}',
        b'{"shot":1,"x":10000.01,"y":1}',
        b'{"shot":1,"x":1e999,"y":1}',
        b'{"shot":1,"x":1,"y":1,"time":-5}',
        b'{"shot":1,"x":1,"y":1,"miss":2}',
        b'{"shot":true,"x":1,"y":1}',
        b'{"shot":null,"x":1,"y":1}',
        b'{"shot":[1],"x":1,"y":1}',
    ],
)
def test_a_frame_that_lacks_what_a_shot_needs_is_not_understood(frame: bytes) -> None:
    (found,) = scan(frame)
    assert isinstance(found, Frame)
    with pytest.raises(NotUnderstood):
        read_shot(found)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"shot":1,"x":1.0,"x":2.0,"y":1}',  # which of the two?
        b'{"shot":1,"x":NaN,"y":1}',
        b'{"shot":1,"x":Infinity,"y":1}',
        b'{"shot":1 "x":1,"y":1}',
        b'{"shot"',
    ],
)
def test_what_cannot_be_read_is_no_shot(frame: bytes) -> None:
    assert numbers(frame + MODERN % 9) == [9]


def test_half_a_frame_is_reported_with_its_bytes() -> None:
    found = scan(b'{"shot":1, "x":1.0, ' + MODERN % 2)
    assert found[0] == Wrong(b'{"shot":1, "x":1.0, ', "it is no complete frame")
    assert isinstance(found[1], Frame)


def test_a_frame_that_never_ends_is_reported_once() -> None:
    found = scan(b'{"shot":1, "x":' + b"1" * 3 * LONGEST_BYTES, chunk=100)
    assert [type(one) for one in found] == [Wrong]


def test_trace_text_with_braces_is_not_worth_a_word() -> None:
    assert [one for one in scan(b"if ( x ) { y } else { z ") if isinstance(one, Wrong)] == []


def test_nesting_bombs_and_long_numbers_do_no_harm() -> None:
    assert numbers(b"{" * 5000 + b"[" * 5000 + b'{"a":' * 500 + b'{"shot":' + b"9" * 1500 + b"}" + MODERN % 3) == [3]
    assert numbers(b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}" + MODERN % 4) == [4]


def test_numbers_are_kept_as_they_were_written() -> None:
    assert read_fields(b'{"x":1.10}') == {"x": Decimal("1.10")}
