"""The way of a booking over HTTP, with real processes: steps 1 to 4, and what refuses it."""

import pytest

from ops.api import ApiProblem
from tests.journeys.processes import Processes
from tests.journeys.story import TOTAL_MINOR, story


async def test_a_licensed_shooter_books_and_is_confirmed_at_once(processes: Processes):
    async with story(processes) as told:
        await told.open_the_range(target_port=None)
        await told.register("shooter")
        await told.license("shooter")
        slot = (await told.free_times("shooter"))[0]
        answer = await told.book("shooter", slot)
        assert answer["outcome"]["event"] == "booking.booking-confirmed"
        assert answer["outcome"]["body"]["total_minor"] == TOTAL_MINOR
        booking = await told.app("shooter").get(f"/v1/bookings/{told.booking}")
        assert booking["state"] == "confirmed"
        assert slot["starts_at"] not in [one["starts_at"] for one in await told.free_times("shooter")]


async def test_without_prefer_the_answer_is_202_and_the_command_tells_its_outcome(processes: Processes):
    async with story(processes) as told:
        await told.open_the_range(target_port=None)
        await told.register("shooter")
        await told.license("shooter")
        slot = (await told.free_times("shooter"))[0]
        app = told.app("shooter")
        times = {"starts_at": slot["starts_at"], "ends_at": slot["ends_at"]}
        body = {"lane": "lane-1", "weapon_class": "air", "weapon_type": "air-pistol", "rounds": 40, **times}
        first = await app.ask("POST", "/v1/bookings", body=body, key="one key")
        assert first["status"] == "pending"
        done = await app.until(first["links"]["command"], lambda answer: answer["status"] != "pending")
        assert done["status"] == "done"
        again = await app.ask("POST", "/v1/bookings", body=body, key="one key", wait_s=5)
        assert again["command"] == first["command"], "the same key is the same booking"
        with pytest.raises(ApiProblem) as other:
            await app.ask("POST", "/v1/bookings", body={**body, "rounds": 41}, key="one key")
        assert other.value.status == 422


async def test_each_refusal_says_who_refused_by_which_rule_and_why_and_frees_what_was_held(processes: Processes):
    async with story(processes) as told:
        await told.open_the_range(target_port=None, units=1)
        for who in ("shooter", "stranger"):
            await told.register(who)
        await told.license("shooter")
        slot = (await told.free_times("shooter"))[0]

        with pytest.raises(ApiProblem) as unlicensed:
            await told.book("stranger", slot)
        assert (unlicensed.value.status, unlicensed.value.problem["refused_by"]) == (409, "auth")
        assert unlicensed.value.problem["reason"]
        assert unlicensed.value.problem["rule_version"] >= 1

        await told.when_known(lambda: told.book("shooter", slot))
        await told.license("stranger")
        with pytest.raises(ApiProblem) as taken:
            await told.book("stranger", slot)
        assert taken.value.problem["refused_by"] == "booking"
        with pytest.raises(ApiProblem) as unarmed:
            await told.book("stranger", slot, lane="lane-2")
        assert unarmed.value.problem["refused_by"] == "armory"

        await told.app("shooter").command("POST", f"/v1/bookings/{told.booking}/cancel")
        await told.free_times("shooter")
        await told.when_known(lambda: told.book("stranger", slot))


async def test_with_a_service_down_the_hold_expires_and_says_so(processes: Processes):
    async with story(processes) as told:
        await told.open_the_range(target_port=None, hold_s=2)
        await told.register("shooter")
        await told.license("shooter")
        slot = (await told.free_times("shooter"))[0]
        await processes.kill("armory")
        with pytest.raises(ApiProblem) as expired:
            await told.book("shooter", slot)
        assert expired.value.rule == "hold-expired"
        assert "armory" in expired.value.problem["reason"]
        await processes.start("armory")
        await processes.until_ready()
        await told.when_known(lambda: told.book("shooter", slot))
