"""Waits for a condition, with a deadline."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

import psutil

T = TypeVar("T")


def wait_until(condition: Callable[[], T], within_s: float = 10) -> T:
    """Return the condition's first true value, or fail."""
    deadline_s = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {condition}"
        time.sleep(0.01)
    return value


def is_gone(pid: int) -> bool:
    """Say whether the process has ended; one that nobody has collected yet counts as gone."""
    try:
        os.kill(pid, 0)
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return True
    except PermissionError:
        return False
