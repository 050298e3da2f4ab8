"""Pages held against what is known of the time that was replayed."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.base import Change, Estimate
from driftline.backtest import WEEK_NS, backtest, poisson_interval
from driftline.export.period import Period

HOUR = 3600 * 10**9
LEVEL = Estimate(0.5, 0.4, 0.6, 100.0)
PAGE = Change(
    *("a", "active", "m", "m", "mean", {}, "down", "mean", 2.0, 1.0, 10 * HOUR, 9 * HOUR, 8 * HOUR, 9 * HOUR),
    *(LEVEL, LEVEL, LEVEL),
)

ALL = Period(0, 10**6 * HOUR)


def test_an_incident_is_told_by_the_first_page_after_it() -> None:
    later = replace(PAGE, id="b", detected_ns=20 * HOUR)
    found = backtest([later, PAGE], [8 * HOUR, 9 * HOUR, 10 * HOUR + 1, 21 * HOUR], [], 4 * HOUR, ALL)
    assert [(one.page, one.delay_seconds, one.onset_held) for one in found.incidents] == [
        ("a", 7200.0, True),
        ("a", 3600.0, True),
        (None, None, False),
        (None, None, False),
    ]
    assert found.pages == 2


def test_what_is_not_paged_tells_of_nothing() -> None:
    note = replace(PAGE, paged=False)
    found = backtest([note], [9 * HOUR], [Period(0, WEEK_NS)], 4 * HOUR, ALL)
    assert found.incidents[0].page is None
    assert found.quiet[0].pages == 0


def test_pages_of_a_quiet_time_are_false_and_their_rate_has_an_interval() -> None:
    pages = [replace(PAGE, detected_ns=n * WEEK_NS // 2) for n in (1, 2, 3, 9)]
    (quiet,) = backtest(pages, [], [Period(0, 2 * WEEK_NS)], HOUR, ALL).quiet
    assert (quiet.pages, quiet.per_week) == (3, 1.5)
    assert (quiet.lower, quiet.upper) == pytest.approx((0.619 / 2, 8.767 / 2), abs=0.001)


def test_where_there_is_no_traffic_nothing_is_said_and_half_a_window_counts_half() -> None:
    traffic = Period(WEEK_NS, 3 * WEEK_NS)
    windows = [Period(0, WEEK_NS), Period(0, 2 * WEEK_NS), Period(2 * WEEK_NS, 9 * WEEK_NS)]
    page = replace(PAGE, detected_ns=WEEK_NS + HOUR)
    found = backtest([page], [0, 2 * WEEK_NS, 5 * WEEK_NS], windows, HOUR, traffic)
    assert [one.covered for one in found.incidents] == [False, True, False]
    assert [(one.pages, one.per_week) for one in found.quiet] == [(0, None), (1, 1.0), (0, 0.0)]
    assert [(one.from_ns, one.to_ns) for one in found.quiet][1:] == [
        (WEEK_NS, 2 * WEEK_NS),
        (2 * WEEK_NS, 3 * WEEK_NS),
    ]
    assert found.quiet[2].upper == pytest.approx(3.689, abs=0.001), "of one week, not of seven"


@given(st.integers(0, 400))
def test_the_interval_holds_means_that_make_the_count_no_rarer_than_a_fortieth(count: int) -> None:
    def at_most(k: int, mean: float) -> float:
        return sum(math.exp(i * math.log(mean) - mean - math.lgamma(i + 1)) for i in range(k + 1))

    lower, upper = poisson_interval(count)
    assert lower <= count <= upper
    assert at_most(count, upper) == pytest.approx(0.025, rel=1e-6)
    if count:
        assert 1 - at_most(count - 1, lower) == pytest.approx(0.025, rel=1e-5)
