"""Whose results are compared."""

from __future__ import annotations

from collections.abc import Sequence

from bus.service import Effect, Given
from handlers.stats.commands import ShareResults
from handlers.stats.events import ResultsShared
from handlers.stats.model import rules


def share_results(_: None, asked: ShareResults, given: Given) -> Sequence[Effect]:
    """Nobody decides it for anybody else."""
    if given.person != asked.person:
        raise rules.NotForOthers
    return [ResultsShared(person=asked.person, shared=asked.shared, decided_at=given.at)]
