import asyncio

import pytest

from bus.errors import Later, Rejected
from handlers.auth.passwords import (
    Hasher,
    PasswordGuessable,
    PasswordLength,
    PasswordTellsWhoYouAre,
    check,
)
from tests.handlers.auth.counter import quick_hasher

WIDE = "".join(chr(ord(letter) + 0xFEE0) for letter in "password1")  # as Japanese keyboards write it
LOGIN, NAME = "anna.schmidt@example.org", "Anna Schmidt-Öztürk"


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "Tr0ub4dor&3",
        "日本語のパスワード",
        "        spaces count too",
        "x9$kQ2!m",
        "48151623421337",
        "y" * 60 + "abcdefgh" * 8 + "z" * 4,
    ],
)
def test_good_passwords_are_taken(password: str) -> None:
    check(password, LOGIN, NAME)


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("", PasswordLength),
        ("1234567", PasswordLength),
        ("a" * 129, PasswordLength),
        ("aaaaaaaaaaaa", PasswordGuessable),
        ("12345678", PasswordGuessable),
        ("1234567890", PasswordGuessable),
        ("19-06-1984", PasswordGuessable),
        ("PASSWORD", PasswordGuessable),
        ("password1", PasswordGuessable),
        ("...Qwertyuiop2026!", PasswordGuessable),
        (WIDE, PasswordGuessable),
        ("Firingline2026", PasswordGuessable),
        ("schuetzenverein!", PasswordGuessable),
        ("anna.schmidt", PasswordTellsWhoYouAre),
        ("I am ANNA.SCHMIDT!", PasswordTellsWhoYouAre),
        ("schmidt-öztürk1", PasswordTellsWhoYouAre),
    ],
)
def test_poor_passwords_are_refused(password: str, rule: type[Rejected]) -> None:
    with pytest.raises(rule):
        check(password, LOGIN, NAME)


async def test_a_password_is_recognised_and_no_other() -> None:
    hasher = quick_hasher()
    hashed = await hasher.hash("Zoë's password")
    assert await hasher.verify(hashed, "Zoë's password")
    assert await hasher.verify(hashed, "Zoe\u0308's password")  # the same letters from another keyboard
    assert not await hasher.verify(hashed, "zoë's password")
    assert not await hasher.verify(hashed, "Zoë's password ")
    assert not await hasher.verify(None, "Zoë's password")
    hasher.close()


async def test_long_passwords_count_to_their_end() -> None:
    hasher = quick_hasher()
    hashed = await hasher.hash("a" * 127 + "b")
    assert not await hasher.verify(hashed, "a" * 127 + "c")
    hasher.close()


async def test_passwords_are_hashed_as_strongly_as_asked() -> None:
    hasher = Hasher()
    hashed = await hasher.hash("correct horse battery staple")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert not hasher.outdated(hashed)
    weak = quick_hasher()
    assert hasher.outdated(await weak.hash("correct horse battery staple"))
    hasher.close()
    weak.close()


async def test_only_so_many_wait() -> None:
    hasher = quick_hasher(most_waiting=3)
    answers = await asyncio.gather(*(hasher.hash("a password") for _ in range(9)), return_exceptions=True)
    assert [isinstance(answer, Later) for answer in answers] == [False] * 5 + [True] * 4
    assert await hasher.verify(await hasher.hash("a password"), "a password")
    hasher.close()
