"""Versions held against each other: by sheets, by the command, by the API's words."""

import math
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from collector.core.errors import UserError
from driftline.gate import Question, compare
from driftline.gate_metric import Comparable, Wanted, known_metric, parse_metric
from tests.driftline.test_cli import Run
from tests.real.app import Settings
from tests.real.bodies import TraceBodies, record_app
from tests.real.cluster import START_NS

SECOND_NS = 10**9


def sheet(number: int, version: str, passed: bool | None, probability: float = 1.0, **more: Any) -> dict[str, Any]:
    score = None if passed is None else {"value": float(passed), "passed": passed}
    decision = {"scorer": "refusal", "decision": "scored", "probability": probability, "score": score, **more}
    return {"trace_id": f"{number:032x}", "slices": {"version": version}, "decisions": [decision]}


def question(**more: Any) -> Question:
    return Question(**{"by": "version", "a": "1", "b": "2", "metrics": [Wanted("refusal", 0.05)], **more})


def test_a_version_that_is_worse_fails_and_one_that_is_as_good_passes() -> None:
    rng = Random(1)
    for rate, verdict in ((0.7, "fail"), (0.95, "pass")):
        sheets = [sheet(at, "21"[at % 2], rng.random() < (0.95 if at % 2 else rate), name="") for at in range(4_000)]
        found = compare(question(), sheets)
        assert found.verdict == verdict
        assert found.traces == (2_000, 2_000)
        assert found.metrics["refusal"].pairs == 2_000


def test_other_versions_and_what_was_not_judged_take_no_part() -> None:
    sheets = [sheet(1, "1", True), sheet(2, "3", True), sheet(3, "2", None), sheet(4, "2", True)]
    found = compare(question(), sheets)
    assert found.traces == (1, 2)
    assert found.metrics["refusal"].pairs == 1


def test_of_operations_the_trace_passes_if_all_do() -> None:
    both = sheet(2, "2", True)
    both["decisions"] += sheet(2, "2", False)["decisions"]
    found = compare(question(), [sheet(1, "1", True), both])
    assert found.metrics["refusal"].level_b == 0


def test_what_was_kept_more_often_counts_no_more() -> None:
    """A keeps all its failures and a tenth of the rest; both versions fail alike."""
    rng, sheets = Random(2), []
    for at in range(20_000):
        passed, version = rng.random() < 0.8, "12"[at % 2]
        chance = 1.0 if version == "1" and not passed else 0.1
        if rng.random() < chance:
            sheets.append(sheet(rng.getrandbits(128), version, passed, chance))
    told = compare(question(), sheets).metrics["refusal"]
    assert told.level_a == pytest.approx(0.8, abs=0.06)
    assert abs(told.difference) < 0.06


def test_one_metric_that_fails_fails_the_version_and_all_must_pass() -> None:
    rng = Random(3)
    sheets = []
    for at in range(3_000):
        one = sheet(at, "12"[at % 2], rng.random() < 0.95)
        bad = rng.random() < (0.95 if at % 2 == 0 else 0.6)
        one["decisions"] += [{**one["decisions"][0], "scorer": "pii", "score": {"value": 1.0, "passed": bad}}]
        sheets.append(one)
    metrics = [Wanted("refusal", 0.05), Wanted("pii", 0.05)]
    found = compare(question(metrics=metrics), sheets)
    assert (found.verdict, found.metrics["refusal"].verdict, found.metrics["pii"].verdict) == ("fail", "pass", "fail")
    assert compare(question(metrics=[*metrics, Wanted("absent", 0.05)]), []).verdict == "undecided"
    assert orjson.loads(orjson.dumps(compare(question(), []).to_json()))["metrics"][0]["difference"] is None


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"a": "2"}, "a, b: both are '2'"),
        ({"metrics": []}, "metric: 0 are given"),
        ({"metrics": [Wanted("x", 0.1), Wanted("x", 0.2)]}, "metric: 'x' is given twice"),
        ({"metrics": [Wanted("x", 0.1, "<=", 2.0, "share")] * 2}, "metric: 'x<=2' is given twice"),
        ({"alpha": 1.0}, "alpha: 1 is not between 0 and 1"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        question(**wrong)


@pytest.mark.parametrize("wrong", ["", ":0.1", "refusal:x", "refusal:1", "refusal:-0.1", "refusal:nan"])
def test_a_metric_is_a_scorer_with_a_margin(wrong: str) -> None:
    with pytest.raises(UserError, match="is not SCORER or SCORER:MARGIN"):
        parse_metric(wrong)


# --- the command ---


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Traffic of an application whose second prompt makes things up and refuses."""
    folder = tmp_path_factory.mktemp("recorded")
    settings = Settings(spacing_ns=20 * SECOND_NS, content="span", regress_after=200)
    bodies: list[TraceBodies] = record_app(400, 41, START_NS, settings)
    for at, body in enumerate(bodies):
        (folder / f"{at:04}.binpb").write_bytes(body.spans.SerializeToString())
    return folder


def test_recorded_traffic_of_a_worse_prompt_fails_with_1(run: Run, recorded: Path, tmp_path: Path) -> None:
    prompts = ["--by", "prompt", "--a", "v1", "--b", "v2"]
    shown = run("gate", *prompts, "--metric", "groundedness:0.05", recorded)
    assert shown.code == 1, shown.out + shown.err
    first, second = shown.out.splitlines()
    assert first == "fail: prompt v2 (200 traces) against v1 (200 traces)"
    assert second.startswith("  groundedness           fail       passes ")


def test_a_prompt_held_against_what_nobody_sent_is_undecided_with_2(run: Run, recorded: Path) -> None:
    shown = run("gate", "--by", "prompt", "--a", "v1", "--b", "v9", "--metric", "refusal", "--json", recorded)
    assert shown.code == 2
    assert (shown.json["verdict"], shown.json["traces"]) == ("undecided", {"a": 200, "b": 0})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--a", "1"], "Missing option '--b'."),
        (["--a", "1", "--b", "1"], "a, b: both are '1'; two versions are compared"),
        (["--a", "1", "--b", "2", "--by", "tenant"], "--by: 'tenant' is not one of the slices (service, version,"),
        (["--a", "1", "--b", "2", "--metric", "tokens"], "--metric: 'tokens' is not one of the scorers that judge ("),
        (
            ["--a", "1", "--b", "2", "--metric", "none<=2"],
            "--metric: 'none' is not one of the scorers (context_injection, ",
        ),
        (["--a", "1", "--b", "2", "--metric", "mean(tokens)"], "--metric: mean(tokens): its values have no bounds"),
        (["--a", "1", "--b", "2", "--metric", "refusal:2"], "metric: 'refusal:2' is not SCORER or SCORER:MARGIN"),
        (["--a", "1", "--b", "2", "--alpha", "x"], "Invalid value for '--alpha'"),
        (["--a", "1", "--b", "2", "--since", "soon"], "--since: 'soon' is not a duration with a unit"),
        (["--a", "1", "--b", "2", "none.binpb"], "none.binpb: there is no such file or folder"),
    ],
)
def test_wrong_usage_is_3_since_2_is_a_verdict(run: Run, arguments: list[str], told: str) -> None:
    shown = run("gate", *arguments)
    assert shown.code == 3
    assert shown.err.startswith(f"driftline: {told}")


def slow(number: int, version: str, seconds: float | None) -> dict[str, Any]:
    found = sheet(number, version, None)
    found["decisions"][0]["score"] = {"value": seconds, "passed": None}
    return found


def test_values_without_bounds_are_compared_by_the_share_that_keeps_to_a_limit() -> None:
    """Seconds have a mean that is infinite; the shares within 4 s are 1 - sqrt(scale / 4): .5 and .29."""
    for scale, verdict in ((1.0, "pass"), (2.0, "fail")):
        rng = Random(7)
        sheets = [slow(at, "12"[at % 2], (scale if at % 2 else 1.0) * rng.paretovariate(0.5)) for at in range(4_000)]
        found = compare(question(metrics=[parse_metric("refusal<=4:0.1")]), sheets)
        assert found.verdict == verdict
        assert found.to_json()["metrics"][0]["limit"] == "<=4"


def test_at_the_margin_a_limit_lets_a_worse_version_pass_as_rarely_as_promised() -> None:
    """Shares within the limit are .5 and .4, the margin .1; a verdict stays, so that the last look tells of all."""
    rng, runs, passed, failed = Random(11), 200, 0, 0
    for _ in range(runs):
        sheets = [slow(at, "12"[at % 2], rng.paretovariate(0.5) * (1.44 if at % 2 else 1)) for at in range(800)]
        verdict = compare(question(metrics=[parse_metric("refusal<=4:0.1")]), sheets).verdict
        passed, failed = passed + (verdict == "pass"), failed + (verdict == "fail")
    most = 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
    assert passed / runs <= most
    assert failed / runs <= most


def test_a_value_that_is_missing_takes_no_part_and_at_least_is_a_limit_as_well() -> None:
    sheets = [slow(1, "1", 5.0), slow(2, "2", None), slow(3, "2", float("nan")), slow(4, "2", 5.0)]
    told = compare(question(metrics=[parse_metric("refusal>=5")]), sheets).metrics["refusal"]
    assert (told.pairs, told.level_a, told.level_b) == (1, 1.0, 1.0)


@pytest.mark.parametrize("text", ["a<=", "a<=x", "<=3", "a>=inf", "a<=nan:0.1", "a<=2:1"])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="SCORER<=LIMIT"):
        parse_metric(text)


def test_a_scorer_may_be_compared_by_several_statistics_that_share_the_probability_of_a_wrong_verdict() -> None:
    """Half of B takes a second longer: as many are within 4 s, fewer within 2."""
    rng = Random(13)
    sheets = [slow(at, "12"[at % 2], 1.5 + (at % 2 and rng.random() < 0.5)) for at in range(600)]
    texts = ["refusal<=4:0.05", "refusal<=2:0.05"]
    found = compare(question(metrics=[parse_metric(text) for text in texts]), sheets)
    assert {key: told.verdict for key, told in found.metrics.items()} == {"refusal<=4": "pass", "refusal<=2": "fail"}
    assert found.verdict == "fail"
    assert [one["limit"] for one in found.to_json()["metrics"]] == ["<=4", "<=2"]
    alone = compare(question(metrics=[parse_metric(texts[1])], alpha=0.025), sheets).metrics["refusal"]
    assert alone.verdict == "fail", "it has half of the probability"


# --- means ---

KNOWN = [
    Comparable("grade", judges=True, has_values=True, low=1, high=5, better="higher"),
    Comparable("harm", judges=False, has_values=True, low=0, high=1, better="lower"),
    Comparable("seconds", judges=False, has_values=True, low=0, high=math.inf, better="lower"),
    Comparable("words", judges=False, has_values=True, low=0, high=math.inf, better="higher"),
    Comparable("model", judges=False, has_values=False, low=0, high=1, better="higher"),
]


def graded(number: int, version: str, *values: float | None, scorer: str = "grade") -> dict[str, Any]:
    found = sheet(number, version, True, scorer=scorer)
    found["decisions"] = [
        {**found["decisions"][0], "score": {"value": value, "passed": True, "label": None}} for value in values
    ]
    return found


def asked(text: str) -> Question:
    return question(metrics=[known_metric(parse_metric(text), KNOWN)])


def test_means_are_compared_in_the_unit_of_the_scorer_where_all_pass() -> None:
    """Grades of 1 to 5 about 4.2 and 3.8, all of which pass: the pass rate tells nothing, the mean does."""
    rng = Random(12)
    sheets = [graded(at, "12"[at % 2], 1 + 4 * rng.betavariate(8, 3.43 if at % 2 else 2)) for at in range(3_000)]
    assert compare(asked("grade:0.05"), sheets).verdict == "pass"
    found = compare(asked("mean(grade):0.2"), sheets)
    (told,) = found.to_json()["metrics"]
    assert (found.verdict, told["statistic"], told["better"], told["margin"]) == ("fail", "mean", "higher", 0.2)
    assert told["level_a"] == pytest.approx(4.2, abs=0.05)
    assert told["level_b"] == pytest.approx(3.8, abs=0.05)
    assert told["difference"] == pytest.approx(told["level_b"] - told["level_a"])
    assert told["lower"] < told["difference"] < told["upper"] < -0.2
    assert compare(asked("mean(grade):0.6"), sheets).verdict == "pass"


def test_where_lower_is_better_a_mean_that_rises_fails() -> None:
    rng = Random(13)
    sheets = [graded(at, "12"[at % 2], rng.betavariate(2 + at % 2, 8), scorer="harm") for at in range(3_000)]
    found = compare(asked("mean(harm)"), sheets)
    (told,) = found.to_json()["metrics"]
    assert (found.verdict, told["better"], told["margin"]) == ("fail", "lower", 0.03)
    assert 0.03 < told["lower"] < told["difference"] < told["upper"]
    backwards = Question("version", "2", "1", asked("mean(harm)").metrics)
    assert compare(backwards, sheets).verdict == "pass"


def test_a_mean_takes_what_the_operations_of_a_trace_have_together_and_leaves_out_what_is_no_value() -> None:
    sheets = [graded(1, "1", 2.0, 4.0, None, float("nan"), 9.0), graded(2, "2", None), graded(4, "2", 5.0)]
    found = compare(asked("mean(grade)"), sheets)
    (told,) = found.to_json()["metrics"]
    assert (told["pairs"], told["level_a"], told["level_b"], told["margin"]) == (1, 3.0, 5.0, 0.12)


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("nothing", "metric: 'nothing' is not one of the scorers (grade, harm, model, seconds, words)"),
        ("nothing<=2", "metric: 'nothing' is not one of the scorers (grade, harm, model, seconds, words)"),
        ("mean(nothing)", "metric: 'nothing' is not one of the scorers (grade, harm, model, seconds, words)"),
        (
            "harm",
            "'harm' is not one of the scorers that judge (grade); give it `passing`, or compare mean(harm)",
        ),
        ("seconds", "(grade); give it `passing`, or compare the share within a limit, such as seconds<=10"),
        ("model", "metric: 'model' is not one of the scorers that judge (grade)"),
        ("model<=2", "metric: 'model' gives labels and no values; scorers with values are grade, harm, seconds, words"),
        ("mean(model)", "metric: 'model' gives labels and no values; scorers with values are grade, harm, seconds"),
        ("mean(words)", "compare the share within a limit, such as words>=10; scorers with bounds are grade, harm"),
        ("mean(grade):4", "metric: mean(grade): margin 4 is not below 4, what values range over"),
        ("mean(grade", "metric: 'mean(grade' is not one of the scorers (grade, harm, model, seconds, words)"),
        ("mean()", "metric: 'mean()' is not SCORER or SCORER:MARGIN"),
        ("mean(grade):-1", "metric: 'mean(grade):-1' is not SCORER or SCORER:MARGIN"),
        ("mean(grade):inf", "metric: 'mean(grade):inf' is not SCORER or SCORER:MARGIN"),
    ],
)
def test_a_metric_that_cannot_be_compared_says_which_can(metric: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        known_metric(parse_metric(metric), KNOWN)
    assert told in caught.value.problems[0]
