"""What is redacted, how, and with which key."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from collector.core.component import load
from collector.core.errors import UserError
from collector.core.settings import Secret, Settings
from collector.core.telemetry import Telemetry
from collector.redaction.attributes import AttributeLists
from collector.redaction.keys import LEAST_CHARACTERS
from collector.redaction.own import OwnRule, OwnRules
from collector.redaction.redactor import FindNames, Redactor
from collector.redaction.replace import Action
from collector.redaction.rules import RULES

_GROUP = "driftline.redactors"
_MOST_RULES = 100


def _not_empty(pattern: str) -> str:
    if not pattern or len(pattern) > 300:
        raise ValueError(f"{pattern!r:.60} is not the name of an attribute of 1 to 300 characters, `*` for any")
    return pattern


AttributePattern: TypeAlias = Annotated[str, AfterValidator(_not_empty)]


class RedactConfig(Settings):
    """Personal data and credentials are replaced before anything is kept, shown, logged or sent."""

    at: Literal["output", "receive"] = Field(
        "output",
        description="`output`: scorers see spans as they came, and all that leaves them is redacted; `receive`: spans "
        "are redacted before they are written to the inbox",
    )
    key: Secret | None = Field(
        None,
        description="of the tokens, 16 characters or more, the same for all workers; null: a random one is kept beside "
        "the store",
    )
    action: Literal["hash", "mask", "drop"] = Field(
        "hash",
        description="`hash`: a token such as `<email:b8c1...>`, the same for the same value; `mask`: a mark such as "
        "`[EMAIL]`; `drop`: nothing",
    )
    actions: Mapping[str, Action] = Field(
        default_factory=dict, description="what is done by single rules; `keep` switches a rule off"
    )
    rules: Sequence[OwnRule] = Field((), description="rules of your own", max_length=_MOST_RULES)
    names: str | None = Field(
        None,
        min_length=1,
        description="what finds the names of people: MODULE:NAME or ./FILE.py:NAME, a function of a text that gives "
        "(start, end) pairs",
    )
    allow: Sequence[AttributePattern] = Field(
        ("*.version", "prompt_version"),
        description="attributes that are left as they are; `*` stands for any characters",
    )
    deny: Sequence[AttributePattern] = Field((), description="attributes that are replaced whatever is in them")

    @model_validator(mode="after")
    def _rules_are_known(self) -> "RedactConfig":
        own = [rule.name for rule in self.rules]
        if twice := next((name for name in own if own.count(name) > 1), None):
            raise ValueError(f"rules: {twice!r} is there twice")
        known = (*RULES, *own)
        if unknown := next((name for name in self.actions if name not in known), None):
            raise ValueError(f"actions: {unknown!r} is not one of the rules {', '.join(known)}")
        if self.actions.get("denied") == "keep":
            raise ValueError("actions: 'denied' cannot be kept; take the attribute off the `deny` list")
        if self.key is not None and len(self.key.get_secret_value()) < LEAST_CHARACTERS:
            raise ValueError(f"key: has fewer than {LEAST_CHARACTERS} characters, which could be guessed")
        return self

    def action_of(self, rule: str) -> Action:
        """What is done by a rule."""
        own = {one.name: one.action for one in self.rules if one.action is not None}
        return self.actions.get(rule) or own.get(rule) or self.action


def find_names(config: RedactConfig, base: Path | None = None) -> FindNames | None:
    """The user's finder of names.

    Raises:
        UserError: there is no such function.
    """
    if config.names is None:
        return None
    try:
        found = load(config.names, _GROUP, base)
    except UserError as error:
        raise UserError(*(f"redact.names: {problem}" for problem in error.problems)) from None
    if not callable(found):
        raise UserError(f"redact.names: {config.names!r} is a {type(found).__name__}, not a function of a text")
    return found


def attribute_lists(config: RedactConfig) -> AttributeLists:
    return AttributeLists(config.allow, config.deny)


def build_redactor(
    config: RedactConfig, key: bytes, base: Path | None = None, telemetry: Telemetry | None = None
) -> Redactor:
    """The redactor that a configuration describes.

    Args:
        key: for the tokens, if the configuration has none.
        base: the folder that relative files start from.
        telemetry: where replacements are counted.

    Raises:
        UserError: the finder of names cannot be had.
    """
    tell = None
    if telemetry is not None:
        counter = telemetry.counter(
            "driftline_redacted",
            "Places replaced in what was to be kept, shown or sent, by rule; failed: texts left out because the "
            "finder of names failed.",
            ["type"],
        )
        for rule in (*RULES, *(rule.name for rule in config.rules), "failed"):
            if config.actions.get(rule) != "keep":
                counter.add(0, rule)
        tell = counter.add_all
    return Redactor(
        config.key.get_secret_value().encode() if config.key is not None else key,
        {rule: config.action_of(rule) for rule in (*RULES, *(rule.name for rule in config.rules))},
        config.action,
        OwnRules(config.rules) if config.rules else None,
        find_names(config, base),
        tell,
    )
