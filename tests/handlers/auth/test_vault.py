import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.auth.vault import Purpose, Seal, Unreadable, Vault

KEY, OTHER = bytes(32), bytes(range(32))


@given(st.binary(max_size=200), st.text(max_size=50))
def test_what_is_sealed_is_read_with_its_key_and_about_the_same(content: bytes, about: str) -> None:
    sealed = Seal(KEY).close(content, about)
    assert Seal(KEY).open(sealed, about) == content
    with pytest.raises(Unreadable):
        Seal(OTHER).open(sealed, about)
    with pytest.raises(Unreadable):
        Seal(KEY).open(sealed, about + "x")


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_no_changed_byte_goes_unnoticed(place: int, change: int) -> None:
    sealed = bytearray(Seal(KEY).close(b"Anna Schmidt", "profile"))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(Unreadable):
        Seal(KEY).open(bytes(sealed), "profile")


@pytest.mark.parametrize("length", [0, 1, 12, 13, 20])
def test_what_is_cut_short_is_unreadable(length: int) -> None:
    with pytest.raises(Unreadable):
        Seal(KEY).open(Seal(KEY).close(b"Anna Schmidt", "profile")[:length], "profile")


def test_equal_contents_are_sealed_unequally() -> None:
    seal = Seal(KEY)
    assert len({seal.close(b"Anna", "profile") for _ in range(100)}) == 100


def test_each_person_has_a_key_of_their_own() -> None:
    vault = Vault(KEY)
    seal, kept = vault.new_person_key("anna")
    sealed = seal.close(b"Anna", "profile")
    assert vault.person_key("anna", kept).open(sealed, "profile") == b"Anna"
    other, _ = vault.new_person_key("ben")
    with pytest.raises(Unreadable):
        other.open(sealed, "profile")
    with pytest.raises(Unreadable):  # one's key is no use as another's
        vault.person_key("ben", kept)


PURPOSES: tuple[Purpose, ...] = ("login", "attempt", "licence", "refresh")


def test_a_fingerprint_depends_on_key_purpose_and_parts() -> None:
    vault = Vault(KEY)
    prints = [vault.fingerprint(purpose, "anna") for purpose in PURPOSES]
    prints += [Vault(OTHER).fingerprint("login", "anna"), vault.fingerprint("login", "an", "na")]
    prints += [vault.fingerprint("login", "a", "nna"), vault.fingerprint("login", "ann")]
    assert len(set(prints)) == len(prints)
    assert {len(one) for one in prints} == {32}
    assert vault.fingerprint("login", "anna") == Vault(KEY).fingerprint("login", "anna")
