"""The `objectives:` section of the configuration: which share of the scores has to pass."""

import re
from collections.abc import Collection, Sequence
from typing import Annotated, Literal

from pydantic import Field

from collector.core.errors import UserError
from collector.core.settings import Duration, Settings

_DAY_SECONDS = 86400.0
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")

Service = Annotated[str, Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^{}]+$")]
"""Without braces: it becomes a label of alerts, and in those they begin a template."""


class ObjectiveConfig(Settings):
    """Which share of a scorer's scores has to pass: a service level objective, for `driftline rules`."""

    scorer: Name = Field(description="the scorer whose scores have to pass")
    target: float = Field(gt=0, lt=1, description="share of the scores that has to pass, between 0 and 1: 0.95")
    window: Duration = Field(
        30 * _DAY_SECONDS, ge=7 * _DAY_SECONDS, le=90 * _DAY_SECONDS, description="over how long, from 7d to 90d"
    )
    name: Name | None = Field(None, description="what rules and alerts call it; the scorer's name if left out")
    by: tuple[Literal["service"], ...] = Field(
        ("service",),
        max_length=1,
        description="[service]: each service must reach the target; []: all together",
    )
    services: tuple[Service, ...] = Field((), max_length=100, description="only these services; none: all there are")
    min_events: int = Field(
        50, ge=1, le=1_000_000, description="judged scores that an alert must rest on; with fewer there is none"
    )

    @property
    def title(self) -> str:
        return self.name or self.scorer

    @property
    def slug(self) -> str:
        """The title as names of Kubernetes, Sloth and OpenSLO may be written (RFC 1123, a label).

        >>> ObjectiveConfig(scorer="answer_relevance", target=0.9).slug
        'answer-relevance'
        """
        return _NOT_IN_A_NAME.sub("-", self.title.lower()).strip("-")[:50].strip("-") or "objective"


def check_objectives(objectives: Sequence[ObjectiveConfig], scorers: Collection[str], judging: Collection[str]) -> None:
    """Hold objectives against the scorers there are.

    Args:
        scorers: the names of all.
        judging: the names of those that say whether a score passes.

    Raises:
        UserError: with every objective that can never be measured, or that has another's name.
    """
    problems: list[str] = []
    named: dict[str, int] = {}
    for number, one in enumerate(objectives):
        path = f"objectives[{number}]"
        if one.scorer not in scorers:
            problems.append(f"{path}.scorer: {one.scorer!r} is not one of the scorers ({', '.join(sorted(scorers))})")
        elif one.scorer not in judging:
            problems.append(f"{path}.scorer: {one.scorer} passes no judgement; give the scorer `passing`")
        if one.slug in named:
            problems.append(f"{path}.name: {one.title!r} is taken by objectives[{named[one.slug]}]; give it another")
        named.setdefault(one.slug, number)
    if problems:
        raise UserError(*problems)
