"""What a newcomer is told once requests are answered: where to look, whom to be, what to try."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import aiohttp
from rich.console import Console

from bus.errors import Refusal
from ops import demo
from ops.address import address_of, ask
from ops.api import ApiProblem
from ops.settings import Settings

READY_S: Final = 60.0
LOOK_S: Final = 0.1


async def welcome(settings: Settings, tell: Callable[[str], None]) -> None:
    """Wait until requests are answered, load the demo range at the first start, and say where to go on."""
    address = address_of(settings)
    console = Console()
    with console.status("Waiting for the first answer."):
        await _wait_until_ready(address, settings.home / "log")
    accounts = demo_accounts(settings)
    if not accounts.exists():
        with console.status("Loading the demo range."):
            await _load_demo_range(address, settings)
    tell(
        f"""
Firingline is up: {address}

{_accounts(accounts)}  documentation of the API: {address}/docs
  what the processes say: {settings.home / "log"}
  try next, in another terminal: .venv/bin/firingline simulate --lanes 8 --shooters 40

Ctrl-C stops everything."""
    )


async def _load_demo_range(address: str, settings: Settings) -> None:
    try:
        await demo.load_demo_range(address, settings)
    except (ApiProblem, aiohttp.ClientError, TimeoutError) as error:
        raise Refusal(
            f"The demo range could not be loaded ({str(error) or 'no answer'}); the next start goes on with it "
            f"(see {settings.home / 'log'})."
        ) from error


def demo_accounts(settings: Settings) -> Path:
    """Return where the demo range keeps its accounts: a list of objects with role, login and password."""
    return settings.home / "demo_accounts.json"


def _accounts(path: Path) -> str:
    if not path.exists():
        return ""
    rows = [(each["role"], each["login"], each["password"]) for each in json.loads(path.read_text())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return f"  demo accounts (role, login, password; kept in {path}):\n    " + "\n    ".join(lines) + "\n"


async def _wait_until_ready(address: str, logs: Path) -> None:
    deadline_s = time.monotonic() + READY_S
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while (answer := await ask(session, f"{address}/health/ready")) != "200":
            if time.monotonic() > deadline_s:
                raise Refusal(f"The gateway was not ready within {READY_S:.0f} s ({answer}): see {logs}.")
            await asyncio.sleep(LOOK_S)
