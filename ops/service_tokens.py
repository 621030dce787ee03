"""How a process comes to its service token, and how it checks those of others."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import aiohttp
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from bus.connection import Pool
from bus.producer import AuthAway, ServiceToken
from bus.tokens import ServiceClaims, TokenRefused, UnknownKey, Verifier
from bus.trust import Statement
from handlers.auth.views import public_keys

TIMEOUT_S: Final = 5.0
OPENS_AFTER: Final = 5  # failures in a row
OPEN_FOR_S: Final = 2.0
RELOAD_AT_MOST_EVERY_S: Final = 1.0


class AuthClient:
    """Asks auth's endpoint for service tokens; a breaker keeps an ailing auth from being hammered."""

    def __init__(self, address: str, service: str, secret: str) -> None:
        self._address = address
        self._service = service
        self._secret = secret
        self._breakers = AsyncCircuitBreakerFactory(default_threshold=OPENS_AFTER, default_ttl=OPEN_FOR_S)

    async def obtain(self, boot: UUID, names: Sequence[str]) -> ServiceToken:
        request = {"service": self._service, "secret": self._secret, "boot": str(boot), "names": list(names)}
        try:
            async with await self._breakers.get_breaker("auth"):
                token = await self._post(request)
        except (OSError, aiohttp.ClientError, TimeoutError, OpenedState) as away:
            raise AuthAway(f"{type(away).__name__}: {away}") from away
        claims = _unverified(token)
        return ServiceToken(token, claims.token_id, claims.issued_at, claims.expires_at)

    async def _post(self, request: Mapping[str, object]) -> str:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"{self._address}/service-tokens", json=request, allow_redirects=False) as response,
        ):
            response.raise_for_status()
            token: str = (await response.json())["token"]
            return token


def _unverified(token: str) -> ServiceClaims:
    """Reads a token that auth itself just handed over; whoever relies on it verifies the signature."""
    payload = token.split(".")[1]
    return ServiceClaims.model_validate_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


class Statements:
    """Verifies service tokens with the keys that auth published, looking again for a key not seen before."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._verifier = Verifier()
        self._loading = asyncio.Lock()
        self._loaded_at = -RELOAD_AT_MOST_EVERY_S

    async def verify(self, token: str) -> Statement | None:
        try:
            return self._verifier.verify_statement(token)
        except UnknownKey:
            await self._load()
        except TokenRefused:
            return None
        try:
            return self._verifier.verify_statement(token)
        except TokenRefused:
            return None

    async def _load(self) -> None:
        """Reads the keys again, at most once a second: whoever comes sooner waits, since its key may be newer."""
        async with self._loading:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, self._loaded_at + RELOAD_AT_MOST_EVERY_S - loop.time()))
            async with self._pool.acquire(timeout=TIMEOUT_S) as connection:
                self._verifier.replace(await public_keys(connection))
            self._loaded_at = loop.time()
