"""How many shots a second are scored in one call, exact at every ring's edge."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bench.figures import Measured, Size, Tell, in_turns
from handlers.stats.faces import FACES, Face
from handlers.stats.scoring import score
from ops.settings import Settings

SHOTS: Final = 1_000_000
SPREAD_UM: Final = 20_000
FACE: Final = "air-pistol-10m"

Lengths = npt.NDArray[np.int64]


async def scoring(server: Settings, size: Size, tell: Tell) -> Measured:
    """A million shots on the air pistol face, beside the same rule in floating point, which errs at the edges."""
    del server
    dice = np.random.default_rng(1)
    x, y = (dice.normal(0, SPREAD_UM, SHOTS).astype(np.int64) for _ in "xy")
    face = FACES[FACE]
    ours, baseline = await in_turns(
        size.rounds,
        partial(_rate, lambda: score(face, x, y), size.seconds),
        partial(_rate, lambda: _in_floats(face, x, y), size.seconds),
        tell,
    )
    return Measured(ours, baseline, {"shots": SHOTS, "seconds": size.seconds})


async def _rate(work: Callable[[], Any], seconds: float, _number: int) -> float:
    return await asyncio.to_thread(_timed, work, seconds)


def _timed(work: Callable[[], Any], seconds: float) -> float:
    began_s, done = time.perf_counter(), 0
    while not done or time.perf_counter() - began_s < seconds:
        work()
        done += SHOTS
    return done / (time.perf_counter() - began_s)


def _in_floats(face: Face, x: Lengths, y: Lengths) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    distance = np.hypot(x, y)
    inside = 11 - distance / face.ten_reach_um
    outside = 10 - (distance - face.ten_reach_um) / (face.step_um / 2)
    found = np.minimum(np.floor(np.where(distance <= face.ten_reach_um, inside, outside) * 10) / 10, 10.9)
    return np.where(found < face.lowest, 0.0, found), distance <= face.inner_ten_um
