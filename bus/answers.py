"""The two answers every service can give to a command: that its rules refuse it, and that it failed."""

from __future__ import annotations

from uuid import UUID

from bus.fields import Text
from bus.message import Event


class CommandRejected(Event):
    """The command was refused by a rule; nothing changed."""

    command: UUID
    asked: str
    about: str
    refused_by: str
    rule: str
    rule_version: int
    reason: Text


class CommandFailed(Event):
    """The command could not be carried out because of a fault on our side; nothing changed."""

    command: UUID
    asked: str
    about: str
    reason: Text
