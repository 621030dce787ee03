"""How much a caller may ask: by person, device or address, and by what a route costs."""

import asyncio
from pathlib import Path

import pytest

from bus.identity import uuid7
from gateway.problems import Problem
from gateway.rates import BURST_S, MOST_CALLERS, Rates
from gateway.routes import ROUTES
from tests.database import Database
from tests.gateway.gate import open_gate


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_bucket_empties_and_fills_again_at_its_rate():
    clock = Clock()
    rates = Rates(2, clock)
    for _ in range(2 * BURST_S):
        rates.charge("anna", 1)
    with pytest.raises(Problem) as refused:
        rates.charge("anna", 1)
    assert refused.value.headers["Retry-After"] == "1"
    with pytest.raises(Problem) as refused:
        rates.charge("anna", 20)
    assert refused.value.headers["Retry-After"] == "10"
    rates.charge("ben", 20)  # has a bucket of his own
    clock.now_s += 0.5
    rates.charge("anna", 1)
    with pytest.raises(Problem):
        rates.charge("anna", 1)
    clock.now_s += 10**6
    rates.charge("anna", 2 * BURST_S)
    with pytest.raises(Problem):
        rates.charge("anna", 1)


def test_callers_are_remembered_within_a_bound_the_busy_ones_longest(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.rates.MOST_CALLERS", 3)
    assert MOST_CALLERS == 50_000
    rates = Rates(1, Clock())
    for caller in ("anna", "ben", "anna", "carl", "anna", "dora"):
        rates.charge(caller, BURST_S if caller == "ben" else 1)
    with pytest.raises(Problem):
        rates.charge("anna", BURST_S)
    rates.charge("ben", BURST_S)  # was forgotten


def test_no_route_costs_more_than_a_full_bucket_and_only_health_costs_nothing():
    assert all(route.cost <= BURST_S * 10 for route in ROUTES)
    assert {route.path for route in ROUTES if not route.cost} == {"/health/live", "/health/ready"}


async def test_who_asks_too_much_is_told_when_to_come_back_and_others_go_on(database: Database, tmp_path: Path):
    async with open_gate(database, tmp_path, rate=2) as gate:
        anna = gate.token(person=uuid7())
        answers = await asyncio.gather(*(gate.get("/v1/lanes", anna) for _ in range(40)))
        refused = [one for one in answers if one.status == 429]
        assert 1 <= len(refused) <= 20
        assert {one.problem for one in refused} == {"too-many-requests"}
        assert all(int(one.headers["Retry-After"]) >= 1 for one in refused)
        assert (await gate.get("/v1/lanes", gate.token(person=uuid7()))).status == 200
        assert (await gate.get("/health/live")).status == 200


async def test_an_address_that_invents_tokens_is_slowed_down_and_who_has_one_is_not(database: Database, tmp_path: Path):
    async with open_gate(database, tmp_path, rate=1) as gate:
        answers = [await gate.get("/v1/lanes", "invented") for _ in range(3)]
        assert [one.status for one in answers] == [401, 429, 429]
        assert (await gate.get("/v1/lanes", gate.token())).status == 200
