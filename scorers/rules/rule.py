"""An operator's rule as a scorer: what must and must not be, of the traces it applies to.

    rules:
      - id: no-price-promises
        description: Prices are quoted with their conditions.
        when: {service: shop, question: {matches: '(?i)price|discount'}}
        must: [{answer: {contains: subject to change}}]
        must_not: [{answer: {matches: '(?i)guarantee'}}]

The id is the scorer's name: in records, metrics and monitors, for an audit to go by.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import orjson
import yaml
from pydantic import Field, field_validator

from collector.core.errors import UserError
from collector.core.model import Session, Trace
from collector.core.settings import Settings
from collector.sample import Rate
from scorers.base import Filtered, Score, Scorer, scorer
from scorers.rules.conditions import BadCondition, Condition, parse_condition
from scorers.rules.facts import FIELDS, SESSION_FIELDS, Facts

_NO_SCORES: Mapping[str, Score] = MappingProxyType({})
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class RuleConfig(Settings):
    """One entry of `rules:`."""

    id: str = Field(description="what records, metrics and monitors call it: letters, digits, `.`, `_`, `-`")
    description: str = Field("", description="what it is for, for people")
    target: Literal["trace", "session"] = Field("trace", description="what it is held of: a trace or a whole session")
    when: dict[str, Any] = Field(default_factory=dict, description="a condition: the traces that it applies to; all")
    must: Sequence[dict[str, Any]] = Field((), description="conditions that all have to hold")
    must_not: Sequence[dict[str, Any]] = Field((), description="conditions of which none may hold")
    rate: Rate = Field(default=1.0, description="share of the sampled traces that it is applied to")

    @field_validator("id")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not _ID.fullmatch(value):
            raise ValueError(f"{value!r} is not a name of letters, digits, '.', '_' and '-', up to 100 of them")
        return value

    @field_validator("must", "must_not", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return [value] if isinstance(value, Mapping) else value


@dataclass(frozen=True)
class Clause:
    """A condition, where it stands, and what it must be."""

    where: str
    condition: Condition
    wanted: bool


@dataclass(frozen=True, repr=False)
class Rule:
    """Its `repr` is what its evaluator id is a hash of: what it asks, but not what it is called or described as."""

    text: str
    words: str
    when: Condition | None
    clauses: tuple[Clause, ...]

    def __repr__(self) -> str:
        return self.text


def judge_rule(
    subject: Trace | Session, scores: Mapping[str, Score] = _NO_SCORES, *, rule: Rule
) -> Score | Filtered | None:
    """1 if the rule is kept, 0 if it is broken. None if the trace or the session does not tell."""
    facts = Facts(subject, scores)
    if rule.when is not None and rule.when.judge(facts).truth is not True:
        return Filtered.RULE_DOES_NOT_APPLY
    told = [(clause, clause.condition.judge(facts)) for clause in rule.clauses]
    broken = [(clause, one) for clause, one in told if one.truth is (not clause.wanted)]
    if not broken:
        return None if any(one.truth is None for _, one in told) else Score(1.0, label="kept")
    said = "; ".join(f"{clause.where}: {clause.condition.told}" for clause, _ in broken)
    evidence = tuple(item for _, one in broken for item in one.evidence)
    return Score(0.0, label="broken", explanation=said, evidence=evidence)


def rule_scorer(config: RuleConfig) -> Scorer:
    """The scorer that a rule is.

    Raises:
        ValueError: with where in the rule, what and what is allowed.
    """
    if not config.must and not config.must_not:
        raise ValueError("it has neither must nor must_not, so nothing can break it")
    fields = FIELDS if config.target == "trace" else SESSION_FIELDS
    when = parse_condition(config.when, "when", fields) if config.when else None
    clauses = [
        Clause(where, parse_condition(raw, where, fields), wanted)
        for name, several, wanted in (("must", config.must, True), ("must_not", config.must_not, False))
        for at, raw in enumerate(several)
        for where in (f"{name}[{at}]",)
    ]
    text = orjson.dumps(
        [config.target, config.when, config.must, config.must_not], option=orjson.OPT_SORT_KEYS, default=str
    ).decode()
    asked = [clause.condition for clause in clauses] + ([when] if when is not None else [])
    declare = scorer(
        name=config.id,
        passing="== 1",
        target=config.target,
        after=sorted(frozenset().union(*(condition.scores for condition in asked))),
        doc=config.description or in_words(when, clauses),
    )
    rule = Rule(text, in_words(when, clauses), when, tuple(clauses))
    return declare(judge_rule).configured(internal={"rule": rule}, rate=config.rate)


def in_words(when: Condition | None, clauses: Sequence[Clause]) -> str:
    """A rule as a sentence."""
    said = [f"{'must' if clause.wanted else 'must not'} be: {clause.condition.told}" for clause in clauses]
    return (f"when {when.told}, " if when is not None else "") + "; ".join(said)


def load_rules(configs: Sequence[RuleConfig], scorers: Sequence[Scorer]) -> list[Scorer]:
    """The rules of a configuration, each after those that it asks.

    Args:
        configs: `rules:`.
        scorers: what else is scored.

    Raises:
        UserError: with every wrong rule, by its path.
    """
    found: dict[str, Scorer] = {}
    problems: list[str] = []
    taken = {one.name for one in scorers}
    for number, config in enumerate(configs):
        if config.id in taken:
            problems.append(f"rules[{number}].id: {config.id!r} is the name of another scorer or rule")
        taken.add(config.id)
        try:
            found[config.id] = rule_scorer(config)
        except ValueError as error:
            problems.append(f"rules[{number}]{'.' if isinstance(error, BadCondition) else ': '}{error}")
    problems += _wrong_questions(configs, found, scorers)
    if problems:
        raise UserError(*problems)
    return _ordered(found)


def _wrong_questions(
    configs: Sequence[RuleConfig], rules: Mapping[str, Scorer], scorers: Sequence[Scorer]
) -> list[str]:
    """Rules that ask scorers which are not there, or cannot be asked."""
    known = {one.name: one for one in (*scorers, *rules.values())}
    problems = []
    for number, config in enumerate(configs):
        for name in rules[config.id].after if config.id in rules else ():
            asked = known.get(name)
            if asked is None:
                problems.append(f"rules[{number}]: score {name!r} is not one of {', '.join(sorted(known))}")
            elif asked.target != "trace":
                problems.append(f"rules[{number}]: {name!r} scores each {asked.target}, and rules ask of whole traces")
            elif asked.salt is not None:
                problems.append(f"rules[{number}]: {name!r} has a salt, so that it sees other traces than the rule")
    return problems


def _ordered(rules: dict[str, Scorer]) -> list[Scorer]:
    """Raises UserError if rules ask one another in a circle."""
    done: dict[str, Scorer] = {}
    while len(done) < len(rules):
        ready = [
            one for name, one in rules.items() if name not in done and not (set(one.after) & rules.keys()) - done.keys()
        ]
        if not ready:
            left = ", ".join(name for name in rules if name not in done)
            raise UserError(f"rules: {left} ask for each other's scores in a circle")
        done |= {one.name: one for one in ready}
    return list(done.values())


def rule_of_file(path: Path, name: str) -> Scorer:
    """The rule `name` of a file with `rules:`, which may be a whole configuration.

    Raises:
        UserError: the file cannot be read, has no such rule, or the rule is wrong or asks for other scores.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read as YAML: {error}") from None
    raw = document.get("rules") if isinstance(document, dict) else document
    rules = [one for one in raw if isinstance(one, dict)] if isinstance(raw, list) else []
    chosen = [one for one in rules if one.get("id") == name]
    if not chosen:
        raise UserError(f"{path} has no rule {name!r}; its rules are {', '.join(str(one.get('id')) for one in rules)}")
    try:
        one = rule_scorer(RuleConfig.model_validate(chosen[0]))
    except ValueError as error:  # of pydantic too
        raise UserError(f"{path}: rule {name!r}: {error}") from None
    if one.after:
        raise UserError(f"{path}: rule {name!r} asks for the scores of {', '.join(one.after)}: apply it in a service")
    return one
