"""With auth down: valid tokens keep working, and whoever would log in is told when to come back."""

from uuid import uuid4

import aiohttp

from tests.journeys.processes import Processes
from tests.journeys.story import story

AWAY = 503


async def test_while_auth_is_down_tokens_keep_working_and_logins_are_told_when_to_come_back(processes: Processes):
    async with story(processes) as told:
        await told.open_the_range(target_port=None)
        admin = told.people["admin"]
        headers = {"Authorization": f"Bearer {admin.app.token}"}
        await processes.kill("auth")
        async with aiohttp.ClientSession(processes.address, headers=headers) as http:
            for path in ("/v1/lanes", f"/v1/people/{admin.id or uuid4()}/licences", "/v1/invoices", "/v1/weapons"):
                async with http.get(path) as response:
                    assert response.status == 200, path
            lane = {
                "range": "club",
                "distance_m": 10,
                "discipline": "air-pistol-10m",
                "weapon_classes": ["air"],
                "target_address": None,
            }
            asked = {"Idempotency-Key": str(uuid4()), "Prefer": "wait=20"}
            async with http.put("/v1/lanes/lane-3", json=lane, headers=asked) as response:
                assert response.status == 200, await response.text()
            login = {"login": admin.login, "password": admin.password}
            for path, body in (("/v1/sessions", login), ("/v1/sessions/refresh", {"refresh_token": "x" * 43})):
                async with http.post(path, json=body) as response:
                    assert response.status == AWAY, path
                    assert int(response.headers["Retry-After"]) >= 1
                    assert (await response.json())["type"] == "/problems/auth-away"
            async with http.get("/health/ready") as response:
                assert response.status == AWAY, "whoever watches is told"
        await processes.start("auth")
        answer = await admin.app.post("/v1/sessions", login)  # it asks again until auth is back
        assert answer["person"]
