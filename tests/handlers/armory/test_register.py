"""What the register says of a weapon, to whom; and what goes together."""

from datetime import timedelta
from uuid import UUID

from handlers.armory.commands import (
    AddWeapon,
    AssessWeapon,
    MoveWeapon,
    QuarantineWeapon,
    RecallLot,
    RecoverWeapon,
    ReportLoss,
    RetireWeapon,
    StockAmmunition,
    TransferWeapon,
)
from handlers.armory.events import WeaponRefused, WeaponTypeStocked
from handlers.armory.views import compatibility as compatibility_views
from handlers.armory.views import weapons as weapons_views
from handlers.booking.events import LaneOpened
from tests.database import Database
from tests.handlers.armory.hearing import Hearing, empty, rows
from tests.handlers.armory.made import ANNA, AT_COUNTER, BORIS, entitled, terms, validated, weapon
from tests.handlers.scenario import NOON

NEW = AddWeapon(
    weapon=weapon(7),
    weapon_type="sport-pistol",
    serial="P-77001",
    maker="Morini",
    model="CM 22",
    condition="new",
    owner=BORIS,
    location="safe-1",
)


def lane(*classes: str) -> LaneOpened:
    return LaneOpened(
        range="club",
        lane="lane-1",
        distance_m=10,
        discipline="air-rifle-10m",
        weapon_classes=classes,
        target_address=None,
    )


async def test_the_register_has_all_of_a_weapon_and_shows_it_to_staff(stocked: Hearing, database: Database) -> None:
    await stocked.hears(NEW, by=AT_COUNTER)
    gateway = await database.connect("gateway")

    async def shown(*, staff: bool) -> weapons_views.WeaponView:
        return next(one for one in await weapons_views.weapons(gateway, staff=staff) if one.weapon == weapon(7))

    seen = await shown(staff=True)
    assert (seen.maker, seen.model, seen.serial, seen.condition) == ("Morini", "CM 22", "P-77001", "new")
    assert (seen.owner, seen.location, seen.weapon_class, seen.calibre) == (BORIS, "safe-1", "smallbore", ".22 LR")
    hidden = await shown(staff=False)
    assert (hidden.maker, hidden.serial, hidden.owner, hidden.location) == ("Morini", "***001", None, None)

    await stocked.hears(MoveWeapon(weapon=weapon(7), location="safe-2"), by=AT_COUNTER)
    await stocked.hears(AssessWeapon(weapon=weapon(7), condition="worn"), by=AT_COUNTER)
    await stocked.hears(TransferWeapon(weapon=weapon(7), owner=None), by=AT_COUNTER)
    seen = await shown(staff=True)
    assert (seen.location, seen.condition, seen.owner) == ("safe-2", "worn", None)
    await gateway.close()


async def test_what_is_lost_or_retired_is_no_unit(stocked: Hearing) -> None:
    def units() -> int:
        return [one.units for one in stocked.log if isinstance(one, WeaponTypeStocked)][-1]

    await stocked.hears(ReportLoss(weapon=weapon(1), reason="missing"), by=AT_COUNTER)
    assert units() == 1
    await stocked.hears(RetireWeapon(weapon=weapon(2), reason="sold"), by=AT_COUNTER)
    assert units() == 0
    (refused,) = await stocked.hears(validated(terms(1)))
    assert isinstance(refused, WeaponRefused)
    await stocked.hears(RecoverWeapon(weapon=weapon(1)), by=AT_COUNTER)
    assert units() == 0, "it is looked at first"


async def test_a_weapon_is_reserved_only_for_a_lane_where_its_class_is_shot(stocked: Hearing) -> None:
    await stocked.hears(lane("smallbore"))
    (refused,) = await stocked.hears(validated(terms(1)))
    assert isinstance(refused, WeaponRefused)
    assert refused.rule == "weapon-not-for-lane"
    assert refused.reason == "Air-rifle is a weapon of the class air, which is not shot on lane lane-1."


async def test_all_that_does_not_go_together_is_named_with_its_reason(stocked: Hearing, database: Database) -> None:
    gateway = await database.connect("gateway")

    async def unmet(person: UUID = ANNA) -> dict[str, str | None]:
        found = await compatibility_views.compatibility(gateway, "air-rifle", "lane-1", person, NOON)
        assert found is not None
        assert found.met == all(check.met for check in found.checks)
        return {check.of: check.why for check in found.checks if not check.met}

    assert await unmet() == {"lane": compatibility_views.UNKNOWN_LANE}
    await stocked.hears(lane("air"))
    assert await unmet() == {}
    await stocked.hears(lane("smallbore"))
    for unit in (1, 2):
        await stocked.hears(QuarantineWeapon(weapon=weapon(unit), reason="damaged"), by=AT_COUNTER)
    await stocked.hears(RecallLot(calibre="4.5 mm", lot="unnumbered", reason="maker"), by=AT_COUNTER)
    (none,) = entitled(ANNA, weapon_classes=("smallbore",))
    await stocked.hears(none)
    assert await unmet() == {
        "lane": compatibility_views.NOT_SHOT_THERE,
        "weapon": compatibility_views.NONE_FIT,
        "ammunition": compatibility_views.NO_CARTRIDGES,
        "licence": compatibility_views.NOT_ENTITLED,
    }
    assert "licence" not in await unmet(BORIS)
    await stocked.hears(StockAmmunition(calibre="4.5 mm", rounds=5, lot="L", expires_at=NOON - timedelta(days=9)))
    assert "ammunition" in await unmet()
    assert await compatibility_views.compatibility(gateway, "moon-rifle", "lane-1", ANNA, NOON) is None
    await gateway.close()


async def test_the_same_events_give_the_same_register(stocked: Hearing, database: Database) -> None:
    for command in (
        NEW,
        MoveWeapon(weapon=weapon(7), location="safe-2"),
        AssessWeapon(weapon=weapon(7), condition="poor"),
        TransferWeapon(weapon=weapon(7), owner=ANNA),
        ReportLoss(weapon=weapon(7), reason="stolen"),
        RecoverWeapon(weapon=weapon(7)),
        RetireWeapon(weapon=weapon(7), reason="destroyed"),
        ReportLoss(weapon=weapon(2), reason="missing"),
    ):
        await stocked.hears(command, by=AT_COUNTER)
    await stocked.hears(lane("air"))
    superuser = await database.connect("postgres")
    live = await rows(superuser, "armory")
    await empty(superuser, "armory")
    await stocked.replay(stocked.log)
    assert await rows(superuser, "armory") == live
    await superuser.close()
