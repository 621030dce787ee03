from importlib import metadata

from click.testing import CliRunner

from bench import peers, run
from bench.benches import BENCHES, report_of
from bench.figures import Beside, Bound, Measured
from bench.peers import GRAPHILE_WORKER, PGQUEUER
from ops.settings import Settings


def nothing_is_installed(monkeypatch, folder):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    monkeypatch.setattr(peers, "NODE_PART", folder)


async def test_a_peer_that_is_not_installed_is_left_out_and_that_is_said(monkeypatch, tmp_path):
    nothing_is_installed(monkeypatch, tmp_path)
    async with peers.peers(Settings(home=tmp_path), [PGQUEUER, GRAPHILE_WORKER]) as found:
        assert found.running == {}
        beside = found.beside([])
    assert beside.keys() == {PGQUEUER, GRAPHILE_WORKER}
    assert beside[PGQUEUER] == Beside(skipped="it is not installed; `make peers` installs it")
    assert beside[GRAPHILE_WORKER].skipped


def test_the_table_says_which_peer_was_faster_than_it_may_be_and_which_was_not_measured(monkeypatch):
    measured = Measured(
        [100.0],
        [200.0],
        beside={PGQUEUER: Beside([50.0], "1.6.0"), GRAPHILE_WORKER: Beside(skipped="Node is not here")},
    )
    assert BENCHES["consume"].beside[PGQUEUER] == Bound(ratio_at_least=5)

    async def one_report(*_args, **_named):
        yield report

    report = report_of("consume", run.USUAL, measured, {"commit_delay_ms": 0.0})
    assert report["beside"][PGQUEUER] == {
        "version": "1.6.0",
        "value": 50.0,
        "values": [50.0],
        "ratio": 2.0,
        "asked": {"ratio_at_least": 5},
        "met": False,
    }
    monkeypatch.setattr(run, "reports_of", one_report)
    monkeypatch.setenv("COLUMNS", "200")
    told = CliRunner().invoke(run.bench, ["consume"]).output
    assert "pgqueuer 1.6.0" in told
    assert "missed" in told
    assert "graphile-worker was not measured: Node is not here" in told
