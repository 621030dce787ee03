from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bus.errors import Refusal
from ops import demo
from ops.api import ApiProblem
from ops.settings import Settings
from ops.welcome import demo_accounts, welcome

Load = Callable[[str, Settings], Awaitable[None]]


@pytest.fixture
async def settings(tmp_path: Path) -> AsyncIterator[Settings]:
    """Run a gateway that becomes ready at the third question."""
    asked: list[None] = []

    async def ready(_: web.Request) -> web.Response:
        asked.append(None)
        return web.Response(status=200 if len(asked) >= 3 else 503)

    app = web.Application()
    app.router.add_get("/health/ready", ready)
    async with TestServer(app) as server:
        assert server.port is not None
        yield Settings(home=tmp_path, port=server.port)


@pytest.fixture
def said() -> list[str]:
    return []


def loading(monkeypatch: pytest.MonkeyPatch, load: Load) -> None:
    monkeypatch.setattr(demo, "load_demo_range", load)


async def test_the_demo_range_is_loaded_once_requests_are_answered(
    settings: Settings, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []

    async def load(address: str, settings: Settings) -> None:
        loads.append(address)
        demo_accounts(settings).write_text('[{"role": "cashier", "login": "cash@desk", "password": "till"}]')

    loading(monkeypatch, load)
    for _ in range(2):
        await welcome(settings, said.append)
    assert loads == [f"http://127.0.0.1:{settings.port}"]
    assert all("cashier  cash@desk  till" in words for words in said)


@pytest.mark.parametrize("error", [ApiProblem(503, {"title": "auth is away"}), TimeoutError()])
async def test_a_demo_range_that_cannot_be_loaded_is_one_sentence(
    settings: Settings, said: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def load(_address: str, _settings: Settings) -> None:
        raise error

    loading(monkeypatch, load)
    with pytest.raises(Refusal, match=f"could not be loaded .{str(error) or 'no answer'}.; the next start goes on"):
        await welcome(settings, said.append)
    assert said == []


async def test_a_gateway_that_never_gets_ready_is_one_sentence(
    tmp_path: Path, said: list[str], unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.welcome.READY_S", 0.2)
    with pytest.raises(Refusal, match=r"The gateway was not ready within .* \(Cannot connect"):
        await welcome(Settings(home=tmp_path, port=unused_tcp_port), said.append)
