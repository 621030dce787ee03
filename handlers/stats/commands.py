"""What stats asks itself."""

from __future__ import annotations

from uuid import UUID

from bus.message import Command


class PublishInterim(Command, name="stats.publish-interim", stream="session:{session}", about="session"):
    """Say how a session stands, if shots came since it was last said."""

    session: UUID
