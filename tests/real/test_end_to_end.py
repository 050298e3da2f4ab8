"""All that an operator runs, together: Driftline, Prometheus with its rules, Alertmanager, each configured as shipped.

The rules' own clock runs sixty times as fast: a minute in `for` and in a range is a second. What they say is as it is
deployed; that the real times are what they should be is promtool's to test (test_rules.py). Alertmanager gathers
alerts for seconds instead of minutes. Event time, and what Driftline makes of it, is as it comes.
"""

import contextlib
import itertools
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.real.app import AppRun, Settings, run_app
from tests.real.parts.alertmanager import Alertmanager
from tests.real.parts.process import free_ports, wait_until
from tests.real.parts.prometheus import Prometheus, promtool
from tests.real.parts.webhook import Webhook
from tests.real.service import Service, service, values
from tests.real.test_deploy_alertmanager import shipped

pytestmark = pytest.mark.long

DEPLOYED = Path(__file__).parents[2] / "deploy" / "prometheus"
SPACING_NS = 4_500_000_000
GOOD, BAD, GOOD_AGAIN = 300, 160, 240
MONITOR = {"watch": "groundedness", "by": ["service"], "direction": "down", "warmup": 100}
RESOLVE_TIMEOUT = "15s"
_SHORTER = {"m": "s", "h": "m"}


def hastened(text: str) -> str:
    """A time of PromQL, sixty times shorter.

    >>> hastened("15m"), hastened("2h"), hastened("1d")
    ('15s', '2m', '24m')
    """
    number, unit = text[:-1], text[-1]
    return f"{24 * int(number)}m" if unit == "d" else f"{number}{_SHORTER[unit]}"


def hastened_rules(folder: Path) -> Path:
    """The rules that are deployed, with every time in them sixty times shorter."""
    document = yaml.safe_load((DEPLOYED / "driftline.rules.yml").read_text())
    for rule in (rule for group in document["groups"] for rule in group["rules"]):
        rule["expr"] = re.sub(r"(?<=\[)\d+[mhd](?=\])|(?<=offset )\d+[mhd]", lambda at: hastened(at[0]), rule["expr"])
        if "for" in rule:
            rule["for"] = hastened(rule["for"])
    path = folder / "driftline.rules.yml"
    path.write_text(yaml.safe_dump(document))
    checked = promtool("check", "rules", path)
    assert checked.returncode == 0, checked.stderr
    return path


def prometheus_document(rules: Path, target: str, alertmanager: str) -> dict[str, Any]:
    """The configuration that is deployed, but for how often and where."""
    document: dict[str, Any] = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text())
    document["global"] = dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), "250ms")
    assert document["rule_files"] == ["driftline.rules.yml"]
    document["rule_files"] = [str(rules)]
    (scraped,) = document["scrape_configs"]
    scraped["static_configs"] = [{"targets": [target]}]
    document["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    return document


class Play:
    """Traffic of an application, one stretch of event time after the other, all of it in the past hour."""

    def __init__(self, driftline: Service) -> None:
        self._driftline = driftline
        self._next_ns = time.time_ns() - (GOOD + BAD + GOOD_AGAIN) * SPACING_NS
        self._turn = 0

    def __call__(self, traces: int, *, bad: bool = False) -> AppRun:
        self._turn += 1
        settings = Settings(spacing_ns=SPACING_NS, content="span", regress_after=0 if bad else None)
        run = run_app(self._driftline.otlp_http, "http", traces, 50 + self._turn, self._next_ns, settings)
        self._next_ns += traces * SPACING_NS
        self._driftline.wait_for_traces([trace.trace_id for trace in run.traces], 60)
        return run


def states(alertmanager: Alertmanager) -> dict[str, str]:
    """What Alertmanager does with each alert it holds."""
    return {one["labels"]["alertname"]: one["status"]["state"] for one in alertmanager.alerts()}


def told(hook: Webhook) -> list[tuple[str, str, str]]:
    """What somebody was told: where, which alert, and what has become of it."""
    return [
        (received.path.strip("/"), one["labels"]["alertname"], one["status"])
        for received in hook.received
        for one in received.json()["alerts"]
    ]


def fired(prometheus: Prometheus) -> set[str]:
    """Every rule that has fired since Prometheus began."""
    return {one.labels["alertname"] for one in prometheus.query('count_over_time(ALERTS{alertstate="firing"}[1h])')}


@dataclass
class Scene:
    """Everything, started, and whoever is told."""

    driftline: Service
    prometheus: Prometheus
    alertmanager: Alertmanager
    hook: Webhook


Open = Callable[..., AbstractContextManager[Scene]]


@pytest.fixture
def opened(
    tmp_path: Path,
    alertmanager_factory: Callable[..., Alertmanager],
    prometheus_factory: Callable[..., Prometheus],
    webhook_receiver: Webhook,
) -> Open:
    """`opened(**config)`: more of Driftline's configuration, laid over what the scene needs."""

    @contextlib.contextmanager
    def scene(**config: Any) -> Iterator[Scene]:
        document = shipped(webhook_receiver.url)
        # as deployed, the second sixty times shorter; long enough for the two ways of one change to meet, and to part
        document["route"].update(group_wait="3s", group_interval="5s")
        alertmanager = alertmanager_factory("", document=document)
        web = f"127.0.0.1:{free_ports(1)[0]}"  # the same after a crash
        whole = {
            "listen": {"web": web},
            "monitors": [MONITOR],
            "false_pages": "1 per day",
            # the default, sixty times shorter: longer than DriftlineDown needs
            "alerts": {"alertmanager": {"url": alertmanager.url, "resend": "1s", "resolve_timeout": RESOLVE_TIMEOUT}},
            **config,
        }
        with service(tmp_path / "driftline", whole) as driftline:
            rules = hastened_rules(tmp_path)
            prometheus = prometheus_factory([], document=prometheus_document(rules, web, alertmanager.address))
            prometheus.wait_for_scrape()
            yield Scene(driftline, prometheus, alertmanager, webhook_receiver)
            wait_until(lambda: prometheus.alerts() == [], "no rule to be pending")
            health = {(rule["name"], rule["health"], rule.get("lastError")) for rule in prometheus.rules()}
            assert {one for one in health if one[1] != "ok"} == set()

    return scene


def test_a_regression_is_told_once_and_its_end_a_crash_too_and_quiet_traffic_is_not(opened: Open) -> None:
    with opened() as scene:
        driftline, prometheus, alertmanager, hook = scene.driftline, scene.prometheus, scene.alertmanager, scene.hook
        play = Play(driftline)

        play(GOOD)
        prometheus.wait_for(f'sum(driftline_decisions_total{{scorer="groundedness"}}) == {GOOD}')
        wait_until(lambda: prometheus.alerts() == [], "no rule to be pending")
        (watched,) = [one for one in driftline.api("/api/series")["series"] if len(one["slice"]) == 1]
        assert watched["status"] == "watching"
        assert (fired(prometheus), alertmanager.alerts(), hook.received) == (set(), [], [])

        bad = play(BAD, bad=True)
        both = {"DriftlineChange": "active", "DriftlineChangeActive": "suppressed"}
        wait_until(lambda: states(alertmanager) == both, "the change, told by the service and by the rule")
        change = ("on-call", "DriftlineChange")
        hook.wait_for(1)
        assert told(hook) == [(*change, "firing")]
        assert_exemplars_lead_to_what_went_wrong(prometheus, driftline, bad)

        driftline.kill()
        down = ("on-call", "DriftlineDown")
        hook.wait_for(2)
        assert told(hook)[1:] == [(*down, "firing")]
        only_down = {"DriftlineDown": "active"}
        wait_until(lambda: states(alertmanager) == only_down, "the change to end for want of word of it")
        driftline.start()
        wait_until(lambda: states(alertmanager) == both, "the change, told anew by a service that remembers it")
        hook.wait_for(3)
        assert told(hook)[2:] == [(*down, "resolved")], "nobody was told that the change was over, nor of it again"

        play(GOOD_AGAIN)
        wait_until(lambda: states(alertmanager) == {}, "the change to be over")
        hook.wait_for(4)
        assert told(hook)[3:] == [(*change, "resolved")]
        assert fired(prometheus) == {"DriftlineChangeActive", "DriftlineDown"}


def test_spans_that_give_nothing_to_score_are_told_until_there_are_scores(opened: Open) -> None:
    """The dead man's switch: no data is no change of quality, and has an alert of its own."""
    with opened(scorers=["groundedness"]) as scene:
        numbers = itertools.count(1)

        def one_more() -> list[tuple[str, str, str]]:
            send_plain_span(scene.driftline, next(numbers))
            return told(scene.hook)

        wait_until(one_more, "somebody to be told", 60, every_seconds=0.5)
        silent = ("on-call", "DriftlineNothingScored")
        assert told(scene.hook) == [(*silent, "firing")]

        play = Play(scene.driftline)
        play(20)
        scored = 'sum(driftline_decisions_total{decision="scored"})'
        scene.prometheus.wait_for(f"{scored} > 0")
        play(20)  # a counter that begins at 20 has not grown yet
        scene.hook.wait_for(2)
        assert told(scene.hook)[1:] == [(*silent, "resolved")]
        assert fired(scene.prometheus) == {"DriftlineNothingScored"}


def send_plain_span(driftline: Service, number: int) -> None:
    """A request to a web server: no scorer of answers has anything to do with it."""
    now_ns = time.time_ns()
    span = {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "GET /",
        "kind": 2,
        "startTimeUnixNano": str(now_ns - 1_000_000),
        "endTimeUnixNano": str(now_ns),
    }
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "http"}, "spans": [span]}]}]}
    httpx.post(f"{driftline.otlp_http}/v1/traces", json=body).raise_for_status()


def assert_exemplars_lead_to_what_went_wrong(prometheus: Prometheus, driftline: Service, bad: AppRun) -> None:
    """Of the buckets of low scores, by Prometheus' own API: traces that made things up."""
    made_up = {trace.trace_id for trace in bad.traces if not trace.grounded}
    selector = 'driftline_score_ratio_bucket{scorer="groundedness",le=~"0.[1-5]"}'
    found = wait_until(
        lambda: [one for one in prometheus.exemplars(selector) if one.labels["trace_id"] in made_up], "exemplars"
    )
    scores = values((driftline.trace(one.labels["trace_id"]) or {} for one in found), "groundedness")
    assert {one.labels["trace_id"]: one.value for one in found} == pytest.approx(scores)
    assert max(scores.values()) <= 0.5
