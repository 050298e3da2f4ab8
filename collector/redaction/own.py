"""The user's own rules: regular expressions in RE2, whose time is linear in the text whatever the pattern."""

import re
from collections.abc import Sequence

from pydantic import Field, field_validator

from collector.core.settings import Settings
from collector.patterns import PatternSet, compiled
from collector.redaction.found import Found, Taken
from collector.redaction.replace import Action
from collector.redaction.rules import RULES

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MOST_CHARACTERS = 1000


class OwnRule(Settings):
    """A rule of one's own, such as `{name: employee, pattern: 'EMP-[0-9]{6}'}`."""

    name: str = Field(description="what tokens, marks and metrics call it: small letters, digits and _")
    pattern: str = Field(
        description="a regular expression as RE2 reads it; with a group, only what the group matches is replaced"
    )
    ignore_case: bool = Field(False, description="whether capital and small letters are one")
    action: Action | None = Field(None, description="what is done; as `redact.action` if not given")

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a small letter and up to 39 small letters, digits and _")
        if name in RULES or name == "failed":
            raise ValueError(f"{name!r} is a rule already; `redact.actions` says what is done by it")
        return name

    @field_validator("pattern")
    @classmethod
    def _can_be_used(cls, pattern: str) -> str:
        if len(pattern) > _MOST_CHARACTERS:
            raise ValueError(f"has {len(pattern)} characters; {_MOST_CHARACTERS} are allowed")
        if compiled(pattern).search("") is not None:
            raise ValueError(f"{pattern!r} matches nothing at all, and so everywhere; it must match something")
        return pattern


class OwnRules:
    """All of them together; the first that claims a character has it."""

    def __init__(self, rules: Sequence[OwnRule]) -> None:
        patterns = {rule.name: f"(?i){rule.pattern}" if rule.ignore_case else rule.pattern for rule in rules}
        self._patterns = PatternSet(patterns, ignore_case=False)

    def find(self, text: str) -> list[Found]:
        """All of it, in order, without overlaps."""
        found: list[Found] = []
        taken: Taken | None = None
        for hit in self._patterns.hits(text, len(text)):
            taken = taken or Taken(text)
            start, end = next((span for span in hit.group_spans if span[0] >= 0), (hit.start, hit.end))
            if start < end and taken.free(start, end):
                taken.take(start, end)
                found.append(Found(start, end, hit.name))
        return sorted(found)
