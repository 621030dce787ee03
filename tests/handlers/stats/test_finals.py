import csv
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.stats.finals import AIR_10M, Finalist, Format, Ranking, rank

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "issf" / "finals_air_rifle.csv"
SHORT = Format((2, 3, 4))  # two shots, then a third one and a fourth one: 3rd leaves after 3


def tenths(text: str) -> tuple[int, ...]:
    return tuple(round(float(one) * 10) for one in text.split(","))


def ranks(found: Ranking) -> dict[str, int]:
    return {one.name: one.rank for one in found.standings}


def test_published_finals_have_their_stage_totals_and_ranks() -> None:
    """Seven finals of 10 m air rifle, each without its eighth, whom the lists leave out."""
    if not PUBLISHED.exists():
        pytest.skip(f"{PUBLISHED} is not here")
    with PUBLISHED.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    finals: list[list[dict[str, str]]] = []
    for row in rows:
        if row["rank"] == "1":
            finals.append([])
        finals[-1].append(row)
    ties = 0
    for final in finals:
        finalists = [Finalist(row["rank"], tenths(row["shots"])) for row in reversed(final)]
        found = rank(finalists)
        if found.shoot_off:  # its shots are not published: whoever is ranked better has won it
            ties += 1
            worse = max(found.shoot_off)
            stage = len(next(one for one in finalists if one.name == worse).shots_tenths)
            found = rank([Finalist(one.name, one.shots_tenths, {stage: (100 - int(one.name),)}) for one in finalists])
        assert found.shoot_off == ()
        assert [one.name for one in found.standings] == [row["rank"] for row in final]
        for one, row in zip(found.standings, final, strict=True):
            assert one.finished
            assert str(one.rank) == row["rank"]
            assert one.stage_totals_tenths == tenths(row["stage_totals"])
            assert one.stage_totals_tenths[-1] == round(float(row["total"]) * 10)
    assert (len(finals), ties) == (7, 3)


def test_the_eighth_leaves_after_twelve_shots() -> None:
    finalists = [Finalist(str(place), (100 - place,) * max(min(28 - 2 * place, 24), 12)) for place in range(1, 9)]
    found = rank(finalists)
    assert ranks(found) == {str(place): place for place in range(1, 9)}
    assert all(one.finished for one in found.standings)


def test_a_running_final_ranks_by_the_last_stage_all_have_shot() -> None:
    finalists = [Finalist("a", (100,) * 7), Finalist("b", (104,) * 5), Finalist("c", (100,) * 6)]
    found = rank(finalists)
    assert ranks(found) == {"b": 1, "a": 2, "c": 2}
    assert not any(one.finished for one in found.standings)


def test_a_tie_for_leaving_waits_for_its_shoot_off() -> None:
    a, b, c = Finalist("a", (100, 100, 100)), Finalist("b", (99, 99, 99)), Finalist("c", (98, 99, 100))
    assert rank([a, b, c], SHORT).shoot_off == ("b", "c")
    b_off, c_off = Finalist("b", b.shots_tenths, {3: (101, 97)}), Finalist("c", c.shots_tenths, {3: (101, 98)})
    found = rank([a, b_off, c_off], SHORT)
    assert found.shoot_off == ()
    assert [(one.name, one.rank, one.finished) for one in found.standings][-1] == ("b", 3, True)


def test_a_tie_for_first_is_shot_off_too() -> None:
    a, b = Finalist("a", (100,) * 4), Finalist("b", (100,) * 4)
    found = rank([a, b], SHORT)
    assert (found.shoot_off, ranks(found)) == (("a", "b"), {"a": 1, "b": 1})
    assert ranks(rank([a, Finalist("b", (100,) * 4, {4: (90,)})], SHORT)) == {"a": 2, "b": 1}


def test_whoever_left_shoots_no_more() -> None:
    with pytest.raises(ValueError, match="c left after 3 shots and has 4"):
        rank([Finalist(name, (points,) * 4) for name, points in (("a", 100), ("b", 99), ("c", 98))], SHORT)
    with pytest.raises(ValueError, match="a left after 24 shots and has 25"):
        rank([Finalist("a", (100,) * 25)])


@given(st.lists(st.lists(st.integers(0, 109), min_size=24, max_size=24), min_size=1, max_size=8), st.randoms())
def test_ranks_do_not_depend_on_the_order_of_the_finalists(shots: list[list[int]], random: object) -> None:
    finalists = _as_shot([Finalist(str(i), tuple(one)) for i, one in enumerate(shots)])
    shuffled = list(finalists)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = rank(finalists), rank(shuffled)
    assert ranks(first) == ranks(second)
    assert sorted(first.shoot_off) == sorted(second.shoot_off)
    for place, same in groupby(sorted(ranks(first).values())):
        assert len(list(same)) == 1 or not all(one.finished for one in first.standings if one.rank == place)


def _as_shot(finalists: list[Finalist]) -> list[Finalist]:
    """Shoot stage by stage, so that nobody shoots on after leaving."""
    done: dict[str, int] = {}
    for stage in AIR_10M.stages:
        trial = [Finalist(one.name, one.shots_tenths[: done.get(one.name, stage)]) for one in finalists]
        done |= {one.name: done.get(one.name, stage) for one in rank(trial).standings if one.finished}
    return [Finalist(one.name, one.shots_tenths[: done.get(one.name, 24)]) for one in finalists]
