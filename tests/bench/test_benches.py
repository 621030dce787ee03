import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from bench.benches import BENCHES, reports_of
from bench.figures import Size
from bench.run import bench
from ops.settings import Settings

TINY = Size(rounds=1, seconds=0.05, events=2_000, grown=5_000)
KEYS = {
    "bench",
    "value",
    "unit",
    "baseline",
    "baseline_value",
    "ratio",
    "rounds",
    "machine",
    "asked",
    "met",
    "values",
    "beside",
}


def is_well_formed(report):
    assert report.keys() >= KEYS
    assert report["value"] > 0
    assert report["baseline_value"] > 0
    assert report["ratio"] == pytest.approx(report["value"] / report["baseline_value"], rel=0.05, abs=0.01)
    assert report["rounds"] == len(report["values"]) == len(report["baseline_values"])
    assert {"cores", "postgresql", "commit_ms", "commit_delay_ms", "load"} <= report["machine"].keys()


@pytest.mark.usefixtures("template")
@pytest.mark.parametrize("name", [name for name in BENCHES if name not in {"latency", "growth"}])
async def test_each_bench_gives_a_figure_beside_its_baseline(name, cluster, home):
    settings = Settings(home=home, database_url=cluster.url())
    [report] = [one async for one in reports_of([name], TINY, settings, lambda *_: None)]
    assert report["bench"] == name
    assert report["unit"] == BENCHES[name].unit
    is_well_formed(json.loads(json.dumps(report)))


@pytest.mark.usefixtures("template")
def test_as_json_each_bench_is_one_object_a_line(cluster, home):
    run = subprocess.run(
        [sys.executable, "-m", "ops.cli", "bench", "latency", "--json", "--rounds=1", "--seconds=0.05"],
        env={**os.environ, "DATABASE_URL": cluster.url(), "FIRINGLINE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    [line] = run.stdout.splitlines()
    report = json.loads(line)
    is_well_formed(report)
    assert report["bench"] == "latency"
    assert report["p99"] >= report["value"]
    assert run.stderr == ""


@pytest.mark.usefixtures("template")
async def test_the_newest_of_a_long_log_come_from_one_partition(cluster, home):
    settings = Settings(home=home, database_url=cluster.url())
    [report] = [one async for one in reports_of(["growth"], TINY, settings, lambda *_: None)]
    is_well_formed(json.loads(json.dumps(report)))
    assert report["events"] == 5_000
    assert report["partitions_touched"] == 1
    assert report["read_ratio"] > 0


def test_an_unknown_name_is_told_with_those_that_are_known():
    told = CliRunner().invoke(bench, ["appendix"])
    assert told.exit_code == 2
    assert f"'appendix' is not one of {', '.join(map(repr, BENCHES))}" in told.output


def test_the_help_names_every_bench():
    told = CliRunner().invoke(bench, ["--help"]).output
    assert all(name in told for name in BENCHES)
