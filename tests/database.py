"""A fresh database for a test, copied from a template that has the whole schema."""

from dataclasses import dataclass

import asyncpg

from ops.settings import Settings


@dataclass(frozen=True, slots=True)
class Database:
    """One test's own database; `settings` are what a process working on it would be started with."""

    name: str
    settings: Settings

    def url(self, role: str) -> str:
        """Return the URL of a role by its short name ("booking"); "postgres" is the superuser."""
        return self.settings.admin_url if role == "postgres" else self.settings.dsn(role)

    async def connect(self, role: str) -> asyncpg.Connection:
        return await asyncpg.connect(self.url(role), timeout=5)
