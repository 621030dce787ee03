"""What all of booking's answers have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """An answer of booking."""

    model_config = ConfigDict(extra="forbid", frozen=True)
