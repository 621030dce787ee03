import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from handlers.stats.change import ALL_ALIKE, TOO_FEW, compare

MEANS = st.lists(st.integers(0, 1_090).map(lambda hundredths: hundredths / 100), min_size=3, max_size=20)


@given(MEANS, MEANS)
def test_it_is_welchs_test(before: list[float], after: list[float]) -> None:
    found = compare(before, after)
    if found.absent is not None:
        assert found.absent == ALL_ALIKE
        assert len(set(before)) == len(set(after)) == 1
        return
    if min(len(set(before)), len(set(after))) == 1:  # the library warns of it
        return
    expected = ttest_ind(after, before, equal_var=False)
    ends = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), abs=1e-9)


@given(MEANS, MEANS)
def test_turned_round_it_is_the_opposite(before: list[float], after: list[float]) -> None:
    there, back = compare(before, after), compare(after, before)
    assert there.p == pytest.approx(back.p)
    assert there.absent == back.absent
    if there.difference is not None and there.low is not None and back.difference is not None:
        assert there.difference == pytest.approx(-back.difference)
        assert there.low == pytest.approx(-(back.high or 0))


def test_the_difference_lies_in_its_interval_and_no_change_is_called_real_at_the_stated_rate() -> None:
    """A thousand shooters whose days vary and who neither improve nor worsen, some of them with few sessions after."""
    rng = np.random.default_rng(7)
    found = [compare(rng.normal(9.2, 0.2, 12).tolist(), rng.normal(9.2, 0.4, 5).tolist()) for _ in range(1_000)]
    assert sum(bool(one.real) for one in found) / 1_000 == pytest.approx(0.05, abs=0.025)
    held = sum((one.low or 0) <= 0 <= (one.high or 0) for one in found)
    assert held / 1_000 == pytest.approx(0.95, abs=0.025)


def test_a_large_change_is_found() -> None:
    found = compare([8.9, 9.1, 9.0, 8.95, 9.05], [9.5, 9.6, 9.4, 9.55])
    assert found.real is True
    assert found.in_words == (
        "You shoot 0.51 rings a shot better than before, somewhere from 0.38 to 0.65. Without a real change, chance "
        "would bring so large a difference in less than 0.1 % of comparisons: it is probably real."
    )


def test_a_large_loss_is_called_one() -> None:
    found = compare([9.5, 9.6, 9.4, 9.55], [8.9, 9.1, 9.0, 8.95, 9.05])
    assert found.in_words.startswith("You shoot 0.51 rings a shot worse than before, somewhere from 0.38 to 0.65.")


def test_noise_is_called_noise() -> None:
    found = compare([8.7, 9.3, 9.0, 9.2], [9.1, 8.8, 9.4])
    assert found.real is False
    assert found.in_words.startswith("Your mean is 0.05 rings a shot better than before, but anything from 0.")
    assert found.in_words.endswith(" of comparisons: it is no evidence of a change.")


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [([], [], TOO_FEW), ([9.0, 9.1, 9.2], [9.0, 9.5], TOO_FEW), ([9.0] * 3, [9.5] * 4, ALL_ALIKE)],
)
def test_what_cannot_be_said_is_not_said(before: list[float], after: list[float], reason: str) -> None:
    found = compare(before, after)
    assert (found.p, found.real, found.difference, found.absent) == (None, None, None, reason)
    assert found.in_words == f"Nothing can be said about a change yet. {reason}"
