"""Our own measurements: declared once, bounded in number, exact under threads."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.telemetry import OTHER, Counter, Exemplar, Telemetry

THREADS, EACH = 8, 3000


def test_asking_twice_for_a_name_gives_the_same_instrument() -> None:
    telemetry = Telemetry()
    first = telemetry.counter("driftline_a", "Help.", ["x"])
    assert telemetry.counter("driftline_a", "", ["x"]) is first
    assert telemetry.instruments() == [first]
    assert first.help == "Help."


@pytest.mark.parametrize(
    "again",
    [
        lambda t: t.gauge("driftline_a", "", ["x"]),
        lambda t: t.histogram("driftline_a", "", ["x"], buckets=(1,)),
        lambda t: t.counter("driftline_a", "", ["y"]),
        lambda t: t.counter("driftline_a", "", ["x", "y"]),
        lambda t: t.counter("driftline_a", ""),
    ],
    ids=["gauge", "histogram", "other_label", "more_labels", "no_label"],
)
def test_a_name_cannot_be_declared_for_two_things(again: Callable[[Telemetry], object]) -> None:
    telemetry = Telemetry()
    telemetry.counter("driftline_a", "Help.", ["x"])
    with pytest.raises(ValueError, match="driftline_a is declared twice, with other labels or of another kind"):
        again(telemetry)


def test_instruments_are_listed_by_name() -> None:
    telemetry = Telemetry()
    for name in ("driftline_c", "driftline_a", "driftline_b"):
        telemetry.gauge(name, "Help.")
    assert [one.name for one in telemetry.instruments()] == ["driftline_a", "driftline_b", "driftline_c"]


def test_a_label_that_folds_must_be_one_of_the_labels() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        Telemetry().counter("driftline_a", "Help.", ["x"], fold=["y"])


@pytest.mark.parametrize("labels", [(), ("a", "b")])
def test_the_labels_must_be_as_many_as_declared(labels: tuple[str, ...]) -> None:
    telemetry = Telemetry()
    with pytest.raises(ValueError, match=r"driftline_a takes the labels \('x',\), got"):
        telemetry.counter("driftline_a", "Help.", ["x"]).add(1, *labels)
    with pytest.raises(ValueError, match="driftline_b takes the labels"):
        telemetry.gauge("driftline_b", "Help.", ["x"]).set(1, *labels)
    with pytest.raises(ValueError, match="driftline_c takes the labels"):
        telemetry.histogram("driftline_c", "Help.", ["x"], buckets=(1,)).observe(1, *labels)


def test_past_the_limit_the_labels_that_fold_become_other_and_the_rest_stay() -> None:
    counter = Telemetry(limit=2).counter("driftline_a", "Help.", ["scorer", "service"], fold=["service"])
    for service in ("a", "b", "c", "d", "a"):
        counter.add(1, "refusal", service)
    assert counter.values() == {("refusal", "a"): 2, ("refusal", "b"): 1, ("refusal", OTHER): 2}
    assert counter.folded == 2


def test_an_instrument_that_folds_nothing_is_not_bounded_by_the_limit() -> None:
    counter = Telemetry(limit=1).counter("driftline_a", "Help.", ["reason"])
    counter.add(1, "x")
    counter.add(1, "y")
    assert counter.values() == {("x",): 1, ("y",): 1}
    assert counter.folded == 0


def test_what_was_folded_is_published_by_the_name_to_query() -> None:
    telemetry = Telemetry(limit=1)
    telemetry.count_folds()
    counter = telemetry.counter("driftline_a", "Help.", ["x"], fold=["x"])
    gauge = telemetry.gauge("driftline_b_bytes", "Help.", ["x"], fold=["x"])
    histogram = telemetry.histogram("driftline_c_seconds", "Help.", ["x"], fold=["x"], buckets=(1,))
    unbounded = telemetry.counter("driftline_d", "Help.", ["reason"])
    for label in ("first", "second", "third"):
        counter.add(1, label)
        gauge.set(1, label)
        histogram.observe(1, label)
        unbounded.add(1, label)
    (folds,) = [one for one in telemetry.instruments() if one.name == "driftline_folded_updates"]
    assert isinstance(folds, Counter)
    assert folds.values() == {("driftline_a_total",): 2, ("driftline_b_bytes",): 2, ("driftline_c_seconds",): 2}


def test_all_together_are_bounded_and_what_is_new_past_the_bound_is_folded() -> None:
    telemetry = Telemetry(max_series=6)
    first = telemetry.counter("driftline_a", "Help.", ["scorer", "service"], fold=["service"])
    second = telemetry.gauge("driftline_b", "Help.", ["service"], fold=["service"])
    histogram = telemetry.histogram("driftline_c", "Help.", ["service"], buckets=(1,), fold=["service"])
    few = telemetry.counter("driftline_d", "Help.", ["reason"])
    for service in ("a", "b"):
        first.add(1, "refusal", service)
    histogram.observe(0.5, "a")  # four series: no room for more
    for service in ("a", "b", "c"):
        second.set(1, service)
        first.add(1, "refusal", service)
        histogram.observe(0.5, service)
        few.add(1, service)
    assert first.values() == {("refusal", "a"): 2, ("refusal", "b"): 2, ("refusal", OTHER): 1}
    assert second.values() == {(OTHER,): 1}
    assert set(histogram.values()) == {("a",), (OTHER,)}
    assert set(few.values()) == {("a",), ("b",), ("c",)}, "what folds nothing is never refused"


def test_there_is_room_again_once_a_series_is_gone() -> None:
    telemetry = Telemetry(max_series=1)
    gauge = telemetry.gauge("driftline_a", "Help.", ["x"], fold=["x"])
    gauge.set(1, "a")
    gauge.remove("a")
    gauge.remove("a")
    gauge.set(1, "b")
    gauge.set(1, "c")
    assert set(gauge.values()) == {("b",), (OTHER,)}


def test_how_full_it_is_can_be_read_and_the_bound_can_be_moved() -> None:
    telemetry = Telemetry(max_series=3)
    telemetry.count_folds()
    counter = telemetry.counter("driftline_a", "Help.", ["x"], fold=["x"])
    series = telemetry.gauge("driftline_metric_series", "").values
    limit = telemetry.gauge("driftline_metric_series_limit", "").values
    assert (series(), limit()) == ({(): 2}, {(): 3})
    for label in ("a", "b", "c"):
        counter.add(1, label)
    assert set(counter.values()) == {("a",), (OTHER,)}
    assert series() == {(): 5}, "with `other`, and the one that counts what is folded"
    telemetry.limit_series(6)
    counter.add(1, "d")
    counter.add(1, "e")
    assert set(counter.values()) == {("a",), ("d",), (OTHER,)}
    assert (series(), limit()) == ({(): 6}, {(): 6})


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20), st.booleans()), max_size=80),
    st.integers(1, 10),
    st.integers(1, 30),
)
def test_no_order_of_updates_takes_the_series_past_the_bound(
    updates: list[tuple[int, int, bool]], limit: int, max_series: int
) -> None:
    telemetry = Telemetry(limit, max_series)
    telemetry.count_folds()
    gauges = [telemetry.gauge(f"driftline_{number}", "Help.", ["x"], fold=["x"]) for number in range(3)]
    for number, label, gone in updates:
        if gone:
            gauges[number].remove(str(label))
        else:
            gauges[number].set(1, str(label))
    kept = sum(len(gauge.values()) for gauge in gauges)
    (folds,) = [one for one in telemetry.instruments() if isinstance(one, Counter)]
    assert kept <= max(max_series - 2, 0) + 3, "`other` of each may be more"
    assert telemetry.gauge("driftline_metric_series", "").values() == {(): 2 + kept + len(folds.values())}


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1000)), max_size=80), st.integers(1, 10))
def test_folding_never_loses_a_count_and_keeps_the_number_of_label_sets_bounded(
    adds: list[tuple[int, int]], limit: int
) -> None:
    counter = Telemetry(limit=limit).counter("driftline_a", "Help.", ["x"], fold=["x"])
    for label, amount in adds:
        counter.add(amount, str(label))
    assert counter.total() == sum(amount for _, amount in adds)
    assert len(counter.values()) <= limit + 1


def test_gauges_and_histograms_fold_too() -> None:
    telemetry = Telemetry(limit=1)
    gauge = telemetry.gauge("driftline_a", "Help.", ["x"], fold=["x"])
    histogram = telemetry.histogram("driftline_b", "Help.", ["x"], fold=["x"], buckets=(1,))
    for label in ("a", "b", "c"):
        gauge.set(len(label), label)
        histogram.observe(0.5, label)
    assert set(gauge.values()) == set(histogram.values()) == {("a",), (OTHER,)}
    assert sum(histogram.values()[OTHER,].counts) == 2


def test_a_gauge_that_is_removed_is_absent_and_not_zero() -> None:
    gauge = Telemetry().gauge("driftline_a", "Help.", ["x"])
    gauge.set(0, "a")
    assert gauge.values() == {("a",): 0}
    gauge.remove("a")
    gauge.remove("a")
    assert gauge.values() == {}


def test_a_value_on_a_bound_belongs_to_the_bucket_that_ends_there() -> None:
    histogram = Telemetry().histogram("driftline_a", "Help.", buckets=(0.5, 1))
    for value in (0, 0.5, 0.6, 1, 1.1):
        histogram.observe(value)
    (distribution,) = histogram.values().values()
    assert distribution.counts == [2, 2, 1]
    assert distribution.sum == pytest.approx(3.2)


def test_each_bucket_keeps_its_newest_exemplar() -> None:
    histogram = Telemetry().histogram("driftline_a", "Help.", buckets=(0.5,))
    old, new, high = (Exemplar(name * 16, "", value, 0) for name, value in (("aa", 0.1), ("bb", 0.2), ("cc", 0.9)))
    for exemplar in (old, high, new):
        histogram.observe(exemplar.value, exemplar=exemplar)
    histogram.observe(0.3)
    assert histogram.values()[()].exemplars == [new, high]


def test_what_was_read_does_not_change_afterwards() -> None:
    histogram = Telemetry().histogram("driftline_a", "Help.", buckets=(1,))
    histogram.observe(1)
    before = histogram.values()[()]
    histogram.observe(1)
    assert (before.counts, before.sum) == ([1, 0], 1)


def test_threads_lose_no_counts_and_make_no_second_instrument() -> None:
    telemetry = Telemetry()
    together = Barrier(THREADS)

    def work(_: int) -> None:
        together.wait()
        counter = telemetry.counter("driftline_a", "Help.", ["x"])
        histogram = telemetry.histogram("driftline_b", "Help.", buckets=(1,))
        for number in range(EACH):
            counter.add(1, "xy"[number % 2])
            histogram.observe(2)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # else a thread may be through before the next one begins
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))
    finally:
        sys.setswitchinterval(interval)
    counter = telemetry.counter("driftline_a", "Help.", ["x"])
    histogram = telemetry.histogram("driftline_b", "Help.", buckets=(1,))
    assert counter.values() == {("x",): THREADS * EACH / 2, ("y",): THREADS * EACH / 2}
    assert histogram.values()[()].counts == [0, THREADS * EACH]
    assert histogram.values()[()].sum == 2 * THREADS * EACH


def test_many_at_once_is_the_same_as_one_by_one() -> None:
    telemetry = Telemetry()
    one, many = (telemetry.counter(name, "", ["a"]) for name in ("one", "many"))
    for label in ("x", "y", "x"):
        one.add(2, label)
    many.add_all({("x",): 4, ("y",): 2})
    assert one.values() == many.values()
    single, batch = (telemetry.histogram(name, "", ["a"], buckets=(1, 2)) for name in ("single", "batch"))
    exemplars = [Exemplar("t", f"{number}", float(number), 0) for number in range(4)]
    for exemplar in exemplars:
        single.observe(exemplar.value, "x", exemplar=exemplar)
    batch.observe_all([exemplar.value for exemplar in exemplars], "x", exemplars=exemplars)
    assert single.values() == batch.values()


def test_many_at_once_fold_past_the_limit_too() -> None:
    telemetry = Telemetry(limit=1)
    counter = telemetry.counter("c", "", ["a"], fold=["a"])
    counter.add_all({("x",): 1, ("y",): 2, ("z",): 3})
    assert counter.values() == {("x",): 1, (OTHER,): 5}
