"""Conditions of rules: what is said of a trace, true, false, or unknown where the trace does not tell.

    {service: shop, question: {matches: '(?i)price'}}      all of a mapping hold
    {any: [{model: gpt-4o}, {not: {error: true}}]}         and all:, which takes a list too
    {tool: {name: refund, arguments.amount: {gt: 100}}}    a tool call of which all of this holds
    {score: {groundedness: {lt: 0.3}}}                     what another scorer said of the trace

Three-valued logic (Kleene 1938): what is unknown decides nothing that is not decided without it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

from collector.core.model import Trace
from scorers.base import Evidence
from scorers.rules.comparisons import EXISTS, Test, parse_test
from scorers.rules.facts import (
    ARGUMENTS,
    FIELDS,
    RESOURCE,
    TOOL_FIELDS,
    Facts,
    Field,
    Kind,
    Value,
    tool_runs,
    values_of,
    values_of_tool,
)

_DEEPEST = 20
_WITH_EVIDENCE = ("question", "answer")


class Told(NamedTuple):
    """Whether a condition holds, None if that is unknown, and where in question or answer that shows."""

    truth: bool | None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Condition:
    """`told` is how people read it; `scores` are the scorers that it asks."""

    told: str
    judge: Callable[[Facts], Told]
    scores: frozenset[str] = frozenset()


class BadCondition(ValueError):
    """`path` says where in the condition, such as `tool.name`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)


def parse_condition(raw: Any, path: str = "", fields: Mapping[str, Field] = FIELDS, depth: int = 0) -> Condition:
    """The condition that a mapping of the configuration says.

    Args:
        raw: the mapping.
        path: where it stands.
        fields: what may be asked of: `FIELDS` of traces or `SESSION_FIELDS`.
        depth: how deep it is nested.

    Raises:
        BadCondition: with where, what and what is allowed.
    """
    if depth > _DEEPEST:
        raise BadCondition(path, f"conditions are nested more than {_DEEPEST} deep")
    if not isinstance(raw, Mapping) or not raw:
        raise BadCondition(path, f"{raw!r} is not a condition, such as {{answer: {{contains: refund}}}}")
    parts = [_parse_part(str(name), value, _join(path, str(name)), fields, depth) for name, value in raw.items()]
    return parts[0] if len(parts) == 1 else _all(parts)


def _parse_part(name: str, value: Any, path: str, fields: Mapping[str, Field], depth: int) -> Condition:
    if name in ("all", "any"):
        if not isinstance(value, Sequence) or isinstance(value, str) or not value:
            raise BadCondition(path, f"{value!r} is not a list of conditions")
        parts = [parse_condition(one, f"{path}[{at}]", fields, depth + 1) for at, one in enumerate(value)]
        return _all(parts) if name == "all" else _any(parts)
    if name == "not":
        return _not(parse_condition(value, path, fields, depth + 1))
    if name == "tool":
        return _tool(value, path)
    of_traces = [f"{RESOURCE}NAME", "score"] if fields is FIELDS else []
    if name == "score" and of_traces:
        return _score(value, path)
    if name.startswith(RESOURCE) and name != RESOURCE and of_traces:
        return _field(name, None, value, path)
    if name not in fields:
        known = [*fields, *of_traces, "tool", "all", "any", "not"]
        near = get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f" ({', '.join(known)})"
        raise BadCondition(path, f"{name!r} is not a field that rules know{hint}")
    return _field(name, fields[name].kind, value, path)


def _all(parts: Sequence[Condition]) -> Condition:
    def judge(facts: Facts) -> Told:
        told = [part.judge(facts) for part in parts]
        if any(one.truth is False for one in told):
            return Told(False)
        return Told(None if any(one.truth is None for one in told) else True, _evidence(told))

    return Condition(" and ".join(_grouped(part) for part in parts), judge, _scores(parts))


def _any(parts: Sequence[Condition]) -> Condition:
    def judge(facts: Facts) -> Told:
        told = [part.judge(facts) for part in parts]
        if holding := [one for one in told if one.truth]:
            return Told(True, _evidence(holding))
        return Told(None if any(one.truth is None for one in told) else False)

    return Condition(" or ".join(_grouped(part) for part in parts), judge, _scores(parts))


def _not(inner: Condition) -> Condition:
    def judge(facts: Facts) -> Told:
        truth = inner.judge(facts).truth
        return Told(None if truth is None else not truth)

    return Condition(f"not ({inner.told})", judge, inner.scores)


def _field(name: str, kind: Kind | None, value: Any, path: str) -> Condition:
    tests, exists = _tests(value, kind, path)

    def judge(facts: Facts) -> Told:
        values = values_of(name, facts.subject)
        if exists is not None and bool(values) is not exists:
            return Told(False)
        if not tests:
            return Told(True)
        if not values:
            return Told(None)
        of_trace = isinstance(facts.subject, Trace)
        return _first(values, tests, name if of_trace and name in _WITH_EVIDENCE else "")

    return Condition(_told(name, tests, exists), judge)


def _first(values: Sequence[Value], tests: Sequence[Test], where: str) -> Told:
    """Whether a value holds all tests."""
    for value in values:
        matches = [test.match(value) for test in tests]
        if all(match.holds for match in matches):
            found = [Evidence(match.start, match.end, where) for match in matches if where and match.end]
            return Told(True, tuple(found))
    return Told(False)


def _tool(value: Any, path: str) -> Condition:
    if not isinstance(value, Mapping) or not value:
        raise BadCondition(path, f"{value!r} is not what a tool call is, such as {{name: refund}}")
    asked: list[tuple[str, list[Test], bool | None]] = []
    for key, wanted in value.items():
        name = str(key)
        if name not in TOOL_FIELDS and (not name.startswith(ARGUMENTS) or name == ARGUMENTS):
            allowed = ", ".join((*TOOL_FIELDS, f"{ARGUMENTS}NAME"))
            raise BadCondition(_join(path, name), f"{name!r} is not one of {allowed}")
        asked.append((name, *_tests(wanted, TOOL_FIELDS.get(name), _join(path, name))))

    def judge(facts: Facts) -> Told:
        for run in tool_runs(facts.subject):
            if all(_holds(values_of_tool(name, run), tests, exists) for name, tests, exists in asked):
                return Told(True)
        return Told(False)

    return Condition("a tool call with " + ", ".join(_told(*one) for one in asked), judge)


def _holds(values: Sequence[Value], tests: Sequence[Test], exists: bool | None) -> bool:
    if exists is not None and bool(values) is not exists:
        return False
    return not tests or bool(_first(values, tests, "").truth)


def _score(value: Any, path: str) -> Condition:
    if not isinstance(value, Mapping) or not value:
        raise BadCondition(path, f"{value!r} is not what scores are, such as {{groundedness: {{lt: 0.5}}}}")
    return _all([_one_score(str(name), wanted, _join(path, str(name))) for name, wanted in value.items()])


def _one_score(name: str, wanted: Any, path: str) -> Condition:
    by_part: dict[str, Any] = {}
    if isinstance(wanted, Mapping):
        by_part = {key: wanted[key] for key in ("passed", "label") if key in wanted}
        wanted = {key: test for key, test in wanted.items() if key not in by_part}
    conditions: list[tuple[str, list[Test], bool | None]] = []
    if wanted != {}:
        conditions.append(("", *_tests(wanted, "number", path)))
    kinds: dict[str, Kind] = {"passed": "truth", "label": "text"}
    conditions += [(key, *_tests(one, kinds[key], _join(path, key))) for key, one in by_part.items()]
    if any(exists is not None for _, _, exists in conditions):
        raise BadCondition(path, "whether a score exists is not asked: without it the condition is unknown")

    def judge(facts: Facts) -> Told:
        score = facts.scores.get(name)
        if score is None:
            return Told(None)
        parts: dict[str, Value | None] = {"": score.value, "passed": score.passed, "label": score.label}
        truths = [
            None if (part := parts[key]) is None else _first([part], tests, "").truth for key, tests, _ in conditions
        ]
        return Told(False if False in truths else None if None in truths else True)

    told = ", ".join(_told(f"the {key or 'score'} of {name}", tests, None) for key, tests, _ in conditions)
    return Condition(told, judge, frozenset({name}))


def _tests(value: Any, kind: Kind | None, path: str) -> tuple[list[Test], bool | None]:
    """The tests that `value` says, and whether there must be a value, None if that is not asked."""
    if not isinstance(value, Mapping):
        value = {"in": value} if isinstance(value, list) else {"is": value}
    exists = value.get(EXISTS)
    if exists is not None and not isinstance(exists, bool):
        raise BadCondition(_join(path, EXISTS), f"{exists!r} is not true or false")
    found = []
    for name, wanted in value.items():
        if name == EXISTS:
            continue
        try:
            found.append(parse_test(str(name), wanted, kind))
        except ValueError as error:
            raise BadCondition(_join(path, str(name)), str(error)) from None
    if not found and exists is None:
        raise BadCondition(path, "nothing is asked of it")
    return found, exists


def _told(name: str, tests: Sequence[Test], exists: bool | None) -> str:
    parts = [test.told for test in tests]
    if exists is not None:
        parts.insert(0, "is there" if exists else "is not there")
    return f"{name} {' and '.join(parts)}"


def _grouped(part: Condition) -> str:
    return f"({part.told})" if " or " in part.told else part.told


def _evidence(told: Sequence[Told]) -> tuple[Evidence, ...]:
    return tuple(item for one in told for item in one.evidence)


def _scores(parts: Sequence[Condition]) -> frozenset[str]:
    return frozenset().union(*(part.scores for part in parts))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
