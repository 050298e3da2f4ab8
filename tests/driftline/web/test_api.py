"""The JSON API: facts for programs, and errors that say what is allowed."""

from collections.abc import Callable
from dataclasses import asdict

import httpx
import pytest

from alerts.history import Delivery
from collector.core.engine import Entry
from drift.base import Estimate
from tests.driftline.web.service import (
    NOW_NS,
    Service,
    add_changes,
    add_traces,
    change,
    not_scored,
    record,
    scored,
    trace_id,
)

Ask = Callable[..., httpx.Response]


def test_status_says_what_runs_and_what_is_wrong(incident: Service, ask: Ask) -> None:
    status = ask(incident, "/api/status").json()
    assert status["state"] == "running"
    assert status["counts"]["traces_received"] == 48_211
    assert status["active_changes"] == 2
    assert status["addresses"]["otlp_http"] == "http://127.0.0.1:4318"
    assert [scorer["name"] for scorer in status["scorers"]][:2] == ["groundedness", "refusal"]
    incident.waiting = ["kafka: no partition yet"]
    assert ask(incident, "/api/status").json()["state"] == "waiting"
    incident.problems = ["disk is full"]
    status = ask(incident, "/api/status").json()
    assert (status["state"], status["health"]) == ("failing", ["disk is full"])


def test_changes_come_with_numbers_and_words_newest_first(incident: Service, ask: Ask) -> None:
    changes = ask(incident, "/api/changes").json()["changes"]
    assert [one["id"] for one in changes][-1] == "feed0000feed0000feed"
    assert changes[0]["size"]["upper"] < 0 or changes[0]["metric"] == "refusal"
    paged = next(one for one in changes if one["paged"] and one["status"] == "active")
    assert "fell from 91.4% to 78.2%" in paged["summary"]
    assert "version 2.4" in paged["description"]


def test_changes_are_chosen_by_status_and_limited(incident: Service, ask: Ask) -> None:
    assert [one["status"] for one in ask(incident, "/api/changes?status=resolved").json()["changes"]] == ["resolved"]
    assert len(ask(incident, "/api/changes?limit=1").json()["changes"]) == 1


def test_one_change_is_found_by_its_id(incident: Service, ask: Ask) -> None:
    assert ask(incident, "/api/changes/c0ffee00c0ffee00c0ff").json()["metric"] == "groundedness"
    missing = ask(incident, "/api/changes/nope")
    assert missing.status_code == 404
    assert "'nope' is not known" in missing.json()["error"]


def test_a_change_says_who_was_told_of_it(incident: Service, ask: Ask) -> None:
    told = [
        Delivery("slack", "firing", "retry", "rate_limited", "answered 429", NOW_NS, NOW_NS + 5, 3),
        Delivery("slack", "firing", "delivered", "", "", NOW_NS + 9, NOW_NS + 9),
    ]
    incident.told["c0ffee00c0ffee00c0ff"] = told

    assert ask(incident, "/api/changes/c0ffee00c0ffee00c0ff").json()["deliveries"] == [asdict(one) for one in told]
    assert ask(incident, "/api/changes/beef0000beef0000beef").json()["deliveries"] == []


def test_a_change_that_cannot_be_read_is_counted_and_hides_no_other(idle: Service, ask: Ask) -> None:
    add_changes(idle.view, change())
    idle.view.add_changes(0, [Entry(7, b'{"id":"x","detected_ns":1,"shape":"of the future"}', b"", "json")])
    answer = ask(idle, "/api/changes").json()
    assert (len(answer["changes"]), answer["unreadable"]) == (1, 1)
    assert "written by another version" in ask(idle, "/").text


def test_traces_are_listed_newest_first_without_explanations(incident: Service, ask: Ask) -> None:
    listed = ask(incident, "/api/traces?limit=3").json()["traces"]
    assert [one["trace_id"] for one in listed] == [trace_id(0), trace_id(1), trace_id(2)]
    brief = next(one for one in listed[0]["decisions"] if one["scorer"] == "groundedness")
    assert brief["decision"] == "scored"
    assert set(brief) == {"scorer", "decision", "reason", "value", "passed"}


def test_a_trace_is_given_whole_whatever_the_case_of_its_id(idle: Service, ask: Ask) -> None:
    add_traces(idle.view, [record(1, [scored("groundedness", 0.4, False, explanation="two of five")])])
    sheet = ask(idle, f"/api/traces/{trace_id(1).upper()}").json()
    assert sheet["decisions"][0]["score"]["explanation"] == "two of five"


def test_a_trace_that_is_not_there_is_404_and_one_that_cannot_be_is_400(idle: Service, ask: Ask) -> None:
    missing = ask(idle, f"/api/traces/{trace_id(1)}")
    assert missing.status_code == 404
    assert trace_id(1) in missing.json()["error"]
    wrong = ask(idle, "/api/traces/xyz")
    assert wrong.status_code == 400
    assert wrong.json()["error"] == "trace_id is 'xyz'; allowed: 32 hexadecimal digits"


def test_the_funnel_counts_every_decision_by_its_reason(idle: Service, ask: Ask) -> None:
    add_traces(idle.view, [record(n, [not_scored("pii", "not_sampled", "rate")]) for n in range(3)])
    assert ask(idle, "/api/funnel").json()["funnel"] == [
        {"scorer": "pii", "decision": "not_sampled", "reason": "rate", "count": 3}
    ]


def test_series_come_nearest_to_a_change_first_and_say_how_many_there_are(incident: Service, ask: Ask) -> None:
    answer = ask(incident, "/api/series?limit=2").json()
    assert [one["status"] for one in answer["series"]] == ["changed", "watching"]
    assert answer["series"][0]["evidence_ratio"] == pytest.approx(41.2 / 12.4)
    assert answer["total"] == 6


def test_evidence_that_is_no_number_becomes_null(incident: Service, ask: Ask) -> None:
    incident.watched[0].evidence = float("inf")
    first = ask(incident, "/api/series").json()["series"][0]
    assert (first["evidence"], first["evidence_ratio"]) == (None, 1.0)


def test_a_series_without_points_in_the_last_hour_has_no_level(incident: Service, ask: Ask) -> None:
    assert ask(incident, "/api/series").json()["series"][0]["level"]["n"] > 0
    incident.watched[0].level = Estimate(0.5, 0.0, 1.0, 0.0)
    assert ask(incident, "/api/series").json()["series"][0]["level"] is None


def test_scores_are_chosen_by_scorer_time_and_number(incident: Service, ask: Ask) -> None:
    scores = ask(incident, "/api/scores?scorer=groundedness&limit=5").json()["scores"]
    assert len(scores) == 5
    assert [one["event_ns"] for one in scores] == sorted((one["event_ns"] for one in scores), reverse=True)
    assert ask(incident, f"/api/scores?scorer=groundedness&since_ns={NOW_NS + 1}").json() == {"scores": []}


def test_a_score_without_a_value_is_no_score_of_zero(idle: Service, ask: Ask) -> None:
    add_traces(idle.view, [record(1, [scored("refusal", None, None, label="unclear")])])
    assert ask(idle, "/api/scores?scorer=refusal").json() == {"scores": []}
    listed = ask(idle, "/api/traces").json()["traces"][0]["decisions"][0]
    assert listed["value"] is None


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/api/traces?limit=0", "limit is '0'; allowed: a whole number from 1 to 1000"),
        ("/api/traces?limit=1001", "limit is '1001'; allowed: a whole number from 1 to 1000"),
        ("/api/traces?limit=", "limit is ''; allowed: a whole number from 1 to 1000"),
        ("/api/traces?limit=1e3", "limit is '1e3'; allowed: a whole number from 1 to 1000"),
        ("/api/traces?limit=%D9%A3", "limit is '٣'; allowed: a whole number from 1 to 1000"),
        (
            f"/api/traces?limit={'9' * 5000}",
            f"limit is '{'9' * 80}…'; allowed: a whole number from 1 to 1000",
        ),
        ("/api/traces?limit=1&limit=2", "limit is given twice; once is allowed"),
        ("/api/traces?limt=1", "parameter 'limt' is unknown; allowed: limit"),
        ("/api/status?x=1", "parameter 'x' is unknown; allowed: none"),
        ("/api/changes?status=open", "status is 'open'; allowed: active, resolved"),
        ("/api/changes?limit=1001", "limit is '1001'; allowed: a whole number from 1 to 1000"),
        ("/api/series?limit=10001", "limit is '10001'; allowed: a whole number from 1 to 10000"),
        ("/api/scores?scorer=pii&limit=10001", "limit is '10001'; allowed: a whole number from 1 to 10000"),
        (
            "/api/scores?scorer=pii&since_ns=-1",
            "since_ns is '-1'; allowed: a whole number from 0 to 9223372036854775807",
        ),
        (
            "/api/scores?scorer=pii&since_ns=9223372036854775808",
            "since_ns is '9223372036854775808'; allowed: a whole number from 0 to 9223372036854775807",
        ),
    ],
)
def test_a_wrong_parameter_is_named_with_its_value_and_what_is_allowed(
    idle: Service, ask: Ask, path: str, error: str
) -> None:
    answer = ask(idle, path)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"error": error}


def test_a_gate_answers_as_the_command_does(idle: Service, ask: Ask) -> None:
    add_traces(idle.view, [record(1, [scored("refusal", 0.0, True)])])
    answer = ask(idle, "/api/gate?by=service&a=x&b=y&metrics=refusal:0.02").json()
    assert (answer["verdict"], answer["traces"]) == ("undecided", {"a": 0, "b": 0})
    (metric,) = answer["metrics"]
    assert (metric["scorer"], metric["margin"], metric["pairs"], metric["difference"]) == ("refusal", 0.02, 0, None)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("b=2", "a is missing: the versions to compare, such as a=v1 and b=v2"),
        ("a=2&b=2", "a, b: both are '2'; two versions are compared"),
        ("a=1&b=2&alpha=x", "alpha is 'x'; allowed: a number between 0 and 1"),
        ("a=1&b=2&alpha=2", "alpha: 2 is not between 0 and 1"),
        ("a=1&b=2&metrics=refusal:9", "metric: 'refusal:9' is not SCORER or SCORER:MARGIN with a margin from 0 on and"),
        ("a=1&b=2&metrics=nothing", "metric: 'nothing' is not one of the scorers (groundedness, "),
        ("a=1&b=2&c=3", "parameter 'c' is unknown; allowed: by, a, b, metrics, alpha, since_ns"),
    ],
)
def test_a_wrong_question_to_the_gate_is_refused(idle: Service, ask: Ask, query: str, error: str) -> None:
    answer = ask(idle, f"/api/gate?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(error)


@pytest.mark.parametrize("path", ["/api/traces?limit=1", "/api/traces?limit=1000", "/api/scores?scorer=pii&since_ns=0"])
def test_values_at_the_bound_are_allowed(idle: Service, ask: Ask, path: str) -> None:
    assert ask(idle, path).status_code == 200


def test_scores_of_no_scorer_or_an_unknown_one_say_which_there_are(idle: Service, ask: Ask) -> None:
    names = "groundedness, refusal, tool_call_validity, pii, latency, tokens"
    assert ask(idle, "/api/scores").json() == {"error": f"scorer is missing; allowed: {names}"}
    assert ask(idle, "/api/scores?scorer=x").json() == {"error": f"scorer is 'x'; allowed: {names}"}


def test_scores_of_a_scorer_that_is_no_longer_configured_are_still_there(idle: Service, ask: Ask) -> None:
    add_traces(idle.view, [record(1, [scored("retired", 0.5)])])
    assert len(ask(idle, "/api/scores?scorer=retired").json()["scores"]) == 1


def test_an_unknown_address_of_the_api_is_answered_in_json(idle: Service, ask: Ask) -> None:
    answer = ask(idle, "/api/nothing")
    assert answer.status_code == 404
    assert answer.json() == {"error": "There is nothing at this address."}
