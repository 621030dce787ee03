"""Passwords: which are refused, and how the others are hashed, a few at a time."""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import argon2

from bus.errors import Later, Rejected
from handlers.auth.spelling import one_spelling

LEAST: Final = 8
MOST: Final = 128
FEWEST_DIFFERENT: Final = 4
LEAST_OF_DIGITS: Final = 14  # digits and signs alone are birthdays and keys in a row

# Few hashes run at once, so that the rest of the process stays quick; few wait, so that nobody waits for long.
THREADS: Final = 2
MOST_WAITING: Final = 64
RETRY_AFTER_S: Final = 2.0

# What anybody would try first: with whatever digits and signs stand before or behind it.
COMMON: Final = frozenset(
    """
    abc abcd abcde abcdef abcdefg abcdefgh abcdefghi access admin administrator adobe alexander amanda andrea
    andrew angel anthony apple arsenal asdf asdfasdf asdfgh asdfghjk asdfghjkl ashley azerty babygirl barcelona
    baseball basketball batman beautiful blink butterfly buster changeit changeme charlie cheese chelsea chocolate
    computer cookie daniel default demo diamond dolphin donald dragon elephant example facebook family fishing
    flower football forever freedom friend friends fuckyou gfhjkm ginger google guest hannah harley hello hockey
    hunter iloveyou internet jennifer jessica jordan joshua killer letmein liverpool login london lovely
    loveme manchester marina marlboro martin master matrix matthew maverick mercedes michael michelle monkey
    mustang myspace naruto nicole nothing ocean ohmygod oracle orange parol passwd passw0rd password passwort
    pepper pokemon princess purple qazwsx qazwsxedc qwerty qwertyu qwertyui qwertyuiop qwertz qwertzuiop
    rainbow ranger robert root samantha samsung secret shadow slipknot snoopy soccer spiderman starwars summer
    sunshine superman system taylor tennis test testing thomas thunder tigger tinkerbell trustno trustnoone user
    welcome whatever william winter yankees zaqwsx zxcvbn zxcvbnm
    """.split()  # noqa: SIM905 - a list would fill three pages
)
CONTEXT: Final = frozenset(
    """
    airpistol airrifle armory armoury booking centrefire firingline gewehr pistol pistole range rifle schuetze
    schuetzenverein scheibe shooter shooting shootingrange sniper target trigger weapon
    """.split()  # noqa: SIM905 - the same
)
AROUND: Final = "0123456789 !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~§€£"

T = TypeVar("T")


class PasswordLength(Rejected):
    """A password has from {least} to {most} characters."""


class PasswordGuessable(Rejected):
    """This password is among the first that anybody would try: take a longer one, of several words."""


class PasswordTellsWhoYouAre(Rejected):
    """A password must not contain your login name, or be your name."""


def check(password: str, login: str, display_name: str) -> None:
    """Raises when a password must not be used."""
    if not LEAST <= len(password) <= MOST:
        raise PasswordLength(least=LEAST, most=MOST)
    folded = one_spelling(password)
    core = folded.strip(AROUND)
    only_digits = not core and len(folded) < LEAST_OF_DIGITS
    if only_digits or len(set(folded)) < FEWEST_DIFFERENT or core in COMMON or core in CONTEXT:
        raise PasswordGuessable
    name = one_spelling(login).partition("@")[0]
    if (len(name) >= FEWEST_DIFFERENT and name in folded) or core in one_spelling(display_name).split():
        raise PasswordTellsWhoYouAre


class Hasher:
    """Argon2id in threads of its own; raises Later when too many wait already."""

    def __init__(self, *, time_cost: int = 2, memory_kib: int = 19_456, most_waiting: int = MOST_WAITING) -> None:
        self._argon2 = argon2.PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._most = THREADS + most_waiting
        self._begun = 0
        self._nobody = self._argon2.hash(secrets.token_hex())

    def must_have_room(self) -> None:
        """Raises Later when too many wait already."""
        if self._begun >= self._most:
            raise Later(RETRY_AFTER_S)

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._argon2.hash(_same_everywhere(password)))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether this is the password; without a hash, no, in the same time."""
        right = await self._run(lambda: self._verify(password_hash or self._nobody, password))
        return right and password_hash is not None

    def outdated(self, password_hash: str) -> bool:
        """Whether it was made with weaker parameters than those of now."""
        return self._argon2.check_needs_rehash(password_hash)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._argon2.verify(password_hash, _same_everywhere(password))
        except argon2.exceptions.VerifyMismatchError:
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        self.must_have_room()
        self._begun += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._begun -= 1


def _same_everywhere(password: str) -> str:
    """One form for the same characters, whatever keyboard they come from."""
    return unicodedata.normalize("NFC", password)
