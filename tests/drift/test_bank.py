"""Detectors by the thousand compute what one alone does."""

import numpy as np
import pytest

from drift.bank import MeanBank
from drift.detectors.mean import MeanDetector
from drift.testing import mean_evidence


@pytest.mark.parametrize("dependent", [True, False])
@pytest.mark.parametrize("direction", ["down", "up", "both"])
@pytest.mark.parametrize("rate", [0.5, 0.95])
def test_a_series_of_the_bank_has_the_evidence_of_a_detector(direction: str, rate: float, dependent: bool) -> None:
    rng = np.random.default_rng(3)
    values = (rng.random((4, 900)) < rate) * 1.0
    values[2:, 1:] = np.where(rng.random((2, 899)) < 0.5, values[2:, :-1], values[2:, 1:])  # two that repeat themselves
    warmups, values = values[:, :300], values[:, 300:]
    weights, starts = rng.uniform(0.2, 1.0, values.shape), rng.uniform(0.0, 2.0, values.shape)
    twin = mean_evidence(warmups, values, direction, weights=weights, starts=starts, dependent=dependent)
    for row in range(4):
        watch = MeanDetector(direction=direction, weight_cap=1.0, season="none", dependent=dependent)
        watch.warmup(warmups[row].tolist())
        for t in range(values.shape[1]):
            watch.update(values[row, t], weights[row, t], start=starts[row, t])
            assert watch.evidence == pytest.approx(twin[row, t], rel=1e-5)  # its blocks are in single precision


def test_series_that_get_no_point_stay_as_they_are() -> None:
    rng = np.random.default_rng(4)
    bank = MeanBank(3)
    bank.warmup((rng.random((3, 200)) < 0.9) * 1.0)
    for _ in range(50):
        bank.update(np.array([0.0]), ids=[1])
    assert bank.evidence[0] == bank.evidence[2] == 0.0
    assert bank.evidence[1] > 1e5
    bank.clear([1])
    assert bank.evidence[1] == 0.0


def test_a_series_takes_half_a_kilobyte_at_most() -> None:
    assert MeanBank(1000).nbytes <= 512 * 1000
