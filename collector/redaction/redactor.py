"""Replaces, in texts and JSON values, what the rules find."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from collector.core.model import JSON
from collector.redaction.credentials import find_credentials, is_named_secret
from collector.redaction.found import Found, Taken, readable, tokens, without_escapes
from collector.redaction.own import OwnRules
from collector.redaction.personal import find_personal
from collector.redaction.replace import Action, mark, token
from collector.redaction.rules import DENIED, NAME, RULE_OF_TYPE, SECRET

FAILED = "[NOT REDACTED: LEFT OUT]"
"""What stands for a text that could not be looked through."""

_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_LEAST_LONG = 10**12  # a number of 13 digits
_MOST_PASSES = 20  # a pass finds what the one before had hidden, in text that is made to be confusing
_MOST_DEPTH = 32
_IDENTIFIER = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
"""A UUID: no rule of ours takes one for a value, and sessions and users are called so."""
_SHORT_CHARACTERS = 200  # names, models, sessions, explanations: the same few come again and again
_PASSAGE_CHARACTERS = 4096  # of a knowledge base, or a message that every span of a conversation repeats
_JSON_START = re.compile(r"\s{0,100}[\[{]")

FindNames = Callable[[str], Iterable[tuple[int, int]]]
Tell = Callable[[Mapping[tuple[str, ...], float]], None]


class Redactor:
    """Replaces and counts. May be used by several threads.

    Args:
        key: of the tokens; without one, marks stand where tokens would.
        actions: what is done by rule, where it is not `otherwise`.
        otherwise: what is done by all other rules.
        own: the user's rules.
        names: the user's finder of names.
        tell: is told how much was replaced, by rule.

    >>> redactor = Redactor()
    >>> redactor.text("Mail jo@example.org, or pay 4111 1111 1111 1111")
    'Mail [EMAIL], or pay [CREDIT_CARD]'
    >>> redactor.count
    2
    >>> Redactor(b"a key of mine").text("Mail jo@example.org")
    'Mail <email:ac97e03c142447bb>'
    """

    def __init__(
        self,
        key: bytes | None = None,
        actions: Mapping[str, Action] | None = None,
        otherwise: Action = "hash",
        own: OwnRules | None = None,
        names: FindNames | None = None,
        tell: Tell | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._key, self._actions, self._otherwise = key, dict(actions or {}), otherwise
        self._own, self._names, self._tell = own, names, tell
        self._wants_secrets = self._action(SECRET) != "keep"
        self._wants_personal = any(self._action(rule) != "keep" for rule in RULE_OF_TYPE.values())
        self._only_ours = own is None and names is None
        self._short = lru_cache(maxsize=8192)(self._redacted)
        self._passage = lru_cache(maxsize=1024)(self._redacted)

    @property
    def count(self) -> int:
        """How many places were replaced so far."""
        return self.counts.total()

    def text(self, text: str) -> str:
        """The text with everything that is found replaced; a text that was redacted before stays as it is."""
        if len(text) <= _SHORT_CHARACTERS:
            clean, rules = self._short(text)
        else:
            clean, rules = (self._passage if len(text) <= _PASSAGE_CHARACTERS else self._redacted)(text)
        if rules:
            self._count(rules)
        return clean

    def whole(self, text: str, rule: str = DENIED) -> str:
        """What stands for all of a text."""
        if not text or [(item.start, item.end) for item in tokens(text)] == [(0, len(text))]:
            return text
        self._count((rule,))
        return self._instead(rule, text)

    def json_text(self, text: str, depth: int = 0) -> str:
        """As `text`; if it is JSON, it stays JSON, and what its escapes hide is found too."""
        if _JSON_START.match(text) and depth < _MOST_DEPTH:
            try:
                value = orjson.loads(text)
            except (orjson.JSONDecodeError, UnicodeEncodeError, RecursionError):
                return self.text(text)
            clean = self.value(value, depth + 1)
            return text if clean == value else orjson.dumps(clean).decode()
        return self.text(text)

    def value(self, value: JSON, depth: int = 0) -> JSON:
        """A JSON value with every text in it redacted, names of fields too."""
        if isinstance(value, str):
            return self.json_text(value, depth)
        if depth > _MOST_DEPTH:
            return None if isinstance(value, list | tuple | dict) else value
        if isinstance(value, list | tuple):
            return [self.value(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return self._fields(value, depth + 1)
        if type(value) is int and abs(value) >= _LEAST_LONG:  # such as a card's, which somebody did not quote
            told = self.text(str(value))
            return value if told == str(value) else told
        return value

    def field(self, name: str, value: JSON, depth: int = 0) -> JSON:
        """A password is known by the name beside it, which may be that of its field."""
        if self._wants_secrets and isinstance(value, str) and is_named_secret(name, value) and value != mark(SECRET):
            return self.whole(value, SECRET)
        return self.value(value, depth)

    def _fields(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for name, item in value.items():
            first = clean = self.text(str(name))
            number = 1
            while clean in told:  # two names that are both an address are still two fields
                number += 1
                clean = f"{first} {number}"
            told[clean] = self.field(str(name), item, depth)
        return told

    # --- one text ---

    def _redacted(self, text: str) -> tuple[str, tuple[str, ...]]:
        """The text, and the rules by which something was replaced, once for each place."""
        rules: list[str] = []
        if self._only_ours and _IDENTIFIER.fullmatch(text):
            return text, ()
        for _ in range(_MOST_PASSES):
            clean = self._pass(text, rules)
            if clean == text:
                break
            text = clean
        return text, tuple(rules)

    def _pass(self, text: str, rules: list[str]) -> str:
        if self._wants_secrets:
            text = self._replace(
                text, [(item.start, item.end, SECRET) for item in _in_any_reading(find_credentials, text)], rules
            )
        if self._wants_personal:
            text = self._replace(text, _in_any_reading(find_personal, text), rules)
        if self._own is not None:
            text = self._replace(text, self._own.find(text), rules)
        return self._without_names(text, rules) if self._names is not None else text

    def _replace(self, text: str, found: Sequence[tuple[int, int, str]], rules: list[str]) -> str:
        if not found:
            return text
        parts: list[str] = []
        done = 0
        for start, end, kind in found:
            value = text[start:end]
            if kind == "URL":
                instead = self._address(value, rules)
            else:
                rule = RULE_OF_TYPE.get(kind, kind)
                if self._action(rule) == "keep" or value == mark(rule):  # a mark beside "password" looks like one
                    continue
                instead = self._instead(rule, value)
                rules.append(rule)
            parts += (text[done:start], instead)
            done = end
        return "".join((*parts, text[done:])) if parts else text

    def _address(self, url: str, rules: list[str]) -> str:
        """A web address stays, but for what is in it."""
        scheme = _SCHEME.match(url)
        assert scheme is not None
        rest = url[scheme.end() :]
        return scheme[0] + self._replace(rest, find_personal(rest, len(rest)), rules)

    def _without_names(self, text: str, rules: list[str]) -> str:
        assert self._names is not None
        try:
            given = sorted({(int(start), int(end)) for start, end in self._names(text)})
        except Exception:  # the user's code: a text that was not looked through does not leave
            rules.append("failed")
            return FAILED
        taken, found = Taken(text), []
        for start, end in given:
            if 0 <= start < end <= len(text) and taken.free(start, end):
                taken.take(start, end)
                found.append((start, end, NAME))
        return self._replace(text, found, rules)

    def _action(self, rule: str) -> Action:
        return self._actions.get(rule, self._otherwise)

    def _instead(self, rule: str, value: str) -> str:
        action = self._action(rule)
        if action == "drop":
            return ""
        if action == "hash" and self._key is not None:
            return token(self._key, rule, readable(value))
        return mark(rule)

    def _count(self, rules: Sequence[str]) -> None:
        counted = Counter(rules)
        self.counts.update(counted)
        if self._tell is not None:
            self._tell({(rule,): count for rule, count in counted.items()})


def _in_any_reading(find: Callable[[str, int], list[Found]], text: str) -> list[Found]:
    """What is found in a text as it is, and where escapes are read as the spaces that most of them stand for."""
    found = find(text, len(text))
    spaced = without_escapes(text)
    if spaced == text:
        return found
    taken = Taken(text)
    for item in found:
        taken.take(item.start, item.end)
    return sorted([*found, *(item for item in find(spaced, len(text)) if taken.free(item.start, item.end))])
