"""What becomes of a change: over, the new normal, or worse."""

import pytest

from tests.drift.test_monitor import feed, opened, traffic, watcher


def test_a_recovered_series_is_resolved_and_can_change_again() -> None:
    changes = feed(watcher(), traffic([(2000, 0.95), (500, 0.75), (1500, 0.95), (500, 0.7)]))
    resolved = [change for change in changes if change.status == "resolved"]
    assert [change.reason for change in resolved] == ["recovered"]
    first, second = opened(changes)
    assert resolved[0].id == first.id != second.id
    assert second.before.value == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_what_was_bad_for_a_short_time_recovers_as_well(seed: int) -> None:
    """It takes more good points to say so than bad ones came after the detection."""
    changes = feed(watcher({"watch": "grounded"}), traffic([(2000, 0.95), (60, 0.6), (800, 0.95)], seed))
    assert [change.reason for change in changes if change.status == "resolved"] == ["recovered"]
    assert len({change.id for change in changes}) == 1


def test_what_stays_bad_does_not_recover() -> None:
    """At most one false recovery in 10,000 points is promised."""
    for seed, level in enumerate((0.6, 0.8, 0.88)):
        changes = feed(watcher({"watch": "grounded"}), traffic([(2000, 0.95), (6000, level)], seed))
        assert opened(changes)
        assert [change for change in changes if change.status == "resolved"] == []


def test_a_change_that_lasts_becomes_the_new_normal() -> None:
    watch = watcher({"watch": "grounded", "adopt_after": "2h"})
    changes = feed(watch, traffic([(2000, 0.95), (4000, 0.75), (600, 0.5)]))
    first, second = opened(changes)
    ends = [change for change in changes if change.status == "resolved"]
    assert (ends[0].id, ends[0].reason) == (first.id, "adopted")
    assert second.before.value == pytest.approx(0.75, abs=0.03)


def test_a_second_drop_is_told_while_the_first_lasts() -> None:
    changes = feed(watcher(), traffic([(2000, 0.95), (1500, 0.8), (400, 0.4)]))
    assert len(opened(changes)) == 1
    assert changes[-1].after.value == pytest.approx(0.4, abs=0.12)
    assert changes[-1].before.value == pytest.approx(0.95, abs=0.02)
