"""How things end that do not go well: refusals to run, rejections by the business, and what is only away."""

from __future__ import annotations

import re
from typing import Any, ClassVar


class Refusal(Exception):  # noqa: N818 - it says no to a person; it is not a fault
    """Something cannot be done, for a reason a person can mend; the message is that one sentence."""


class Rejected(Exception):  # noqa: N818 - a decision, not a fault
    """The business says no: final, recorded, and shown to whoever asked.

    A subclass is one rule. Its docstring's first line is the sentence shown, with the facts given to the
    constructor filled in; `rule` is its stable name and `version` grows when its meaning changes.
    """

    version: ClassVar[int] = 1

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(self.reason)

    @property
    def rule(self) -> str:
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(self).__name__).lower()

    @property
    def reason(self) -> str:
        sentence = (type(self).__doc__ or self.rule).partition("\n")[0]
        return sentence.format(**self.facts)


class Later(Exception):  # noqa: N818 - an outcome, not a fault
    """What this needs is away for the moment; the message waits and the try is not counted."""

    def __init__(self, after_s: float) -> None:
        super().__init__(f"again after {after_s} s")
        self.after_s = after_s


class Blocked(Exception):  # noqa: N818 - a reason to wait
    """A message may not be attempted now; the text is what it waits for, and the end of that is when it goes on."""


class DependencyFailed(Exception):  # noqa: N818 - what went wrong is its cause
    """What a handler depends on did not do what was asked of it."""


class LeaseLost(Exception):  # noqa: N818 - it tells the worker to start over
    """Somebody else does this work now; nothing of the batch at hand was written."""


class UnknownMessage(Exception):  # noqa: N818
    """A message's name or schema is newer than this code; it waits until newer code comes."""
