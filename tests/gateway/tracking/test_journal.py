import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from bus.errors import Refusal
from gateway.tracking.frames import Wrong
from gateway.tracking.journal import Entry, Journal, load_or_make_key, read

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def entry(number: int, raw: bytes = b'{"shot":1,"athelete":"A. Shooter"}\xff') -> Entry:
    return Entry.of(f"target-{number}", "tcp", NOON, raw, None)


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "tracking" / "frames", tmp_path / "tracking" / "journal.key"


def test_what_is_kept_can_be_read_again(paths: tuple[Path, Path]) -> None:
    journal = Journal(*paths)
    wrong = Wrong(b'{"shot":', "it is no complete frame")
    entries = [entry(1), entry(2), Entry.of("target-3", "http", None, wrong.raw, wrong)]
    journal.keep(entries[:2])
    journal.keep(entries[2:])
    journal.close()
    assert list(read(*paths)) == entries
    assert entries[2].verdict == "wrong: it is no complete frame"


def test_nothing_on_disk_can_be_read_without_the_key(paths: tuple[Path, Path]) -> None:
    journal = Journal(*paths)
    journal.keep([entry(1)])
    journal.close()
    (file,) = paths[0].iterdir()
    assert b"Shooter" not in file.read_bytes()
    assert b"target-1" not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(paths[1].stat().st_mode) == 0o600
    assert stat.S_IMODE(paths[0].stat().st_mode) == 0o700
    paths[1].unlink()
    load_or_make_key(paths[1])
    with pytest.raises(Refusal, match="cannot be read"):
        list(read(*paths))


def test_a_changed_byte_is_noticed(paths: tuple[Path, Path]) -> None:
    journal = Journal(*paths)
    journal.keep([entry(1), entry(2)])
    journal.close()
    (file,) = paths[0].iterdir()
    stored = bytearray(file.read_bytes())
    stored[-1] ^= 1
    file.write_bytes(stored)
    with pytest.raises(Refusal, match="was changed"):
        list(read(*paths))


def test_a_file_moved_to_anothers_place_is_noticed(paths: tuple[Path, Path]) -> None:
    journal = Journal(*paths)
    journal.keep([entry(1)])
    journal.close()
    (file,) = paths[0].iterdir()
    file.rename(file.with_name("frames-00000009.bin"))
    with pytest.raises(Refusal, match="was changed"):
        list(read(*paths))


def test_a_record_cut_short_by_a_crash_costs_only_itself(paths: tuple[Path, Path]) -> None:
    journal = Journal(*paths)
    journal.keep([entry(1), entry(2)])
    journal.close()
    (file,) = paths[0].iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    restarted = Journal(*paths)
    restarted.keep([entry(3)])
    restarted.close()
    assert list(read(*paths)) == [entry(1), entry(3)]


def test_the_folder_never_grows_past_its_bound(paths: tuple[Path, Path]) -> None:
    journal = Journal(*paths, file_bytes=1000, files=3)
    for number in range(100):
        journal.keep([entry(number)])
    journal.close()
    assert len(list(paths[0].iterdir())) == 3
    assert sum(file.stat().st_size for file in paths[0].iterdir()) < 3 * 1300
    kept = list(read(*paths))
    assert kept == [entry(number) for number in range(100 - len(kept), 100)]


def test_two_processes_keep_apart_in_one_folder(paths: tuple[Path, Path]) -> None:
    one, other = Journal(*paths), Journal(*paths)
    for number in range(0, 10, 2):
        one.keep([entry(number)])
        other.keep([entry(number + 1)])
    one.close()
    other.close()
    assert sorted(read(*paths), key=lambda e: e.device) == [entry(number) for number in range(10)]


def test_a_disk_that_takes_nothing_loses_entries_and_no_more(paths: tuple[Path, Path]) -> None:
    paths[0].parent.mkdir(parents=True)
    paths[0].write_text("in the way")
    journal = Journal(*paths)
    with structlog.testing.capture_logs() as logs:
        journal.keep([entry(1), entry(2)])
    assert journal.lost == 2
    assert [one["event"] for one in logs] == ["journal.lost"]
    paths[0].unlink()
    journal.keep([entry(3)])
    journal.close()
    assert list(read(*paths)) == [entry(3)]
