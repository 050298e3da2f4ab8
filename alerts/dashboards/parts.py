"""Queries and panels that several dashboards have."""

from alerts.dashboards.model import Panel, Query, Variable

SERVICE = Variable("service", "driftline_valid_total")
SCORER = Variable("scorer", "driftline_decisions_total")
MONITOR = Variable("monitor", "driftline_change_evidence_ratio")
METRIC = Variable("metric", "driftline_change_evidence_ratio")
SLICE = Variable("slice", "driftline_change_evidence_ratio")
INSTANCE = Variable("instance", "driftline_stage_loops_total")

HERE = 'instance=~"$instance"'
"""The processes that `INSTANCE` chooses."""
RATE = "$__rate_interval"


def rate(metric: str, by: str, chosen: str = "") -> str:
    """Per second, summed over everything but the labels of `by`.

    >>> rate("driftline_traces_total", "outcome")
    'sum by (outcome) (rate(driftline_traces_total[$__rate_interval]))'
    """
    labels = f"{{{chosen}}}" if chosen else ""
    return f"sum by ({by}) (rate({metric}{labels}[{RATE}]))"


def pass_rate(by: str, chosen: str) -> str:
    """Of scores that were judged; weighted, so that it is that of all traffic."""
    return f"{rate('driftline_good_total', by, chosen)} / {rate('driftline_valid_total', by, chosen)}"


def quantile(q: float, metric: str, by: str, chosen: str = "") -> str:
    return f"histogram_quantile({q:g}, {rate(f'{metric}_bucket', f'le, {by}', chosen)})"


def pass_rates(scorers: str) -> Panel:
    return Panel(
        "Pass rate",
        "The share of all traffic that passes, by scorer and service, estimated from what was sampled. It wavers where "
        "few "
        "traces are scored: whether it has changed is what the changes say, not this line.",
        [Query(pass_rate("scorer, service", f'{scorers}, service=~"$service"'), "{{scorer}} {{service}}")],
        "percentunit",
        to="driftline-service",
    )


def scores(scorers: str) -> Panel:
    chosen = f'{scorers}, service=~"$service"'
    return Panel(
        "Scores between 0 and 1",
        "Median and lower tenth of what scorers said, not weighted. Points are exemplars: click one for its trace.",
        [
            Query(quantile(0.5, "driftline_score_ratio", "scorer", chosen), "{{scorer}} median", exemplars=True),
            Query(quantile(0.1, "driftline_score_ratio", "scorer", chosen), "{{scorer}} lower tenth"),
        ],
        "percentunit",
    )


def judged(scorers: str) -> Panel:
    return Panel(
        "Scores that were judged",
        "How many scores the pass rates rest on, a second, each counted once. Without any, a pass rate is no data.",
        [Query(rate("driftline_judged_scores_total", "scorer", f'{scorers}, service=~"$service"'), "{{scorer}}")],
        "reqps",
    )


def not_scored(scorers: str) -> Panel:
    return Panel(
        "Why traces were not scored",
        "Candidates without a score, a second, by decision and reason. `driftline why TRACE` tells it of one trace.",
        [
            Query(
                rate("driftline_decisions_total", "decision, reason", f'{scorers}, decision!="scored"'),
                "{{decision}} {{reason}}",
            )
        ],
        "reqps",
        to="driftline-evaluators",
    )


def evidence(metrics: str) -> Panel:
    return Panel(
        "Evidence for a change",
        "Evidence over the threshold that the budget of false pages sets: at 1 it is a change. It moves up and down by "
        "itself; ten times as much evidence is as rare as a tenth of a false page.",
        [Query(f"topk(10, driftline_change_evidence_ratio{{{metrics}}})", "{{metric}} {{slice}}")],
        "short",
        warn=0.1,
        alarm=1.0,
        to="driftline-overview",
    )
