"""Says whether a process is at work, by exit code: what a container's health check asks."""

import asyncio
from typing import Final

import aiohttp
import click

from bus.errors import Refusal
from ops.address import address_of, ask
from ops.database import connected
from ops.services import SERVICES
from ops.settings import Settings

ANSWER_S: Final = 4.0


@click.command()
@click.argument("name", type=click.Choice(["gateway", *SERVICES]))
def health(name: str) -> None:
    """Say whether the gateway or a service is at work: exit code 0 if it is, 1 if it is not.

    The gateway is asked over HTTP. A service is at work while its living workers hold all its partitions.
    """
    settings = Settings.from_environment()
    asyncio.run(_check_gateway(settings) if name == "gateway" else _check_service(settings, name))
    click.echo(f"{name} is at work.")


async def _check_gateway(settings: Settings) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as session:
        answer = await ask(session, f"{address_of(settings)}/health/ready")
    if answer != "200":
        raise Refusal(f"The gateway is not at work: {answer}.")


async def _check_service(settings: Settings, name: str) -> None:
    async with connected(settings.dsn(name)) as connection:
        at_work = await connection.fetchval("SELECT bus.at_work($1)", name)
    if not at_work:
        raise Refusal(f"{name} is not at work: no living worker holds all that is its to do, alone or with others.")
