"""What an agent does after a tool failed: the same again, or something that works."""

import re
from itertools import islice

from collector.core.model import Trace
from scorers.base import Score, scorer
from scorers.steps import Step, same_call, steps_of

_PASSES = re.compile(
    r"time[ -]?out|timed[ -]out|rate.?limit|too many requests|\b(?:429|502|503|504)\b|temporar|unavailable|overloaded"
    r"|try again|connection (?:reset|refused|aborted)",
    re.IGNORECASE,
)
_ERROR_CHARACTERS = 2_000


@scorer(name="unchanged_retry", needs=("tool_executions",), range=(0, 1), passing="== 0", better="lower", version="1")
def unchanged_retry(trace: Trace) -> Score | None:
    """Share of the failed tool runs after which the tool is run with the same arguments again, as if it might now work.

    Failures that pass by themselves (timeout, rate limit, 503, reset connection) are not counted. Nothing is said of a
    trace without others. Wrong on: retries that a repair in between makes right; passing failures told in other words.
    """
    runs = [step for step in steps_of(trace) if step.kind == "tool"]
    failed = [at for at, run in enumerate(runs) if run.failed and not _PASSES.search(run.text[:_ERROR_CHARACTERS])]
    if not failed:
        return None
    following = _following(runs)
    unchanged = [at for at in failed if (then := following[at]) is not None and _same(runs[at], runs[then])]
    told = f"{len(unchanged)} of {len(failed)} failed runs were tried again unchanged"
    return Score(
        round(len(unchanged) / len(failed), 6),
        label="unchanged" if unchanged else "changed",
        explanation=told + _names(runs, unchanged),
    )


@scorer(name="error_recovery", needs=("tool_executions",), range=(0, 1), version="1")
def error_recovery(trace: Trace) -> Score | None:
    """Share of the tools that failed and worked when they were run later. Nothing is said where no tool failed.

    Wrong on: a failure made good by another tool, or one that the agent rightly tells the user about, which count as
    not recovered; results that tell of an error in words of their own, which do not count as failed.
    """
    runs = [step for step in steps_of(trace) if step.kind == "tool"]
    last_failure = {run.name: at for at, run in enumerate(runs) if run.failed}
    if not last_failure:
        return None
    last_success = {run.name: at for at, run in enumerate(runs) if not run.failed}
    lost = [at for name, at in last_failure.items() if last_success.get(name, -1) < at]
    recovered = len(last_failure) - len(lost)
    return Score(
        round(recovered / len(last_failure), 6),
        label="recovered" if not lost else "not recovered",
        explanation=f"{recovered} of {len(last_failure)} tools that failed worked later{_names(runs, lost)}",
    )


def _following(runs: list[Step]) -> list[int | None]:
    """For each run, the next of the same tool."""
    found: list[int | None] = [None] * len(runs)
    coming: dict[str, int] = {}
    for at in range(len(runs) - 1, -1, -1):
        found[at] = coming.get(runs[at].name)
        coming[runs[at].name] = at
    return found


def _same(one: Step, other: Step) -> bool:
    return one.arguments is not None and same_call(one) == same_call(other)


def _names(runs: list[Step], which: list[int]) -> str:
    named = list(islice(dict.fromkeys(runs[at].name for at in which), 5))
    return f": {', '.join(named)}" if named else ""
