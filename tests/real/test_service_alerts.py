"""From answers that got worse to an alert at a real Alertmanager and numbers in a real Prometheus."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.real.app import AppRun, Settings, run_app
from tests.real.parts.alertmanager import Alertmanager
from tests.real.parts.process import wait_until
from tests.real.parts.prometheus import Prometheus, promtool
from tests.real.parts.webhook import Received, Webhook, webhook
from tests.real.service import Service, service, values

TRACES = 500
REGRESS_AFTER = 300
SPACING_NS = 6_000_000_000
RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "driftline.rules.yml"
MONITORS = [{"watch": "groundedness", "by": ["service", "prompt"], "direction": "down", "warmup": 100}]


@dataclass
class Scene:
    """A service with everything around it, and what was sent to it."""

    driftline: Service
    alertmanager: Alertmanager
    hook: Webhook
    prometheus: Prometheus
    run: AppRun


def send(driftline: Service, regress_after: int | None) -> AppRun:
    """Fifty minutes of event time that end now: Prometheus keeps no exemplar that is older than an hour or so."""
    start_ns = time.time_ns() - TRACES * SPACING_NS
    settings = Settings(spacing_ns=SPACING_NS, content="span", regress_after=regress_after)
    return run_app(driftline.otlp_http, "http", TRACES, 51, start_ns, settings)


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory,
    alertmanager_factory: Callable[..., Alertmanager],
    prometheus_factory: Callable[..., Prometheus],
) -> Iterator[Scene]:
    """Prompt v2 comes after 300 traces, makes most answers up and refuses more."""
    with webhook() as hook:
        alertmanager = alertmanager_factory(hook.url)
        document = {
            "monitors": MONITORS,
            "false_pages": "1 per day",
            "alerts": {
                "alertmanager": {"url": alertmanager.url, "resend": "1s"},
                "labels": {"severity": "critical", "team": "shop"},
                "trace_url": "https://traces.example/{trace_id}",
                "runbook_url": "https://runbooks.example/answers",
            },
        }
        with service(tmp_path_factory.mktemp("regressed"), document) as driftline:
            prometheus = prometheus_factory([driftline.web], rules=[RULES])
            run = send(driftline, REGRESS_AFTER)
            driftline.wait_for_traces([trace.trace_id for trace in run.traces])
            yield Scene(driftline, alertmanager, hook, prometheus, run)


def test_a_regression_becomes_one_alert_that_says_what_happened(scene: Scene) -> None:
    (change,) = [one for one in scene.driftline.api("/api/changes")["changes"] if one["paged"]]
    # told as soon as it is found, and then again as it is better known
    (alert,) = scene.alertmanager.wait_for_alerts(
        lambda alerts: [one["annotations"]["summary"] for one in alerts] == [change["summary"]]
    )
    labels = {name: alert["labels"][name] for name in ("alertname", "monitor", "metric", "direction", "service")}
    assert labels == {
        "alertname": "DriftlineChange",
        "monitor": "groundedness",
        "metric": "groundedness",
        "direction": "down",
        "service": "shop-assistant",
    }
    assert (alert["labels"]["severity"], alert["labels"]["team"]) == ("critical", "shop")
    assert alert["status"]["state"] == "active"

    assert alert["annotations"]["runbook_url"] == "https://runbooks.example/answers"
    assert "https://traces.example/" in alert["annotations"]["traces"]
    assert_right(change, scene.run)
    for words in (alert["annotations"]["description"], alert["annotations"]["carriers"]):
        assert "v2" in words, "the new prompt is what carries the change"
    answers = {trace.answer for trace in scene.run.traces}
    assert not any(answer in str(alert) for answer in answers), "content stays where it belongs"


def assert_right(change: dict[str, Any], run: AppRun) -> None:
    """The onset lies where the regression began, the size is what it was, the traces are ones that got worse."""
    first_bad = run.traces[REGRESS_AFTER]
    assert change["onset_low_ns"] <= first_bad.end_ns <= change["onset_high_ns"]
    assert abs(change["onset_ns"] - first_bad.start_ns) < 15 * SPACING_NS
    assert change["detected_ns"] > first_bad.start_ns
    assert change["size"]["upper"] < 0
    assert change["size"]["lower"] <= change["after"]["value"] - change["before"]["value"] <= change["size"]["upper"]
    by_id = {trace.trace_id: trace for trace in run.traces}
    examples = [by_id[trace_id] for trace_id in change["traces"]]
    assert examples
    assert all(not one.grounded and one.start_ns >= first_bad.start_ns for one in examples)
    assert all(by_id[trace_id].grounded for trace_id in change["contrast_traces"])


def test_alertmanager_hands_the_alert_on(scene: Scene) -> None:
    (received,) = scene.hook.wait_for(1)
    assert [alert["status"] for alert in received.json()["alerts"]] == ["firing"]
    assert received.json()["alerts"][0]["labels"]["service"] == "shop-assistant"


def test_the_change_says_that_alertmanager_was_told(scene: Scene) -> None:
    (change,) = [one for one in scene.driftline.api("/api/changes")["changes"] if one["paged"]]

    def told() -> set[tuple[str, str, str]]:
        deliveries = scene.driftline.api(f"/api/changes/{change['id']}")["deliveries"]
        return {(one["notifier"], one["kind"], one["outcome"]) for one in deliveries}

    expected = {("alertmanager", "firing", "delivered"), ("alertmanager", "reminder", "delivered")}
    wait_until(lambda: expected <= told(), "the deliveries are on record")
    assert ("log", "firing", "delivered") in told()


def test_prometheus_scrapes_what_the_api_says(scene: Scene) -> None:
    scene.prometheus.wait_for_scrape()
    query = 'sum(driftline_decisions_total{scorer="groundedness"})'
    scene.prometheus.wait_for(query, lambda found: bool(found) and found[0].value == TRACES)
    (active,) = scene.prometheus.wait_for('driftline_change_active{slice="service=shop-assistant"} == 1')
    assert active.labels["monitor"] == "groundedness"
    (size,) = scene.prometheus.query('driftline_change_size_ratio{slice="service=shop-assistant"}')
    assert size.value < -0.1
    (lower,), (level,), (upper,) = (
        scene.prometheus.query(f'driftline_estimate{part}_ratio{{slice="service=shop-assistant"}}')
        for part in ("_lower", "", "_upper")
    )
    assert lower.value < level.value < upper.value
    funnel = scene.driftline.funnel()
    (scored,) = scene.prometheus.query('driftline_decisions_total{scorer="groundedness",decision="scored"}')
    assert scored.value == funnel["groundedness", "scored", "ok"]


def all_evaluated(prometheus: Prometheus) -> bool:
    """Whether every rule was evaluated; none may fail."""
    health = {rule["name"]: (rule["health"], rule.get("lastError")) for rule in prometheus.rules()}
    assert {name: told for name, told in health.items() if told[0] == "err"} == {}
    return bool(health) and all(told == "ok" for told, _ in health.values())


def test_the_rules_that_are_deployed_tell_of_the_change_and_of_nothing_else(scene: Scene) -> None:
    wait_until(lambda: all_evaluated(scene.prometheus), "every rule to be evaluated")
    scene.prometheus.wait_for('ALERTS{alertname="DriftlineChangeActive",alertstate="firing"}')
    firing = [one for one in scene.prometheus.alerts() if one["state"] == "firing"]
    assert {one["labels"]["alertname"] for one in firing} == {"DriftlineChangeActive"}
    told = next(one for one in firing if one["labels"]["slice"] == "service=shop-assistant")
    assert told["annotations"]["summary"] == "groundedness (service=shop-assistant) has changed."
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC", told["annotations"]["since"])


def test_exemplars_lead_from_a_bucket_to_a_trace_in_it(scene: Scene) -> None:
    sent = {trace.trace_id for trace in scene.run.traces}
    selector = 'driftline_score_ratio_bucket{scorer="groundedness"}'
    exemplars = wait_until(lambda: scene.prometheus.exemplars(selector), "exemplars")
    scores = values((scene.driftline.trace(one.labels["trace_id"]) or {} for one in exemplars), "groundedness")
    for exemplar in exemplars:
        assert exemplar.labels["trace_id"] in sent
        assert scores[exemplar.labels["trace_id"]] == pytest.approx(exemplar.value)
        assert exemplar.value <= float(exemplar.series["le"])


def test_promtool_finds_nothing_wrong_with_the_classic_page(scene: Scene) -> None:
    page = httpx.get(f"http://{scene.driftline.web}/metrics", headers={"accept": "text/plain"})
    checked = promtool("check", "metrics", stdin=page.content)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_a_quiet_hour_alerts_nobody(
    tmp_path: Path,
    alertmanager_factory: Callable[..., Alertmanager],
    prometheus_factory: Callable[..., Prometheus],
    webhook_receiver: Webhook,
) -> None:
    """The same questions, answered as before to the end; no rule that is deployed is even pending."""
    alertmanager = alertmanager_factory(webhook_receiver.url)
    document = {
        "monitors": MONITORS,
        "false_pages": "1 per day",
        "alerts": {"alertmanager": {"url": alertmanager.url}},
    }
    with service(tmp_path, document) as driftline:
        prometheus = prometheus_factory([driftline.web], rules=[RULES], alertmanagers=[alertmanager.address])
        run = send(driftline, None)
        driftline.wait_for_traces([trace.trace_id for trace in run.traces])
        scored = 'sum(driftline_decisions_total{scorer="groundedness"})'
        prometheus.wait_for(scored, lambda found: bool(found) and found[0].value == TRACES)
        wait_until(lambda: all_evaluated(prometheus), "every rule to be evaluated")
        # before the first scrape, Driftline is absent: that is pending until the next evaluation
        wait_until(lambda: prometheus.alerts() == [], "no rule to be pending")
        watched = [one for one in driftline.api("/api/series")["series"] if set(one["slice"]) == {"service"}]
        assert [one["status"] for one in watched] == ["watching"]
        assert driftline.api("/api/changes")["changes"] == []
        assert driftline.stop() == 0, "on its way out it would have delivered what is pending"
    assert alertmanager.alerts() == []
    assert webhook_receiver.received == []


def test_an_alert_that_alertmanager_could_not_take_arrives_when_it_is_back(
    tmp_path: Path, alertmanager_factory: Callable[..., Alertmanager], webhook_receiver: Webhook
) -> None:
    alertmanager = alertmanager_factory(webhook_receiver.url)
    alertmanager.stop()
    document = {
        "monitors": MONITORS,
        "false_pages": "1 per day",
        "alerts": {"alertmanager": {"url": alertmanager.url}},
    }
    with service(tmp_path, document) as driftline:
        run = send(driftline, REGRESS_AFTER)
        driftline.wait_for_traces([trace.trace_id for trace in run.traces])
        driftline.wait(
            lambda: driftline.total("driftline_notifications_total", 'notifier="alertmanager"', 'outcome="retry"') > 0,
            "a delivery that failed",
        )
        driftline.kill()
        alertmanager.start()
        driftline.start()
        (received,) = webhook_receiver.wait_for(1)
        assert_fires_once(received)


def assert_fires_once(received: Received) -> None:
    assert [alert["labels"]["alertname"] for alert in received.json()["alerts"]] == ["DriftlineChange"]
