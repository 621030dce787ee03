import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from bus.errors import Refusal
from ops import data_folder, unprivileged
from ops.postgres import Cluster, free_port
from ops.unprivileged import Account, account_for, programs_for
from tests.ops.waiting import is_gone, wait_until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may run PostgreSQL as another user")

HOLDER = """
import sys
from pathlib import Path
from ops.postgres import Cluster

with Cluster(Path(sys.argv[1]), password="secret") as cluster:
    print(cluster.port, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def initialised(home: Path) -> Path:
    """Make a data folder once; tests copy it."""
    data = home / "initialised"
    with Cluster(data, password="secret"):
        pass
    return data


@pytest.fixture
def data(initialised: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "postgres"
    shutil.copytree(initialised, copy)
    owner = initialised.stat()
    for path in [copy, *copy.rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid)
    return copy


@pytest.fixture
def holder(data: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that keeps a server over the data until it is killed."""
    command = [sys.executable, "-c", HOLDER, str(data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
        process.kill()
    wait_until(lambda: not (data / "postmaster.pid").exists())


def server_pid(data: Path) -> int:
    return int((data / "postmaster.pid").read_text().split()[0])


async def test_data_is_kept_from_one_start_to_the_next(data: Path) -> None:
    cluster = Cluster(data, password="secret")
    for known in ([], ["shooters"]):
        with cluster:
            connection = await asyncpg.connect(cluster.url())
            tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            assert [row["tablename"] for row in tables] == known
            await connection.execute("CREATE TABLE IF NOT EXISTS shooters ()")
            await connection.close()
        assert not cluster.running


async def test_the_server_is_set_up_for_the_log(cluster: Cluster) -> None:
    connection = await asyncpg.connect(cluster.url())
    wanted = {
        "data_checksums": "on",
        "fsync": "on",
        "listen_addresses": "127.0.0.1",
        "max_connections": "200",
        "max_prepared_transactions": "0",
        "server_encoding": "UTF8",
        "synchronous_commit": "on",
        "wal_level": "replica",
    }
    assert {name: await connection.fetchval(f"SHOW {name}") for name in wanted} == wanted
    await connection.close()


async def test_only_the_password_lets_in_by_tcp_and_by_socket(cluster: Cluster) -> None:
    assert cluster.sockets is not None
    for host in ("127.0.0.1", str(cluster.sockets)):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(cluster.url(password="guess"), host=host, port=cluster.port)
        await (await asyncpg.connect(cluster.url(), host=host, port=cluster.port)).close()
    assert len(f"{cluster.sockets}/.s.PGSQL.65535".encode()) <= 107


@pytest.mark.parametrize("folder", ["a place with spaces & 'quotes'", "x" * 120])
def test_it_runs_from_any_path(folder: str, tmp_path: Path) -> None:
    with Cluster(tmp_path / folder / "postgres", password="it's / secret") as cluster:
        assert cluster.running


def test_nobody_else_may_read_the_data(initialised: Path) -> None:
    assert stat.S_IMODE(initialised.stat().st_mode) == 0o700


@as_root
def test_as_root_the_server_runs_as_another_user_who_cannot_enter_the_home(data: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with Cluster(data, password="secret"):
        assert Path(f"/proc/{server_pid(data)}").stat().st_uid == data.stat().st_uid != 0
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@as_root
def test_as_root_the_owner_of_the_data_runs_the_server(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    os.chown(tmp_path / "postgres", 1, 1)
    assert account_for(tmp_path / "postgres", "nobody").uid == 1


@as_root
def test_programs_in_a_closed_home_are_copied_where_the_user_may_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, data = tmp_path / "closed", tmp_path / "postgres"
    closed.mkdir(mode=0o700)
    for name in unprivileged.FOLDERS:
        shutil.copytree(unprivileged.INSTALLED / name, closed / name, symlinks=True)
    monkeypatch.setattr(unprivileged, "INSTALLED", closed)
    copies = Path("/var/tmp/firingline-test-copies")
    monkeypatch.setattr("ops.postgres.programs_for", lambda account: programs_for(account, copies))
    try:
        for _ in range(2):
            with Cluster(data, password="secret"):
                assert Path(f"/proc/{server_pid(data)}/exe").readlink().is_relative_to(copies)
        assert [path.name.partition("-")[0] for path in copies.iterdir()] == ["postgresql"]
    finally:
        shutil.rmtree(copies)


@as_root
def test_a_user_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="there is no user 'marksman'"):
        Cluster(tmp_path / "postgres", password="secret", run_as="marksman").start()


@as_root
def test_root_is_refused_as_the_user_to_run_as(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="name an ordinary user"):
        Cluster(tmp_path / "postgres", password="secret", run_as="root").start()


def test_a_port_in_use_is_refused(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Refusal, match=f"Port {port} is in use by another program"):
            Cluster(data, password="secret", port=port).start()


def test_a_free_port_that_is_taken_meanwhile_is_tried_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = [taken.getsockname()[1], free_port()]
        monkeypatch.setattr("ops.postgres.free_port", lambda: ports.pop(0))
        with Cluster(data, password="secret") as cluster:
            assert cluster.port != taken.getsockname()[1]


def test_data_of_another_version_is_refused(data: Path) -> None:
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(Refusal, match="holds data of PostgreSQL 17, and this is 18"):
        Cluster(data, password="secret").start()


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "holiday.jpg").touch()
    if os.geteuid() == 0:
        os.chown(tmp_path / "postgres", 65534, 65534)
    with pytest.raises(Refusal, match="is no PostgreSQL data"):
        Cluster(tmp_path / "postgres", password="secret").start()
    assert [path.name for path in (tmp_path / "postgres").iterdir()] == ["holiday.jpg"]


@as_root
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(tmp_path)], check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(Refusal, match=r"The disk that holds .* is full"):
            Cluster(tmp_path / "postgres", password="secret").start()
        assert not (tmp_path / "postgres").exists()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_lock_whose_number_belongs_to_another_program_now_is_stale(data: Path) -> None:
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n1\n5432\n\n\n\nready\n")
    with Cluster(data, password="secret") as cluster:
        assert cluster.running


def test_beside_a_living_server_it_refuses(
    data: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_folder, "OTHERS_END_S", 0.1)
    with pytest.raises(Refusal, match=rf"Another PostgreSQL \(process {server_pid(data)}\) is using"):
        Cluster(data, password="secret").start()
    assert holder.poll() is None


def test_when_the_holder_is_killed_the_server_ends_and_the_next_starts(
    data: Path, holder: subprocess.Popen[str]
) -> None:
    server = server_pid(data)
    holder.kill()
    holder.wait()
    with Cluster(data, password="secret"):
        assert is_gone(server)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_when_the_guardian_is_killed_the_server_ends(data: Path) -> None:
    cluster = Cluster(data, password="secret")
    cluster.start()
    server = server_pid(data)
    assert cluster._guardian is not None
    os.kill(cluster._guardian.pid, signal.SIGKILL)
    wait_until(lambda: is_gone(server), within_s=5)
    assert not cluster.running
    cluster.stop()
    assert cluster.sockets is not None
    shutil.rmtree(cluster.sockets, ignore_errors=True)


async def test_a_client_that_stays_connected_does_not_hold_up_a_stop(data: Path) -> None:
    with Cluster(data, password="secret") as cluster:
        connection = await asyncpg.connect(cluster.url())
        await connection.execute("BEGIN")
    assert not (data / "postmaster.pid").exists()
    connection.terminate()


def test_nothing_stays_in_the_folder_for_temporary_files(data: Path) -> None:
    with Cluster(data, password="secret") as cluster:
        sockets = cluster.sockets
        assert sockets is not None
        assert sockets.exists()
    assert not sockets.exists()


def test_ourselves_need_no_copy() -> None:
    assert programs_for(Account("me")) == unprivileged.INSTALLED / unprivileged.PROGRAMS
