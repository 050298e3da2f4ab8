"""Versions: since when each is seen, whatever comes later, after a restart too, and never without bound."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.engine import Entry
from collector.core.telemetry import Telemetry
from collector.slices import UNKNOWN
from driftline.versions import MOST_VERSIONS, SeenSince, VersionMetric
from driftline.view import View
from tests.driftline.test_view import sheet


def of(number: int, version: str | None, event_ns: int = 1000, service: str = "shop", **more: object) -> bytes:
    """The sheet of a trace of a version; of none if it is None."""
    told = {"service": service} if version is None else {"service": service, "version": version}
    return orjson.dumps({**orjson.loads(sheet(number, 0, event_ns)), "slices": told, **more})


def add(view: View, *values: bytes) -> None:
    first = view.next_offset("decisions")
    view.add_sheets(0, [Entry(first + number, value, b"", "") for number, value in enumerate(values)])


@pytest.fixture
def view(tmp_path: Path) -> View:
    return View(tmp_path / "view.db")


def test_a_version_is_seen_since_its_first_trace(view: View) -> None:
    add(view, of(1, "1", 2000), of(2, "1", 1500), of(3, "2", 3000))
    add(view, of(4, "1", 9000), of(5, "2", 9000, service="search"))
    assert sorted(view.versions()) == [("search", "2", 9000), ("shop", "1", 1500), ("shop", "2", 3000)]


@pytest.mark.parametrize("wrong_ns", [0, -(2**63), 2**62])
def test_a_wrong_clock_later_on_moves_nothing(view: View, wrong_ns: int) -> None:
    add(view, of(1, "1", 2000))
    add(view, of(2, "1", wrong_ns))
    assert view.versions() == [("shop", "1", 2000)]


def test_traces_that_tell_no_version_are_of_none(view: View) -> None:
    add(view, of(1, None), of(2, UNKNOWN))
    assert view.versions() == []


def test_versions_are_known_after_a_restart_and_forgotten_when_they_were_not_seen_for_the_retention(
    tmp_path: Path,
) -> None:
    view = View(tmp_path / "view.db")
    add(view, of(1, "1", 1000), of(2, "2", 2000), of(3, "1", 9000))
    view.close()
    again = View(tmp_path / "view.db")
    assert sorted(again.versions()) == [("shop", "1", 1000), ("shop", "2", 2000)]
    again.forget_before(5000)
    assert again.versions() == [("shop", "1", 1000)]


def test_there_are_never_more_than_so_many_and_those_that_are_seen_stay(view: View) -> None:
    add(view, of(1, "in use", 1000))
    for start in range(0, 3 * MOST_VERSIONS, 500):
        add(view, *(of(10 + start + n, f"{start + n}", 2000 + start + n) for n in range(500)), of(2, "in use", 10**6))
    found = view.versions()
    assert len(found) == MOST_VERSIONS
    assert SeenSince("shop", "in use", 1000) in found
    assert SeenSince("shop", f"{3 * MOST_VERSIONS - 1}", 2000 + 3 * MOST_VERSIONS - 1) in found


def values(telemetry: Telemetry) -> dict[tuple[str, ...], float]:
    (gauge,) = [one for one in telemetry.instruments() if one.name.startswith("driftline_version")]
    return dict(gauge.values())  # type: ignore[attr-defined]


@given(st.lists(st.dictionaries(st.tuples(st.text(), st.text()), st.integers(0, 2**62), max_size=5), max_size=4))
def test_the_metric_shows_what_is_known_and_nothing_else(known: list[dict[tuple[str, str], int]]) -> None:
    telemetry = Telemetry()
    metric = VersionMetric(telemetry)
    for versions in known:
        metric.show([SeenSince(*place, first_ns) for place, first_ns in versions.items()])
        assert values(telemetry) == {place: first_ns / 1e9 for place, first_ns in versions.items()}
