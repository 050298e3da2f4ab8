"""Every registered detector keeps the contract."""

import pytest

from collector.core.component import names
from drift.base import DETECTORS, detector_factory
from drift.testing import check_detector


def test_the_built_in_detectors_are_registered() -> None:
    assert set(names(DETECTORS)) >= {
        *("mean", "rank", "shape", "threshold", "burn_rate"),
        *("adwin", "page_hinkley", "kswin", "ddm", "hddm_a", "hddm_w"),
    }


@pytest.mark.parametrize("name", names(DETECTORS))
def test_a_registered_detector_keeps_the_contract(name: str) -> None:
    check_detector(detector_factory(name))
