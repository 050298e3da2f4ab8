"""Durations and sizes as people write them: what is written reads back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.settings import parse_duration, parse_size
from driftline.units import duration_text, size_text


@given(st.integers(0, 10**12))
def test_a_duration_reads_back_as_it_was_written(milliseconds: int) -> None:
    assert parse_duration(duration_text(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, abs=1e-6)


@given(st.integers(0, 2**53))
def test_a_size_reads_back_as_it_was_written(size: int) -> None:
    assert parse_size(size_text(size)) == size
