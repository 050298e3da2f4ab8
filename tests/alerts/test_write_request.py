"""The bytes of remote write, read back by protobuf's own classes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.write_request import ended, metadata, spell, timeseries
from collector.core.telemetry import Exemplar
from tests.alerts.prompb import WriteRequest, series

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NAMES = st.text("abcXYZ_09", min_size=1).map(lambda text: f"l{text}")
NUMBERS = st.floats(allow_nan=False)
TIMES = st.integers(-(2**63) // 10**6, 2**62)


@given(NAMES, st.dictionaries(NAMES, st.text(max_size=300)), NUMBERS, TIMES)
def test_what_is_written_is_read_by_protobuf(name: str, labels: dict[str, str], value: float, at_ms: int) -> None:
    (one,) = series(timeseries(spell({})(name, labels), value, at_ms))
    kept = {key: text.encode("utf-8", "backslashreplace").decode() for key, text in labels.items() if text}
    assert one.labels == tuple(sorted({**kept, "__name__": name}.items()))
    assert (one.value, one.at_ms, one.exemplars, one.is_end) == (value, at_ms, (), False)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1.7e308])
def test_no_number_is_taken_for_the_end_of_a_series(value: float) -> None:
    (one,) = series(timeseries(spell({})("a", {}), value, 1))
    assert not one.is_end
    assert one.value == value or (math.isnan(one.value) and math.isnan(value))


def test_the_end_of_a_series_is_prometheuss_own_nan() -> None:
    (one,) = series(ended(spell({})("a", {"b": "c"}), 7))
    assert (one.labels, one.at_ms, one.is_end) == ((("__name__", "a"), ("b", "c")), 7, True)


def test_labels_for_all_give_way_to_those_of_a_series() -> None:
    (one,) = series(timeseries(spell({"job": "driftline", "service": "x"})("a", {"service": "shop"}), 1, 1))
    assert one.labels == (("__name__", "a"), ("job", "driftline"), ("service", "shop"))


@given(NUMBERS.filter(math.isfinite), st.integers(0, 2**63))
def test_an_exemplar_goes_with_its_ids(value: float, at_ns: int) -> None:
    (one,) = series(timeseries(spell({})("a", {}), 1, 2, Exemplar(TRACE_ID, SPAN_ID, value, at_ns)))
    assert one.exemplars == (((("span_id", SPAN_ID), ("trace_id", TRACE_ID)), value, at_ns // 1_000_000),)


@pytest.mark.parametrize(
    "exemplar",
    [Exemplar("", SPAN_ID, 1.0, 1), Exemplar("no\nid", "", 1.0, 1), Exemplar(TRACE_ID, "", math.nan, 1)],
    ids=["no id", "no text of an id", "no number"],
)
def test_an_exemplar_that_is_none_is_left_out(exemplar: Exemplar) -> None:
    (one,) = series(timeseries(spell({})("a", {}), 1, 2, exemplar))
    assert one.exemplars == ()


def test_metadata_says_what_a_metric_is() -> None:
    message = metadata("counter", "driftline_scores_total", "Scores.", "") + metadata("odd", "x", "\ud800", "s")
    first, second = WriteRequest.FromString(message).metadata
    assert (first.type, first.metric_family_name, first.help, first.unit) == (
        1,
        "driftline_scores_total",
        "Scores.",
        "",
    )
    assert (second.type, second.help, second.unit) == (0, "\\ud800", "s")
