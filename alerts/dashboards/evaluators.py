"""The dashboard of Driftline's evaluators."""

from alerts.dashboards.model import Dashboard, Panel, Query, Row
from alerts.dashboards.parts import INSTANCE, SCORER, quantile, rate

_SCORERS = 'scorer=~"$scorer"'
_ERROR = f'{_SCORERS}, outcome="error"'


def evaluators() -> Dashboard:
    return Dashboard(
        "driftline-evaluators",
        "Driftline / Evaluators",
        "Do scorers score, how long do they take, and what becomes of each candidate.",
        [SCORER, INSTANCE],
        [
            Row(
                "What becomes of each candidate",
                [
                    Panel(
                        "Decisions",
                        "Candidates a second by decision: scored, or the reason class why not. They add up to all "
                        "candidates.",
                        [Query(rate("driftline_decisions_total", "decision", _SCORERS), "{{decision}}")],
                        "reqps",
                    ),
                    Panel(
                        "Not scored, by reason",
                        "Candidates a second that have no score, by scorer and reason.",
                        [
                            Query(
                                rate(
                                    "driftline_decisions_total",
                                    "scorer, decision, reason",
                                    f'{_SCORERS}, decision!="scored"',
                                ),
                                "{{scorer}} {{decision}} {{reason}}",
                            )
                        ],
                        "reqps",
                    ),
                    Panel(
                        "Verdicts",
                        "Scores a second by outcome. A scorer without a passing expression is unjudged.",
                        [
                            Query(
                                rate("driftline_evaluations_total", "scorer, outcome", _SCORERS),
                                "{{scorer}} {{outcome}}",
                            )
                        ],
                        "reqps",
                    ),
                    Panel(
                        "Failing scorers",
                        "The share of runs that ended in an error. A judge that is down shows here first.",
                        [
                            Query(
                                f"{rate('driftline_evaluations_total', 'scorer', _ERROR)} / "
                                f"{rate('driftline_evaluations_total', 'scorer', _SCORERS)}",
                                "{{scorer}}",
                            )
                        ],
                        "percentunit",
                        warn=0.01,
                        alarm=0.1,
                    ),
                ],
            ),
            Row(
                "What they take",
                [
                    Panel(
                        "Time of a run",
                        "Median and upper hundredth, by scorer.",
                        [
                            Query(quantile(0.5, "driftline_scorer_seconds", "scorer", _SCORERS), "{{scorer}} median"),
                            Query(quantile(0.99, "driftline_scorer_seconds", "scorer", _SCORERS), "{{scorer}} 99%"),
                        ],
                        "s",
                    ),
                    Panel(
                        "Processors busy",
                        "How many processors each scorer keeps busy, or how many calls of a judge are under way on "
                        "average.",
                        [Query(rate("driftline_scorer_seconds_sum", "scorer", _SCORERS), "{{scorer}}")],
                    ),
                    Panel(
                        "Tried again",
                        "Calls a second that failed in passing and were tried again.",
                        [Query(rate("driftline_scorer_retries_total", "scorer", _SCORERS), "{{scorer}}")],
                        "reqps",
                    ),
                    Panel(
                        "Suspended",
                        "1 for a scorer that hung so often that this process no longer calls it: restart after it was "
                        "mended.",
                        [Query(f"max by (scorer) (driftline_scorer_suspended{{{_SCORERS}}})", "{{scorer}}")],
                        kind="stat",
                        alarm=1,
                    ),
                ],
            ),
            Row(
                "Which they are",
                [
                    Panel(
                        "Evaluators",
                        "The id of each evaluator: scorer, version and options. Where it changes, so may the scores.",
                        [
                            Query(
                                f"max by (scorer, evaluator_id, tier) (driftline_scorer_info{{{_SCORERS}}})",
                                "{{scorer}} {{evaluator_id}} tier {{tier}}",
                            )
                        ],
                        kind="table",
                    ),
                    Panel(
                        "Scores at the monitors",
                        "Scores a second by what monitors did with them: watched, no_monitor, no_verdict, revised, "
                        "invalid.",
                        [Query(rate("driftline_points_total", "metric, outcome"), "{{metric}} {{outcome}}")],
                        "reqps",
                    ),
                ],
            ),
        ],
    )
