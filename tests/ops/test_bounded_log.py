from pathlib import Path

from ops.bounded_log import BoundedLog, tail


def test_it_keeps_the_newest_words_in_two_files_of_bounded_size(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "log" / "auth.log", limit_bytes=100)
    for number in range(50):
        log.write(f"line {number}\n".encode())
    log.close()
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == ["auth.log", "auth.log.1"]
    assert all(path.stat().st_size <= 100 for path in (tmp_path / "log").iterdir())
    assert tail(tmp_path / "log" / "auth.log", lines=1) == "line 49"


def test_it_goes_on_where_the_last_run_ended(tmp_path: Path) -> None:
    for number in range(2):
        log = BoundedLog(tmp_path / "auth.log")
        log.write(f"run {number}\n".encode())
        log.close()
    assert tail(tmp_path / "auth.log") == "run 0\nrun 1"


def test_a_full_disk_does_not_stop_who_speaks() -> None:
    log = BoundedLog(Path("/dev/full"))
    log.write(b"lost\n")
    log.close()


def test_there_is_no_tail_of_nothing(tmp_path: Path) -> None:
    assert tail(tmp_path / "absent.log") == ""
