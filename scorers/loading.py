"""From the entries of `scorers:` in a configuration to scorers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from collector.allowance import Limit
from collector.core.component import load
from collector.core.errors import UserError
from collector.core.settings import Duration, Settings
from collector.sample import Rate
from scorers.base import MOST_CONCURRENCY, MOST_RETRIES, Scorer
from scorers.calibrate import Calibration, load_calibration
from scorers.rules.rule import rule_of_file

GROUP = "driftline.scorers"
_YAML = (".yaml", ".yml")


class ScorerConfig(Settings):
    """One entry of `scorers:`, a name or a mapping: `refusal`, or `{use: ./my_scorers.py:politeness, rate: 0.5}`."""

    use: str = Field(min_length=1, description="a built-in's name, MODULE:NAME, or ./FILE.py:NAME")
    name: str | None = Field(default=None, min_length=1, description="what to call it, where one scorer is used twice")
    rate: Rate = Field(default=1.0, description="share of the sampled traces that it scores; 0 means never")
    salt: str | None = Field(default=None, description="makes the choice by its `rate` apart from those of others")
    limit: Limit | None = Field(default=None, description="how often it may run at most, over all workers")
    calibration: Path | None = Field(default=None, description="a file of `driftline score --calibrate`")
    passing: str | None = Field(default=None, description="what passes, such as '>= 0.6'")
    options: dict[str, Any] = Field(default_factory=dict, description="the scorer's own parameters")
    timeout: Duration | None = Field(default=None, description="for scorers that are not built in; 5s if not given")
    retries: int | None = Field(
        default=None,
        ge=0,
        le=MOST_RETRIES,
        description="how often a call that failed in passing is tried again, within the timeout; 2 if not given",
    )
    isolation: Literal["process", "thread"] = Field(
        default="process", description="where one of your own runs: apart from the service, or on a thread of it"
    )
    concurrency: int = Field(
        default=1, ge=1, le=MOST_CONCURRENCY, description="how many calls of an async scorer are under way at once"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"use": value} if isinstance(value, str) else value


def load_scorer(config: ScorerConfig, base: Path | None = None) -> Scorer:
    """The scorer that an entry names, configured.

    Args:
        config: the entry.
        base: the folder that relative files start from.

    Raises:
        UserError: there is no such scorer, it is no scorer, or an option or passing expression is wrong.
    """
    file, _, name = config.use.rpartition(":")
    found = rule_of_file((base or Path.cwd()) / file, name) if file.endswith(_YAML) else load(config.use, GROUP, base)
    if not isinstance(found, Scorer):
        what = "a function without the @scorer(...) decorator" if callable(found) else f"a {type(found).__name__}"
        raise UserError(f"use: {config.use!r} is {what}, not a scorer")
    if config.timeout is not None and config.timeout <= 0:
        raise UserError(f"timeout: {config.use!r} needs more than 0 seconds")
    try:
        configured = found.configured(
            name=config.name,
            passing=config.passing,
            options=config.options,
            rate=config.rate,
            salt=config.salt,
            limit=config.limit,
            calibration=_calibration(config, base),
            timeout_seconds=config.timeout,
            retries=config.retries,
            concurrency=config.concurrency,
        )
        _ = configured.evaluator_id  # reads the data it depends on
    except ValueError as error:
        raise UserError(f"{config.use!r}: {error}") from None
    except OSError as error:
        raise UserError(f"{config.use!r}: {error.filename} cannot be read: {error.strerror}") from None
    return configured


def _calibration(config: ScorerConfig, base: Path | None) -> Calibration | None:
    """Raises UserError."""
    return None if config.calibration is None else load_calibration((base or Path.cwd()) / config.calibration)


def load_scorers(configs: Sequence[ScorerConfig], base: Path | None = None) -> list[Scorer]:
    """All entries of a configuration.

    Raises:
        UserError: with every wrong entry, each by its path.
    """
    loaded: list[Scorer] = []
    problems: list[str] = []
    for number, config in enumerate(configs):
        try:
            one = load_scorer(config, base)
        except UserError as error:
            problems.extend(f"scorers[{number}]: {problem}" for problem in error.problems)
            continue
        problems += [
            f"scorers[{number}].options.{name}: {config.use!r} needs it; `driftline scorers` says what for"
            for name in one.required
            if not one.options.get(name)
        ]
        if any(other.name == one.name for other in loaded):
            problems.append(f"scorers[{number}]: {one.name!r} is there already; give this one another `name`")
        loaded.append(one)
    if problems:
        raise UserError(*problems)
    return loaded
