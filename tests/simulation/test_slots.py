from datetime import UTC, datetime, timedelta
from typing import Any

from simulation.slots import TAKEN, Lookout, joined, offered, sold_out

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LOOKS = Lookout(types={"air": "air-pistol"}, own_weapon=False, begun={}, moment=NOON)


def slot(minute: int, *, taken: bool = False, units: int = 1) -> dict[str, Any]:
    starts_at = NOON + minute * MINUTE
    return {
        "starts_at": starts_at.isoformat(),
        "ends_at": (starts_at + MINUTE).isoformat(),
        "free": not taken,
        "why": TAKEN if taken else None,
        "own_weapon_classes": [] if taken else ["air"],
        "weapon_types": [{"weapon_type": "air-pistol"}] if units and not taken else [],
        "not_possible": [] if units or taken else [{"weapon_type": "air-pistol"}],
    }


def lane(name: str, *slots: dict[str, Any]) -> dict[str, Any]:
    return {"lane": name, "weapon_classes": ["air"], "slots": list(slots)}


def page(*lanes: dict[str, Any]) -> dict[str, Any]:
    return {"ranges": [{"range": "simulation", "lanes": list(lanes)}]}


def test_offered_is_the_first_time_behind_all_that_are_taken():
    told = joined([page(lane("lane-1", slot(1), slot(2, taken=True), slot(3), slot(4)))])
    [wish] = offered(told, LOOKS)
    assert (wish.starts_at, wish.ends_at, wish.weapon_type) == (NOON + 3 * MINUTE, NOON + 4 * MINUTE, "air-pistol")


def test_the_earliest_comes_first_and_too_soon_is_none():
    told = joined([page(lane("lane-1", slot(0), slot(2)), lane("lane-2", slot(1)))])
    assert [wish.lane for wish in offered(told, LOOKS)] == ["lane-2", "lane-1"]


def test_a_lane_whose_turn_has_come_so_far_is_asked_for_later_times():
    told = joined([page(lane("lane-1", slot(1), slot(2)))])
    [wish] = offered(told, LOOKS._replace(begun={"lane-1": NOON + MINUTE}))
    assert wish.starts_at == NOON + 2 * MINUTE


def test_where_the_weapons_are_booked_only_those_with_their_own_may_come():
    told = joined([page(lane("lane-1", slot(1, units=0)))])
    assert offered(told, LOOKS) == []
    assert [wish.weapon_type for wish in sold_out(told, LOOKS)] == ["air-pistol"]
    assert [wish.weapon_type for wish in offered(told, LOOKS._replace(own_weapon=True))] == [None]


def test_two_days_are_one_list():
    told = joined([page(lane("lane-1", slot(1, taken=True))), page(lane("lane-1", slot(2)))])
    assert [wish.starts_at for wish in offered(told, LOOKS)] == [NOON + 2 * MINUTE]
