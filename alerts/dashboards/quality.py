"""Dashboards of what the application does: everything, one service, and the kinds of applications."""

from alerts.dashboards.model import Dashboard, Panel, Query, Row, Variable
from alerts.dashboards.parts import (
    METRIC,
    MONITOR,
    SCORER,
    SERVICE,
    SLICE,
    evidence,
    judged,
    not_scored,
    pass_rates,
    quantile,
    rate,
    scores,
)

_OF_SERVICE = 'slice=~"(.*,)?service=$service(,.*)?"'
_CHANGE = 'monitor=~"$monitor", metric=~"$metric", slice=~"$slice"'


def overview() -> Dashboard:
    return Dashboard(
        "driftline-overview",
        "Driftline / Overview",
        "Is anything worse than it was, where, and since when. Start here when a page comes.",
        [SERVICE, SCORER, MONITOR, METRIC, SLICE],
        [
            Row("Now", [_open(), _budget(), _scored(), _behind()]),
            Row("Changes", [_changes(), _sizes(), evidence(_CHANGE), _levels(_CHANGE)]),
            Row("Quality", [pass_rates('scorer=~"$scorer"'), judged('scorer=~"$scorer"')]),
        ],
    )


def one_service() -> Dashboard:
    return Dashboard(
        "driftline-service",
        "Driftline / Service",
        "One service: its scores, its slices and versions, before and now, and traces to open.",
        [Variable("service", "driftline_valid_total", many=False), SCORER],
        [
            Row("Scores", [pass_rates('scorer=~"$scorer"'), scores('scorer=~"$scorer"')]),
            Row(
                "Slices and versions",
                [
                    _levels(_OF_SERVICE),
                    Panel(
                        "Versions, before and now",
                        "The level of each version within the last hour, and what it was a day ago. A version that "
                        "is new "
                        "has no yesterday.",
                        [
                            Query(f"driftline_estimate_ratio{{{_OF_SERVICE}}}", "{{metric}} {{slice}} now"),
                            Query(
                                f"driftline_estimate_ratio{{{_OF_SERVICE}}} offset 1d", "{{metric}} {{slice}} a day ago"
                            ),
                        ],
                        "percentunit",
                        "table",
                    ),
                    evidence(_OF_SERVICE),
                    Panel(
                        "Typical values",
                        "Of metrics without a range, such as latency, tokens and cost: the geometric mean of the "
                        "last hour, in "
                        "the metric's unit. Only monitors with `statistic: typical` have it.",
                        [Query(f"driftline_typical_value{{{_OF_SERVICE}}}", "{{metric}} {{slice}}")],
                    ),
                ],
            ),
            Row("What was not scored", [judged('scorer=~"$scorer"'), not_scored('scorer=~"$scorer"')]),
        ],
    )


def rag() -> Dashboard:
    return _of_kind(
        "rag",
        "RAG",
        "Do answers rest on what was retrieved, and was the right thing retrieved.",
        "groundedness.*|context_.*|answer_.*|retrieval_.*|empty_retrieval|unused_contexts|citations",
    )


def agents() -> Dashboard:
    return _of_kind(
        "agents",
        "Agents",
        "Do tool calls hold, do runs get on, what is wasted.",
        "tool_.*|argument_provenance|repeated_calls|cycles|unchanged_retry|error_recovery|wasted_.*|plan_adherence|failure_step",
        Row(
            "Work",
            [
                Panel(
                    "Model calls for each trace",
                    "An agent that goes round in circles calls more often for the same.",
                    [
                        Query(
                            f"{rate('driftline_model_calls_total', 'model')} / on () group_left () "
                            'sum (rate(driftline_traces_total{outcome="evaluated"}[$__rate_interval]))',
                            "{{model}}",
                        )
                    ],
                ),
                Panel(
                    "Model calls that failed",
                    "Calls a second, by model and outcome.",
                    [Query(rate("driftline_model_calls_total", "model, outcome"), "{{model}} {{outcome}}")],
                    "reqps",
                ),
            ],
        ),
    )


def safety() -> Dashboard:
    return _of_kind(
        "safety",
        "Safety",
        "What must not get in or out: personal data, secrets, injections, leaks, hate, harm, refusals.",
        "pii|secrets|prompt_injection|context_injection|prompt_leak|exfiltration|toxicity|self_harm|refusal.*",
        Row(
            "Redaction",
            [
                Panel(
                    "Places replaced",
                    "What was replaced before it was kept or sent, a second, by rule. `failed` means that texts were "
                    "left out "
                    "since the finder of names failed.",
                    [Query(rate("driftline_redacted_total", "type"), "{{type}}")],
                    "reqps",
                )
            ],
        ),
    )


def cost() -> Dashboard:
    return Dashboard(
        "driftline-cost",
        "Driftline / Cost and tokens",
        "What model calls cost, take and how long they last.",
        [Variable("model", "driftline_model_calls_total")],
        [
            Row(
                "Money",
                [
                    Panel(
                        "Cost an hour",
                        "Dollars an hour by model, as the library told it or from list prices. Calls without a known "
                        "price are "
                        "not in it.",
                        [Query(f"3600 * {rate('driftline_model_cost_dollars_total', 'model', _MODEL)}", "{{model}}")],
                        "currencyUSD",
                    ),
                    Panel(
                        "Cost of a call",
                        "Dollars for each call, by model. A rise with the same traffic is longer prompts or answers.",
                        [
                            Query(
                                f"{rate('driftline_model_cost_dollars_total', 'model', _MODEL)} / "
                                f"{rate('driftline_model_calls_total', 'model', _MODEL)}",
                                "{{model}}",
                            )
                        ],
                        "currencyUSD",
                    ),
                ],
            ),
            Row(
                "Tokens and time",
                [
                    Panel(
                        "Tokens a second",
                        "By model and kind. `cached_input` is a part of `input`, `reasoning` one of `output`.",
                        [Query(rate("driftline_model_tokens_total", "model, kind", _MODEL), "{{model}} {{kind}}")],
                    ),
                    Panel(
                        "How long calls take",
                        "Median and upper twentieth of the time of a model call.",
                        [
                            Query(quantile(0.5, "driftline_model_call_seconds", "model", _MODEL), "{{model}} median"),
                            Query(quantile(0.95, "driftline_model_call_seconds", "model", _MODEL), "{{model}} 95%"),
                        ],
                        "s",
                    ),
                    Panel(
                        "Until the first token",
                        "Of streamed calls: the median and upper twentieth of the time until something is shown.",
                        [
                            Query(
                                quantile(0.5, "driftline_model_first_token_seconds", "model", _MODEL),
                                "{{model}} median",
                            ),
                            Query(
                                quantile(0.95, "driftline_model_first_token_seconds", "model", _MODEL), "{{model}} 95%"
                            ),
                        ],
                        "s",
                    ),
                    Panel(
                        "Calls by outcome",
                        "Calls a second; those that failed cost and delay too.",
                        [Query(rate("driftline_model_calls_total", "model, outcome", _MODEL), "{{model}} {{outcome}}")],
                        "reqps",
                    ),
                ],
            ),
        ],
    )


_MODEL = 'model=~"$model"'


def _of_kind(name: str, title: str, description: str, scorers: str, *more: Row) -> Dashboard:
    chosen = f'scorer=~"{scorers}"'
    changed = f'metric=~"{scorers}"'
    return Dashboard(
        f"driftline-{name}",
        f"Driftline / {title}",
        description,
        [SERVICE],
        [
            Row("Scores", [pass_rates(chosen), scores(chosen)]),
            Row("Changes", [_levels(changed), evidence(changed)]),
            *more,
            Row("What they rest on", [judged(chosen), not_scored(chosen)]),
        ],
    )


def _open() -> Panel:
    return Panel(
        "Open changes",
        "Changes that were found and are not over. The page of Driftline says of each what carries it and which "
        "traces to open.",
        [Query('sum(driftline_change_active{monitor=~"$monitor", metric=~"$metric"})')],
        kind="stat",
        alarm=1,
        width=6,
    )


def _budget() -> Panel:
    return Panel(
        "False pages by now, at most",
        "How many false pages were to be expected so far, at most, by construction. It grows at the rate of "
        "`false_pages`.",
        [Query("sum(driftline_false_page_budget_spent)")],
        kind="stat",
        width=6,
    )


def _scored() -> Panel:
    return Panel(
        "Traces evaluated",
        "A second. None, while spans come in, means that nothing would be noticed.",
        [Query('sum(rate(driftline_traces_total{outcome="evaluated"}[$__rate_interval]))')],
        "reqps",
        "stat",
        width=6,
        to="driftline-pipeline",
    )


def _behind() -> Panel:
    return Panel(
        "Behind",
        "How long spans wait until they are worked on. Past a minute scorers are left out, the dearest first.",
        [Query("max(driftline_behind_seconds)")],
        "s",
        "stat",
        warn=60,
        alarm=300,
        width=6,
        to="driftline-pipeline",
    )


def _changes() -> Panel:
    return Panel(
        "Since when",
        "Each open change with the time at which it began, by estimate.",
        [Query(f"driftline_change_onset_timestamp_seconds{{{_CHANGE}}} * 1000", "{{metric}} {{slice}}")],
        "dateTimeAsIso",
        "table",
    )


def _sizes() -> Panel:
    return Panel(
        "By how much",
        "The level since minus the level before, as a part of the range; of typical values, of the level before. At "
        "first it is "
        "overestimated.",
        [Query(f"driftline_change_size_ratio{{{_CHANGE}}}", "{{metric}} {{slice}}")],
        "percentunit",
        "table",
    )


def _levels(chosen: str) -> Panel:
    return Panel(
        "Levels with their intervals",
        "Weighted mean or pass rate of the last hour of event time in each watched slice, with the 95% interval.",
        [
            Query(f"driftline_estimate_ratio{{{chosen}}}", "{{metric}} {{slice}}"),
            Query(f"driftline_estimate_lower_ratio{{{chosen}}}", "{{metric}} {{slice}} lower"),
            Query(f"driftline_estimate_upper_ratio{{{chosen}}}", "{{metric}} {{slice}} upper"),
        ],
        "percentunit",
        to="driftline-service",
    )


DASHBOARDS = (overview, one_service, rag, agents, safety, cost)
