"""A change in words: held as whole texts, because every word of a page is read at night."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.compose import compose
from alerts.explain import Explanation, Wording, explain
from alerts.plain import clean
from drift.base import Carrier, Change, Coincidence, Estimate

GOLDEN = Path(__file__).parent / "golden"
WORDING = Wording("https://traces.example/{trace_id}")


def page(words: Explanation) -> str:
    return f"{words.summary}\n\n{words.description}\n"


def examples(make_change: Callable[..., Change]) -> dict[str, tuple[Change, Wording]]:
    over = {"status": "resolved", "resolved_ns": make_change().detected_ns + 3_600_000_000_000}
    return {
        "fell": (make_change(), WORDING),
        "recovered": (make_change(**over, reason="recovered"), WORDING),
        "no_data": (make_change(**over, reason="no_data"), WORDING),
        "mix": (
            make_change(
                carriers=[Carrier("model", "small", 0.7, 0.8, 0.79, False, 0.65, 0.05, 0.5)], clipped=0.04, traces=[]
            ),
            WORDING,
        ),
        "spread": (
            make_change(
                metric="latency",
                statistic="mean",
                direction="up",
                slice={},
                before=Estimate(1.234, 1.2, 1.3, 800),
                after=Estimate(2.5, 2.2, 2.8, 90),
                size=Estimate(1.266, 0.98, 1.55, 90),
                carriers=[],
                contrast_traces=[],
            ),
            Wording(units={"latency": "seconds"}),
        ),
        "topic": (
            make_change(
                metric="questions",
                statistic="share",
                direction="up",
                slice={"service": "shop", "questions": "unlike any"},
                before=Estimate(0.01, 0.006, 0.017, 2000),
                after=Estimate(0.093, 0.06, 0.14, 210),
                size=Estimate(0.083, 0.05, 0.13, 210),
                carriers=[Carrier("term", "voucher", 0.92, 0.001, 0.077, False, 0.92, 0.0, 0.077)],
                contrast_traces=[],
                coincidences=[],
                moved="",
            ),
            WORDING,
        ),
        "part": (make_change(related="51c0ffee", paged=False), WORDING),
        "small": (make_change(size=Estimate(-0.0042, -0.006, -0.002, 1e6), after=Estimate(0.9438, 0, 1, 9)), WORDING),
    }


@pytest.mark.parametrize("name", ["fell", "recovered", "no_data", "mix", "spread", "topic", "part", "small"])
def test_the_words_are_the_golden_words(name: str, make_change: Callable[..., Change]) -> None:
    change, wording = examples(make_change)[name]

    assert page(explain(change, wording)) == (GOLDEN / f"explain_{name}.txt").read_text()


def test_without_coincidences_the_slices_that_are_new_are_told(make_change: Callable[..., Change]) -> None:
    words = explain(make_change(coincidences=[], typical_traces=[]), WORDING)
    assert words.new_then == "Changed then, which need not be the cause: prompt answer-v7 (new)."
    assert explain(make_change(coincidences=[], carriers=[]), WORDING).new_then == ""


def test_what_is_first_asked_about_is_what_changed_then_or_else_what_all_traffic_shares(
    make_change: Callable[..., Change],
) -> None:
    one = Coincidence("instructions", "9f33a0c1", "more", 0.1, 0.9, None)
    assert "ask about instructions 9f33a0c1" in explain(make_change(carriers=[], coincidences=[one]), WORDING).first
    assert "retrieval index" in explain(make_change(carriers=[], coincidences=[]), WORDING).first


def test_only_three_traces_are_linked_and_their_ids_are_quoted(make_change: Callable[..., Change]) -> None:
    change = make_change(traces=["../a b?", "2", "3", "4"])
    words = explain(change, WORDING)

    assert "https://traces.example/..%2Fa%20b%3F https://traces.example/2 https://traces.example/3\n" in words.look_at


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_unknown(bad: float, make_change: Callable[..., Change]) -> None:
    none = Estimate(bad, bad, bad, bad)
    change = make_change(
        before=none, after=none, size=none, evidence=bad, carriers=[Carrier("a", "b", bad, bad, bad, False)]
    )
    words = page(explain(change, WORDING))

    assert "from unknown to unknown" in words
    assert "nan" not in words
    assert "inf" not in words.lower()


@given(st.text(), st.integers(1, 50))
def test_a_name_becomes_one_short_line_of_valid_text(name: str, runes: int) -> None:
    text = clean(name + "\ud800\n\x1b[31m", runes)

    assert len(text) <= runes
    assert text.isprintable()
    text.encode()


hostile = st.text(max_size=30)
times = st.integers(0, 2**70)
numbers = st.floats()
estimates = st.builds(Estimate, numbers, numbers, numbers, numbers)
carriers = st.builds(Carrier, hostile, hostile, numbers, st.none() | numbers, st.none() | numbers, st.booleans())
changes = st.builds(
    Change,
    id=hostile,
    status=st.sampled_from(["active", "resolved"]),
    monitor=hostile,
    metric=hostile,
    statistic=st.sampled_from(["mean", "pass_rate"]),
    slice=st.dictionaries(hostile, hostile, max_size=4),
    direction=st.sampled_from(["up", "down"]),
    detector=hostile,
    evidence=numbers,
    threshold=numbers,
    detected_ns=times,
    onset_ns=times,
    onset_low_ns=times,
    onset_high_ns=times,
    before=estimates,
    after=estimates,
    size=estimates,
    carriers=st.lists(carriers, max_size=4),
    traces=st.lists(hostile, max_size=4),
    contrast_traces=st.lists(hostile, max_size=4),
    resolved_ns=st.none() | times,
    sequence=st.integers(0),
    reason=hostile,
    related=hostile,
)


@given(changes, st.sampled_from(["firing", "resolved"]), st.booleans())
def test_any_change_can_be_told(change: Change, status: str, with_links: bool) -> None:
    notification = compose(change, WORDING if with_links else Wording(), 1_772_373_600_000_000_000, status)

    assert notification.annotations["summary"]
    assert notification.starts_at_ns <= notification.sent_at_ns
    assert (notification.ends_at_ns is None) == (status == "firing")
    assert all(name.isidentifier() and name.isascii() for name in notification.labels)
    for text in (*notification.labels.values(), *notification.annotations.values()):
        assert text
        assert len(text) < 10_000
        text.encode()
