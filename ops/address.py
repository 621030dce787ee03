"""Where the gateway is found, and whether it answers there."""

import aiohttp

from ops.settings import Settings


def address_of(settings: Settings) -> str:
    """Return the gateway's URL as seen from this machine."""
    # "all addresses" can be listened on, but is none to ask
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


async def ask(session: aiohttp.ClientSession, url: str) -> str:
    """Return the status of the answer, or why there is none."""
    try:
        async with session.get(url) as response:
            return str(response.status)
    except (aiohttp.ClientError, TimeoutError) as error:
        return str(error) or type(error).__name__
