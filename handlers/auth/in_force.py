"""By which rules it is decided at this moment."""

from __future__ import annotations

from bus.connection import Connection
from handlers.auth.rule_set import RuleSet
from handlers.auth.rule_sets import GENERIC


async def rules_in_force(connection: Connection) -> RuleSet:
    """The version that took effect last; the generic rules until one was published."""
    body = await connection.fetchval(
        """
        SELECT body FROM rule_set WHERE in_force_since IS NOT NULL ORDER BY in_force_since DESC, version DESC LIMIT 1
        """
    )
    return GENERIC if body is None else RuleSet.model_validate_json(body)
