"""Every query of every dashboard, asked of a real Prometheus that scrapes a real Driftline after real traffic."""

import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from alerts.dashboards.write import ANNOTATIONS, every
from alerts.exposition import CLASSIC
from tests.real.parts.exposition import exposition
from tests.real.parts.prometheus import Prometheus
from tests.real.regression import regressed

METRICS = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
CONFIG = {
    "scorers": [
        *(
            "groundedness",
            "answer_relevance",
            "context_relevance",
            "refusal",
            "pii",
            "toxicity",
            "latency",
            "tool_call_validity",
        ),
        *("cost", "repeated_calls"),
    ],
    "monitors": [
        {"watch": "groundedness", "by": ["service", "version"], "warmup": 50, "min_points": 5},
        {"watch": "refusal", "by": ["service"], "warmup": 20},
        {"watch": "latency", "statistic": "typical", "by": ["service"], "warmup": 20},
    ],
    "false_pages": "1 per hour",
}

QUIET = {
    "rag": {"Why traces were not scored"},
    "safety": {"Why traces were not scored"},
    "agents": {"Evidence for a change", "Levels with their intervals"},  # no monitor watches a scorer of agents
    "cost": {"Until the first token"},  # nothing is streamed
    "evaluators": {"Failing scorers", "Suspended", "Tried again"},
    "pipeline": {
        *("Refused", "Not let in", "Left out", "Failed commits", "Open traces"),
        "Waiting",  # no sessions
        *("Records to be read", "Messages to be read", "Retention, pauses, leaders"),  # no Kafka
        *("Exported", "Scores as events"),  # not configured
    },
}
"""Panels of which a query has no data where nothing is wrong, or what it is about is not there."""

YESTERDAY = "offset 1d"


@pytest.fixture(scope="module")
def lived(
    tmp_path_factory: pytest.TempPathFactory, prometheus_factory: Callable[..., Prometheus]
) -> Iterator[Prometheus]:
    """An open change, and a version that is compared."""
    with regressed(tmp_path_factory.mktemp("lived"), prometheus_factory, CONFIG) as (_, prometheus):
        prometheus.wait_for("sum(driftline_change_active) >= 1")
        yield prometheus


@pytest.fixture(scope="module")
def everything(prometheus_factory: Callable[..., Prometheus]) -> Iterator[Prometheus]:
    """Each metric that is documented, with each of its labels: what does not happen in a healthy run."""
    turns = count(1)
    with exposition(lambda _: (documented(next(turns)).encode(), CLASSIC)) as address:
        prometheus = prometheus_factory([address])
        prometheus.wait_for("sum(rate(driftline_points_total[1m])) > 0")
        yield prometheus


def documented(turn: int) -> str:
    """An exposition of all metrics in docs/metrics.md; counters grow with each turn."""
    lines = []
    rows = re.findall(r"^\| `(driftline_\w+)` \| (\w+) \|[^|]*\|([^|]*)\|", METRICS, re.MULTILINE)
    assert len(rows) > 70
    for name, kind, labels in rows:
        pairs = [f'{label}="{_VALUES.get(label, "some")}"' for label in re.findall(r"`(\w+)`", labels)]
        for variant in _variants(name, pairs):
            if kind == "histogram":
                lines += [f"{name}_bucket{{{','.join([*variant, le])}}} {turn}" for le in ('le="1"', 'le="+Inf"')]
                lines += [f"{name}_sum{{{','.join(variant)}}} {turn}", f"{name}_count{{{','.join(variant)}}} {turn}"]
            else:
                lines.append(f"{name}{{{','.join(variant)}}} {turn if kind == 'counter' else 1}")
    return "\n".join(lines) + "\n"


_VALUES = {"service": "shop", "slice": "service=shop,version=2", "scorer": "groundedness", "metric": "groundedness"}


def _variants(name: str, pairs: list[str]) -> Iterator[list[str]]:
    """The outcomes and scorers that queries ask for by name."""
    yield pairs
    outcomes = {"driftline_evaluations_total": "error", "driftline_traces_total": "evaluated"}
    if name in outcomes:
        yield [f'outcome="{outcomes[name]}"' if pair.startswith("outcome=") else pair for pair in pairs]
    if any(pair.startswith(("scorer=", "metric=")) for pair in pairs):
        for other in ("tool_call_validity", "pii"):
            yield [re.sub(r"^(scorer|metric)=.*", rf'\1="{other}"', pair) for pair in pairs]


def test_every_query_has_an_answer(lived: Prometheus, everything: Prometheus) -> None:
    silent: dict[str, set[str]] = {}
    for one in every():
        for panel in (panel for row in one.rows for panel in row.panels):
            for query in panel.queries:
                promql = re.sub(r"\$\w+", ".*", query.promql.replace("$__rate_interval", "1m"))
                if YESTERDAY in promql:
                    promql = promql.replace(f" {YESTERDAY}", "")
                if lived.query(promql):
                    continue
                silent.setdefault(one.uid.removeprefix("driftline-"), set()).add(panel.title)
                assert everything.query(promql), f"{one.uid}, {panel.title}: {promql}"
    for name, titles in silent.items():
        assert titles <= QUIET.get(name, set()), name


def test_annotations_tell_of_changes_and_deploys(lived: Prometheus) -> None:
    for promql, _ in ANNOTATIONS.values():
        # Prometheus has watched for less than the interval: all that there is began within it
        assert lived.wait_for(promql.replace("$__interval", "1h"))


def test_exemplars_of_a_panel_lead_to_traces(lived: Prometheus) -> None:
    found = lived.exemplars('driftline_score_ratio_bucket{scorer="groundedness"}')
    assert found
    assert all(len(one.labels["trace_id"]) == 32 for one in found)


def test_a_new_version_that_is_seen_in_traces_is_compared(lived: Prometheus) -> None:
    (verdict,) = lived.query("driftline_gate_verdict")
    assert {name: verdict.labels[name] for name in ("service", "version", "baseline")} == {
        "service": "shop-assistant",
        "version": "v2",
        "baseline": "v1",
    }
    (worse,) = lived.query('driftline_gate_difference_upper_ratio{scorer="groundedness"}')
    assert worse.value < 0.5
    assert lived.query('driftline_gate_difference_ratio{scorer="groundedness"} < -0.1')
