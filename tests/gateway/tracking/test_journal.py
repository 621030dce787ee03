import errno
import stat
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from bus.errors import Refusal
from gateway.tracking.journal import Entry, Journal, JournalFull, Place, read
from gateway.tracking.sealed import load_or_make_key

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def entry(number: int, raw: bytes = b'{"shot":1,"athelete":"A. Shooter"}\xff\n') -> Entry:
    return Entry(f"target-{number}", "lane-1", "tcp", NOON, raw)


def entries(first: int, last: int) -> list[Entry]:
    return [entry(number) for number in range(first, last + 1)]


def keep(journal: Journal, kept: Sequence[Entry], *, taken: bool = False) -> list[Place]:
    places = journal.keep(kept)
    journal.hand_on(places, taken=taken)
    return places


def keep_all(journal: Journal, kept: Sequence[Entry]) -> None:
    for one in kept:
        keep(journal, [one])


def drain(journal: Journal) -> list[Entry]:
    """Everything that nobody has taken, as whoever records it reads it."""
    found = []
    while journal.unread:
        for place, one in journal.read(3):
            found.append(one)
            journal.drained({place.segment: place.entry + 1})
    return found


Paths = tuple[Path, Path]
New = Callable[..., Journal]


@pytest.fixture
def new(paths: Paths) -> Iterator[New]:
    """Make a process's journal in the one folder."""
    made: list[Journal] = []

    def journal(**bounds: int) -> Journal:
        made.append(Journal(paths[0], paths[1], **bounds))
        return made[-1]

    yield journal
    for one in made:
        one.close()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return tmp_path / "tracking" / "frames", tmp_path / "tracking" / "journal.key"


def test_what_is_kept_can_be_read_again(paths: Paths, new: New) -> None:
    journal = new()
    there = [
        entry(1),
        entry(2),
        Entry(
            "target-3", "lane-2", "http", None, b'{"shot":', live=False, face="rifle-50m",
            actor="device:target-3", source="boot-1", verdict="wrong: it is no complete frame",
        ),
    ]  # fmt: skip
    journal.keep(there[:2])
    journal.keep(there[2:])
    journal.close()
    assert list(read(*paths)) == there


def test_nothing_on_disk_can_be_read_without_the_key(paths: Paths, new: New) -> None:
    journal = new()
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


def test_a_changed_byte_is_noticed(paths: Paths, new: New) -> None:
    journal = new()
    journal.keep(entries(1, 2))
    journal.close()
    (file,) = paths[0].iterdir()
    stored = bytearray(file.read_bytes())
    stored[-1] ^= 1
    file.write_bytes(stored)
    with pytest.raises(Refusal, match="was changed"):
        list(read(*paths))
    after = new()
    after.adopt()
    with structlog.testing.capture_logs() as logs:
        assert drain(after) == []  # what is read together with it
    assert "journal.broken" in [one["event"] for one in logs]


def test_a_disk_that_says_no_for_a_moment_loses_nothing(new: New, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = new()
    keep(journal, entries(1, 2))

    def refused(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("gateway.tracking.journal.READ_AGAIN_S", 0.0)
        patched.setattr("gateway.tracking.journal.Reading", refused)
        assert journal.read() == []
        assert journal.unread
    assert drain(journal) == entries(1, 2)


def test_a_file_moved_to_anothers_place_is_noticed(paths: Paths, new: New) -> None:
    journal = new()
    journal.keep([entry(1)])
    journal.close()
    (file,) = paths[0].iterdir()
    file.rename(file.with_name("frames-00000009.bin"))
    with pytest.raises(Refusal, match="was changed"):
        list(read(*paths))


def test_a_record_cut_short_by_a_crash_costs_only_itself(paths: Paths, new: New) -> None:
    journal = new()
    journal.keep(entries(1, 2))
    journal.close()
    (file,) = paths[0].iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    restarted = new()
    restarted.adopt()
    keep(restarted, [entry(3)])
    assert drain(restarted) == [entry(1), entry(3)]
    restarted.close()
    assert list(read(*paths)) == [entry(1), entry(3)]


def test_what_was_not_drained_is_read_by_the_next_from_where_the_last_one_was(new: New) -> None:
    before = new(segment_bytes=1000)
    for number in range(1, 31):
        keep(before, [entry(number)], taken=True)
    before.close()
    after = new()
    first, *_ = adopted = after.adopt()
    assert len(adopted) > 2
    after.begin({first: 2})
    assert drain(after) == entries(3, 30)


def test_what_nobody_took_is_given_once_and_in_order(new: New) -> None:
    journal = new(segment_bytes=1000)
    keep(journal, entries(1, 4), taken=True)
    for number in range(5, 20):
        keep(journal, [entry(number)])
    assert drain(journal) == entries(5, 19)
    keep(journal, entries(20, 21), taken=True)
    keep(journal, entries(22, 23))
    assert drain(journal) == entries(22, 23)


def test_the_folder_never_grows_past_its_bound_and_forgets_only_what_is_drained(paths: Paths, new: New) -> None:
    journal = new(segment_bytes=1000, segments=3)
    for number in range(100):
        keep(journal, [entry(number)])
        drain(journal)
    assert len(list(paths[0].iterdir())) == 3
    assert sum(file.stat().st_size for file in paths[0].iterdir()) < 3 * 1300
    kept = list(read(*paths))
    assert kept == entries(100 - len(kept), 99)
    gone = journal.forgotten()
    assert len(gone) > 3
    journal.forget(gone[:2])
    assert journal.forgotten() == gone[2:]
    with pytest.raises(JournalFull):
        keep_all(journal, entries(100, 200))
    waiting = drain(journal)
    assert waiting[0] == entry(100)
    keep(journal, [entry(200)])
    assert drain(journal) == [entry(200)]


def test_two_processes_keep_apart_in_one_folder(new: New) -> None:
    one, other = new(), new()
    for number in range(0, 10, 2):
        keep(one, [entry(number)])
        keep(other, [entry(number + 1)])
    assert one.adopt() == other.adopt() == []
    assert drain(one) == [entry(number) for number in range(0, 10, 2)]
    other.close()
    assert len(one.adopt()) == 1
    assert drain(one) == [entry(number) for number in range(1, 10, 2)]


def test_a_disk_that_takes_nothing_is_told_and_nothing_counts_as_kept(paths: Paths, new: New) -> None:
    paths[0].parent.mkdir(parents=True)
    paths[0].write_text("in the way")
    journal = new()
    with pytest.raises(OSError, match="frames"):
        journal.keep(entries(1, 2))
    paths[0].unlink()
    keep(journal, [entry(3)])
    assert drain(journal) == [entry(3)]
    journal.close()
    assert list(read(*paths)) == [entry(3)]


def test_a_file_of_another_version_is_passed_over(paths: Paths, new: New) -> None:
    paths[0].mkdir(parents=True)
    (paths[0] / "frames-00000001.bin").write_bytes(b"firingline frames 1\n" + bytes(16))
    journal = new()
    assert journal.adopt() == []
    keep(journal, [entry(1)])
    assert list(read(*paths)) == [entry(1)]
