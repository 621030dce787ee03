import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner, Result

from bus.identity import uuid7
from bus.membership import Membership
from bus.partitions import NONE
from ops.cli import main
from tests.bus import toy
from tests.database import Database


async def ask(name: str, **environment: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["health", name], env=environment)


async def test_a_service_is_at_work_while_its_workers_hold_all_that_is_its_to_do(database: Database) -> None:
    given = {"FIRINGLINE_HOME": str(database.settings.home), "DATABASE_URL": database.settings.admin_url}
    outcome = await ask("booking", **given)
    assert outcome.exit_code == 1
    assert outcome.stderr == (
        "firingline: booking is not at work: no living worker holds all that is its to do, alone or with others.\n"
    )

    worker = await database.connect("booking")
    membership = Membership(worker, toy.toy(), uuid7())
    await membership.enter()
    assert (await ask("booking", **given)).exit_code == 1
    await membership.balance(worker, suspect=NONE)
    assert (await ask("booking", **given)).exit_code == 0
    assert (await ask("stats", **given)).exit_code == 1
    await worker.close()


@pytest.mark.parametrize(("status", "exit_code"), [(200, 0), (503, 1)])
async def test_the_gateway_is_asked_over_http(status: int, exit_code: int) -> None:
    async def ready(_: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/health/ready", ready)
    async with TestServer(app) as server:
        outcome = await ask("gateway", FIRINGLINE_PORT=str(server.port))
    assert outcome.exit_code == exit_code
    assert (str(status) in outcome.stderr) == bool(exit_code)


async def test_a_gateway_that_does_not_answer_is_not_at_work(unused_tcp_port: int) -> None:
    outcome = await ask("gateway", FIRINGLINE_PORT=str(unused_tcp_port))
    assert outcome.exit_code == 1
    assert "The gateway is not at work" in outcome.stderr
