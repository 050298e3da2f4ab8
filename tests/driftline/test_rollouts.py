"""New versions are found in traces, and compared with those that they replace."""

from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest

from collector.core.telemetry import Telemetry
from driftline.gate_config import GateConfig
from driftline.gate_metric import Comparable
from driftline.rollouts import Rollouts, gate_metrics

SECOND_NS = 10**9
START_NS = 1_700_000_000 * SECOND_NS
Sheets = Sequence[dict[str, Any]]


class Seen:
    """What the view would say of these sheets, which are in order of event time."""

    def __init__(self, sheets: Sheets) -> None:
        self.sheets = sheets

    def latest_ns(self) -> int | None:
        return self.sheets[-1]["event_ns"] if self.sheets else None

    def newest_since_ns(self, count: int, before_ns: int = 2**63 - 1) -> int:
        earlier = [sheet["event_ns"] for sheet in self.sheets if sheet["event_ns"] < before_ns]
        return earlier[-count - 1] + 1 if len(earlier) > count else 0

    def sheets_between(self, from_ns: int, to_ns: int) -> Iterator[dict[str, Any]]:
        return (sheet for sheet in self.sheets if from_ns <= sheet["event_ns"] < to_ns)


def sheets(parts: Sequence[tuple[int, dict[str, float]]], service: str = "shop", seed: int = 1) -> list[dict[str, Any]]:
    """Stretches of so many traces, drawn evenly of versions with these pass rates."""
    rng, made = Random(seed), []
    for count, versions in parts:
        for _ in range(count):
            version = rng.choice(sorted(versions))
            passed = rng.random() < versions[version]
            decision = {
                **{"scorer": "refusal", "decision": "scored", "probability": 1.0, "span_id": None},
                "score": {"value": float(passed), "passed": passed},
            }
            number = len(made)
            made.append(
                {
                    "trace_id": f"{rng.getrandbits(128):032x}",
                    "event_ns": START_NS + number * SECOND_NS,
                    "slices": {"service": service, "version": version},
                    "decisions": [decision],
                }
            )
    return made


def rollouts(seen: Sheets, telemetry: Telemetry | None = None, **config: Any) -> Rollouts:
    chosen = GateConfig.model_validate({"metrics": ["refusal:0.05"], **config})
    known = [Comparable("refusal", judges=True, has_values=True, low=0, high=1, better="higher")]
    wanted = gate_metrics(chosen, known)
    return Rollouts(chosen, wanted, Seen(seen), telemetry or Telemetry())  # type: ignore[arg-type]


def gauges(telemetry: Telemetry) -> dict[str, Any]:
    return {one.name: one.values() for one in telemetry.instruments()}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("rate", "verdict", "shown"), [(0.7, "fail", -1.0), (0.95, "pass", 1.0)])
def test_a_canary_is_compared_with_what_it_replaces(rate: float, verdict: str, shown: float) -> None:
    telemetry = Telemetry()
    seen = sheets([(300, {"1": 0.95}), (4000, {"1": 0.95, "2": rate})])
    (found,) = rollouts(seen, telemetry).look()
    assert (found.service, found.answer.question.a, found.answer.question.b) == ("shop", "1", "2")
    assert found.answer.verdict == verdict
    assert found.to_json()["since_ns"] == next(one for one in seen if one["slices"]["version"] == "2")["event_ns"]
    told = gauges(telemetry)
    assert told["driftline_gate_verdict"] == {("shop", "2", "1"): shown}
    place = ("shop", "2", "1", "refusal")
    assert told["driftline_gate_scorer_verdict"] == {place: shown}
    assert told["driftline_gate_pairs"][place] > 500
    lower, level, upper = (told[f"driftline_gate_difference{part}_ratio"][place] for part in ("_lower", "", "_upper"))
    assert lower <= level <= upper
    assert level == pytest.approx(rate - 0.95, abs=0.05)


def test_a_version_that_took_over_is_compared_with_the_traffic_before() -> None:
    (found,) = rollouts(sheets([(1500, {"1": 0.95}), (1500, {"2": 0.6})])).look()
    assert found.answer.verdict == "fail"


def test_versions_that_were_always_there_are_not_compared() -> None:
    assert rollouts(sheets([(3000, {"1": 0.95, "2": 0.7})])).look() == []
    assert rollouts(sheets([(3000, {"1": 0.95, "unknown": 0.7})])).look() == []
    assert rollouts([]).look() == ()


def test_a_comparison_ends_and_its_series_go() -> None:
    telemetry = Telemetry()
    seen = sheets([(300, {"1": 0.95}), (1000, {"2": 0.95}), (4000, {"2": 0.95})])
    one = rollouts(seen[:1000], telemetry, lasts="1h")
    assert len(one.look()) == 1
    one._view = Seen(seen)  # type: ignore[assignment]
    assert one.look() == []
    assert all(values == {} for values in gauges(telemetry).values())


def test_services_are_compared_each_by_itself_and_the_newest_version_counts() -> None:
    shop = sheets([(200, {"1": 0.95}), (300, {"2": 0.95}), (300, {"3": 0.95})])
    bank = sheets([(300, {"7": 0.95}), (300, {"8": 0.95})], "bank", 2)
    seen = sorted([*shop, *bank], key=lambda sheet: sheet["event_ns"])
    found = {one.service: one.answer.question for one in rollouts(seen).look()}
    assert {name: (asked.a, asked.b) for name, asked in found.items()} == {"shop": ("2", "3"), "bank": ("7", "8")}


def test_a_comparison_starts_at_half_of_the_traces_allowed_before_the_new_version() -> None:
    seen = sheets([(3000, {"1": 0.95}), (1000, {"2": 0.95})])
    (found,) = rollouts(seen, max_traces=1500).look()
    assert found.answer.traces == (750, 750)


def test_a_version_that_comes_rarely_begins_once() -> None:
    """The window of what is looked at moves past its first trace; the comparison does not begin anew."""
    seen = sheets([(3000, {"1": 0.95})])
    for at in range(1000, 3000, 200):
        seen[at]["slices"]["version"] = "2"
    one = rollouts(seen[:1001], max_traces=400)
    (first,) = one.look()
    for end in range(1100, 3001, 100):
        one._view = Seen(seen[:end])  # type: ignore[assignment]
        (again,) = one.look()
        assert again.since_ns == first.since_ns == seen[1000]["event_ns"]


def test_looking_again_and_again_adds_nothing_to_the_probability_of_a_wrong_verdict() -> None:
    """A version exactly at the margin, 40 runs, looked at after every 200 traces while the window moves on.

    Each verdict may be wrong one time in twenty: of 40, 2 are expected at most, and 6 are three standard errors more.
    With pairs that begin anew as the window moves, it is some 6 of each.
    """
    wrong: Counter[str] = Counter()
    for seed in range(40):
        seen = sheets([(1000, {"1": 0.9}), (2400, {"1": 0.9, "2": 0.85})], seed=seed)
        one, verdicts = rollouts(seen[:1100], max_traces=2000), set[str]()
        for end in range(1200, 3401, 200):
            one._view = Seen(seen[:end])  # type: ignore[assignment]
            verdicts |= {rollout.answer.verdict for rollout in one.look()}
        wrong.update(verdicts - {"undecided"})
    assert max(wrong.values(), default=0) <= 5
