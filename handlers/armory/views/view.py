"""What all answers of the armory have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """An answer of the armory."""

    model_config = ConfigDict(extra="forbid", frozen=True)
