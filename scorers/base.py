"""What a scorer is: a named, versioned, pure function of a trace, and the scores it gives.

    @scorer(name="politeness", needs=("output",), range=(0, 1), passing=">= 0.5")
    def politeness(trace: Trace) -> float:
        return 1.0 if "please" in (trace.answer or "").lower() else 0.0

A scorer is sync or async, raises freely, never catches, and reads no clock and no global that changes. `scorers.runner`
alone owns needs, timeouts and failures. Parameters after `*` with a default are its options.
"""

import hashlib
import inspect
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_type_hints

import orjson
from pydantic import ConfigDict, ValidationError, create_model

from collector.core.frequency import Frequency
from collector.core.model import Operation, Session, Trace
from scorers.calibrate import Calibration
from scorers.code import code_hash, file_hash
from scorers.needs import known_need
from scorers.passing import Passing, parse_passing
from scorers.targets import Target

Better: TypeAlias = Literal["higher", "lower"]
DEFAULT_TIMEOUT_SECONDS = 5.0
"""For scorers that are not built in. Long enough for a slow lookup, short enough that a hung one is seen at once."""

DEFAULT_RETRIES = 2
MOST_RETRIES = 10
MOST_CONCURRENCY = 100


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a score was found: characters `start` to `end` of the text that was judged."""

    start: int
    end: int
    type: str
    text: str = ""


@dataclass(slots=True)  # not frozen: made for every score, and frozen costs four times as much
class Score:
    """What a scorer says of a trace, or of the operation `span_id`.

    `value` is None where there is only a label or a vector; `passed` None leaves the verdict to the scorer's passing
    expression. `vector` is what was judged as numbers, of any length, and `terms` the words that say most of it: both
    are for monitors alone, and go into no record of the evaluation.
    """

    value: float | None
    passed: bool | None = None
    label: str | None = None
    explanation: str | None = None
    evidence: Sequence[Evidence] = ()
    span_id: str | None = None
    vector: Sequence[float] | bytes | None = field(default=None, compare=False)
    terms: Sequence[str] = field(default=(), compare=False)


class Filtered(Enum):
    """What a scorer may return instead of a score: why it had nothing to say. The reasons are a closed set."""

    RULE_DOES_NOT_APPLY = "rule does not apply"
    EXTRA_NOT_INSTALLED = "extra not installed"


Outcome: TypeAlias = float | bool | str | Score | Sequence[Score] | Filtered | None
Function: TypeAlias = Callable[..., Outcome | Sequence[Outcome] | Awaitable[Outcome]]


@dataclass(frozen=True)
class Scorer:
    """A function with everything the runner, the monitors and the documentation need to know of it.

    Calling it calls the function, so that it can be tested as one.
    """

    name: str
    function: Function
    needs: tuple[str, ...] = ()
    range: tuple[float, float] = (0.0, 1.0)
    passing: Passing | None = None
    better: Better = "higher"
    tier: int = 0
    unit: str = "ratio"
    version: str = "1"
    target: Target = "trace"
    files: tuple[str, ...] = ()
    retry_on: tuple[type[Exception], ...] = ()
    after: tuple[str, ...] = ()
    batch: int = 0
    data: Callable[[dict[str, Any]], Sequence[Path]] | None = None
    required: tuple[str, ...] = ()
    values: bool = True
    told: str = ""
    embeds: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    rate: float = 1.0
    salt: str | None = None
    limit: Frequency | None = None
    calibration: Calibration | None = None
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    retries: int = DEFAULT_RETRIES
    concurrency: int = 1

    def __post_init__(self) -> None:
        low, high = self.range
        if not low < high or math.isnan(low) or math.isnan(high):
            raise ValueError(f"range: {self.range!r} is not (low, high) with low < high")
        if self.better not in ("higher", "lower"):
            raise ValueError(f"better: {self.better!r} is neither 'higher' nor 'lower'")
        if self.target not in get_args(Target):
            raise ValueError(f"target: {self.target!r} is not one of {', '.join(get_args(Target))}")
        if self.tier not in (0, 1, 2):
            raise ValueError(f"tier: {self.tier!r} is not 0, 1 or 2")
        if not 0 <= self.retries <= MOST_RETRIES:
            raise ValueError(f"retries: {self.retries!r} is not 0 to {MOST_RETRIES}")
        if not 1 <= self.concurrency <= MOST_CONCURRENCY:
            raise ValueError(f"concurrency: {self.concurrency!r} is not 1 to {MOST_CONCURRENCY}")
        if self.batch and (self.target != "trace" or self.after):
            raise ValueError("batch: only a scorer of traces by themselves takes several at once")
        if self.concurrency > 1 and not inspect.iscoroutinefunction(self.function):
            raise ValueError(f"concurrency: {self.concurrency} is for a scorer that is `async def`")

    def __call__(
        self, *subject: Operation | Trace | Session | Sequence[Trace], **options: Any
    ) -> Outcome | Sequence[Outcome] | Awaitable[Outcome]:
        if not options:
            return self.function(*subject, **self.options) if self.options else self.function(*subject)
        return self.function(*subject, **{**self.options, **options})

    @property
    def doc(self) -> str:
        """What it says, for people: the first paragraph of the function's docstring, on one line."""
        return self.told or " ".join((inspect.getdoc(self.function) or "").split("\n\n")[0].split())

    @property
    def shipped(self) -> bool:
        """Comes with this package: trusted not to harm the process that it runs in."""
        return self.function.__module__.startswith("scorers.")

    @property
    def built_in(self) -> bool:
        """Of tier 0 or a rule: trusted to be quick as well, so it runs without a thread of its own."""
        return self.function.__module__.startswith(("scorers.builtin.", "scorers.rules."))

    @cached_property
    def code_id(self) -> str:
        """Changes with whatever can change the value that the function gives: code, data, version, options.

        Raises:
            OSError: data cannot be read.
            ValueError: an option names none.
        """
        known = [self.version, code_hash(self.function, self.files), _canonical(self.options)]
        if self.data is not None:
            known += map(file_hash, self.data(self.options))
        return _hash(*known)

    @cached_property
    def evaluator_id(self) -> str:
        """Changes with whatever can change a score: also name, calibration, passing. Not with rate, salt or limit."""
        calibration = self.calibration.model_dump_json() if self.calibration is not None else ""
        return _hash("code", self.name, self.code_id, calibration, str(self.passing))

    @property
    def score_range(self) -> tuple[float, float]:
        """Lowest and highest value of its scores; `range` is what its function may give."""
        return self.range if self.calibration is None else (0.0, 1.0)

    @property
    def score_unit(self) -> str:
        """Of its scores."""
        return self.unit if self.calibration is None else "ratio"

    def configured(
        self,
        *,
        name: str | None = None,
        passing: str | None = None,
        options: dict[str, Any] | None = None,
        rate: float = 1.0,
        salt: str | None = None,
        limit: Frequency | None = None,
        calibration: Calibration | None = None,
        timeout_seconds: float | None = None,
        retries: int | None = None,
        concurrency: int | None = None,
        internal: dict[str, Any] | None = None,
    ) -> "Scorer":
        """This scorer as a configuration wants it.

        Args:
            internal: options that no configuration has, and that are not checked.

        Raises:
            ValueError: the passing expression or an option is wrong, the calibration is of another scorer, or the
                scorer cannot be retried or run side by side; the message names it.
        """
        if passing is None and calibration is not None:
            passing = calibration.passing
        if retries and not self.retry_on:
            raise ValueError(f"retries: {retries}, but the scorer does not say what may pass: @scorer(retry_on=(...))")
        configured = replace(
            self,
            name=self.name if name is None else name,
            passing=self.passing if passing is None else parse_passing(passing),
            options={**self.options, **checked_options(self.function, options or {}), **(internal or {})},
            rate=rate,
            salt=salt,
            limit=limit,
            calibration=calibration,
            timeout_seconds=self.timeout_seconds if timeout_seconds is None else timeout_seconds,
            retries=self.retries if retries is None else retries,
            concurrency=self.concurrency if concurrency is None else concurrency,
        )
        if calibration is not None and calibration.code_id != configured.code_id:
            found = f"fitted to {calibration.scorer!r} of code {calibration.code_id}, and this is {configured.code_id}"
            raise ValueError(f"calibration: it was {found}; calibrate again with `driftline score --calibrate`")
        return configured


def scorer(
    *,
    name: str,
    needs: Sequence[str] = (),
    range: tuple[float, float] = (0, 1),  # noqa: A002 - the word of the contract
    passing: str | None = None,
    better: Better = "higher",
    tier: int = 0,
    unit: str = "ratio",
    version: str = "1",
    target: Target = "trace",
    files: Sequence[str] = (),
    retry_on: Sequence[type[Exception]] = (),
    after: Sequence[str] = (),
    batch: int = 0,
    data: Callable[[dict[str, Any]], Sequence[Path]] | None = None,
    required: Sequence[str] = (),
    values: bool = True,
    doc: str = "",
    embeds: bool = False,
) -> Callable[[Function], Scorer]:
    """Make a scorer of a function.

    Args:
        name: what configuration, metrics and records call it.
        needs: names of `scorers.needs.NEEDS` (of `SESSION_NEEDS` if the target is the session, also of
            `OPERATION_NEEDS` if it is an operation); without one of them the candidate is filtered.
        range: lowest and highest value; others are refused. `float("inf")` where there is no bound.
        passing: what passes, such as `>= 0.5`; None leaves scores unjudged unless the function judges.
        better: whether higher or lower values are better.
        tier: 0 deterministic, 1 a small local model, 2 a judge.
        unit: of the value, such as `ratio` or `seconds`.
        version: change it when the meaning of scores changes.
        target: what a score is about. Of an operation, the function is called as `f(operation, trace)`.
        files: data that scores depend on, such as a model's weights: names in the folder of the function's file.
        retry_on: exceptions that may pass: the call is tried again, within its timeout.
        after: scorers of the same trace whose scores it is given, by name, as its second argument: those that gave
            one. A score of several operations is not told.
        batch: the function is called with up to so many traces, and gives an outcome for each; 0: with one.
        data: the files that options name and scores depend on, such as a model; called with the options.
        required: options that a configuration has to set.
        values: whether its scores have any; False for one that only gives labels.
        doc: what it says, for people; without, the docstring.
        embeds: its scores have vectors, and monitors of it watch those.

    Raises:
        ValueError: a wrong need, range or passing expression.
    """
    wanted = tuple(known_need(need, target) for need in ((needs,) if isinstance(needs, str) else needs))
    verdict = None if passing is None else parse_passing(passing)
    low, high = range

    def declare(function: Function) -> Scorer:
        return Scorer(
            name=name,
            function=function,
            needs=wanted,
            range=(float(low), float(high)),
            passing=verdict,
            better=better,
            tier=tier,
            unit=unit,
            version=version,
            target=target,
            files=tuple(files),
            retry_on=tuple(retry_on),
            after=tuple(after),
            batch=batch,
            data=data,
            required=tuple(required),
            values=values,
            told=doc,
            embeds=embeds,
        )

    return declare


def option_defaults(function: Function) -> dict[str, Any]:
    """The options of a scorer: its keyword-only parameters and their defaults."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def checked_options(function: Function, given: dict[str, Any]) -> dict[str, Any]:
    """`given`, as the types that the function's parameters are annotated with.

    Raises:
        ValueError: an unknown option, or a value of another type.
    """
    defaults = option_defaults(function)
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        allowed = ", ".join(defaults) or "none: this scorer has no options"
        raise ValueError(f"options.{unknown[0]}: not an option; allowed are {allowed}")
    if not given:
        return {}
    hints = get_type_hints(function, include_extras=True)
    fields: Any = {name: (hints.get(name, Any), default) for name, default in defaults.items()}
    try:
        model = create_model("Options", __config__=ConfigDict(arbitrary_types_allowed=True), **fields)(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"options.{first['loc'][0]}: {first['msg']}, got {first['input']!r}") from None
    return {name: getattr(model, name) for name in given}


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _canonical(options: dict[str, Any]) -> str:
    plain = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
    return orjson.dumps(options, default=repr, option=plain).decode()
