import stat
from pathlib import Path

import pytest

from bus.errors import Refusal
from handlers import wiring
from ops.credentials import NAMES, load, load_or_make, superuser_password
from ops.services import SERVICES


def test_each_role_has_one_of_its_own_that_only_we_may_read(tmp_path: Path) -> None:
    made = load_or_make(tmp_path)
    assert tuple(made) == NAMES
    assert all(made[name].role == f"firingline_{name}" for name in NAMES)
    assert len({each.password for each in made.values()} | {each.secret for each in made.values()}) == 2 * len(NAMES)
    assert all(len(each.secret) >= 43 for each in made.values()), "256 bits in base64"
    folder = tmp_path / "credentials"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name for path in folder.iterdir()} == {f"{name}.json" for name in NAMES}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_every_service_has_one() -> None:
    assert tuple(wiring.SERVICES) == SERVICES
    assert set(wiring.may_append()) <= set(NAMES)


def test_they_are_made_once(tmp_path: Path) -> None:
    made = load_or_make(tmp_path)
    (tmp_path / "credentials" / "stats.json").unlink()
    again = load_or_make(tmp_path)
    assert again["stats"] != made["stats"]
    assert {name: each for name, each in again.items() if name != "stats"} == {
        name: each for name, each in made.items() if name != "stats"
    }
    assert superuser_password(tmp_path) == superuser_password(tmp_path)


def test_one_that_is_missing_or_no_credential_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="run `firingline migrate` first"):
        load(tmp_path, "booking")
    load_or_make(tmp_path)
    for text in ("", "[]", '{"role": "firingline_booking"}'):
        (tmp_path / "credentials" / "booking.json").write_text(text)
        with pytest.raises(Refusal, match="is not a credential"):
            load(tmp_path, "booking")


def test_a_place_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "credentials").touch()
    with pytest.raises(Refusal, match=r"owner.json cannot be written \(File exists\): see FIRINGLINE_HOME"):
        load_or_make(tmp_path)
