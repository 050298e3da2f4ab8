"""How much work it is to hold a value against a JSON Schema, before it is done.

`$ref` lets a schema of a few lines ask for the same part twice, and that one for another twice: 2^40 parts in 2 KB. The
validator looks at each as often as it is asked for. So what a schema comes to is counted first, each part once.
"""

from collections.abc import Iterator
from typing import TypeAlias
from urllib.parse import unquote

from collector.core.model import JSON

MOST_CHECKS = 30_000_000
"""Of a value's parts against a schema's parts: a second at most, by 10 to 30 ns each."""

_MOST_PAIRS = 50_000  # that are counted apart

_HERE = ("not", "if", "then", "else")
_HERE_EACH = ("allOf", "anyOf", "oneOf")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_OF_EACH_PROPERTY = ("additionalProperties", "unevaluatedProperties")
_OF_EACH_ITEM = ("items", "additionalItems", "contains", "unevaluatedItems")
_PARTS_BY_NAME = ("dependentSchemas", "dependencies")

_Place: TypeAlias = tuple[str, str | int]
"""Where in a value a part of a schema is asked: ("here", ""), ("property", name), ("item", number), ("each", what)."""


class TooMuchWork(Exception):
    """More than `MOST_CHECKS`, or it cannot be told."""


class SchemaWork:
    """Counts for one schema. `size` is the number of its parts, those that are asked for twice counted twice; None if
    it is not finite, or cannot be told: then it goes by the value how many there are."""

    def __init__(self, schema: JSON) -> None:
        self._root = schema
        self._anchors = {f"#{name}": node for node in _nodes(schema) for name in _names(node)}
        try:
            self.size: int | None = self._unfolded(schema, {})
        except (TooMuchWork, RecursionError):
            self.size = None

    def check(self, value: JSON) -> None:
        """Whether to hold a value against the schema.

        Raises:
            TooMuchWork: better not.
        """
        if self.size is not None and self.size * _count(value, MOST_CHECKS // self.size) <= MOST_CHECKS:
            return
        try:
            checks = self._checks(self._root, value, {})
        except RecursionError:
            raise TooMuchWork from None
        if checks > MOST_CHECKS:
            raise TooMuchWork

    def _unfolded(self, node: JSON, known: dict[int, int | None]) -> int:
        found = known.get(id(node), 0)
        if found is None:
            raise TooMuchWork  # it is a part of itself
        if not found:
            known[id(node)] = None
            known[id(node)] = found = 1 + sum(self._unfolded(part, known) for _, part in self._parts(node))
        return found

    def _checks(self, node: JSON, value: JSON, known: dict[tuple[int, int], int | None]) -> int:
        key = (id(node), id(value))
        found = known.get(key, 0)
        if found is None or len(known) > _MOST_PAIRS:
            raise TooMuchWork
        if not found:
            known[key] = None
            found = 1
            for place, part in self._parts(node):
                found += sum(self._checks(part, inner, known) for inner in _at(place, value))
                if found > MOST_CHECKS:
                    raise TooMuchWork
            known[key] = found
        return found

    def _parts(self, node: JSON) -> Iterator[tuple[_Place, JSON]]:
        """The schemas that a schema asks for, and where."""
        if not isinstance(node, dict):
            return
        for key, part in node.items():
            if key in _HERE:
                yield ("here", ""), part
            elif key in _HERE_EACH and isinstance(part, list):
                yield from ((("here", ""), one) for one in part)
            elif key in _REFERENCES and isinstance(part, str):
                yield ("here", ""), self._referred(part)
            elif key in _PARTS_BY_NAME and isinstance(part, dict):
                yield from ((("here", ""), one) for one in part.values())
            elif key == "properties" and isinstance(part, dict):
                yield from ((("property", name), one) for name, one in part.items())
            elif key == "patternProperties" and isinstance(part, dict):
                yield from ((("each", "property"), one) for one in part.values())
            elif key in _OF_EACH_PROPERTY:
                yield ("each", "property"), part
            elif key == "propertyNames":
                yield ("each", "name"), part
            elif key in ("prefixItems", "items") and isinstance(part, list):
                yield from ((("item", number), one) for number, one in enumerate(part))
            elif key in _OF_EACH_ITEM:
                yield ("each", "item"), part

    def _referred(self, reference: str) -> JSON:
        """Raises TooMuchWork: it names nothing here, or a document within the document."""
        if reference in self._anchors:
            return self._anchors[reference]
        if reference != "#" and not reference.startswith("#/"):
            raise TooMuchWork
        node = self._root
        for step in unquote(reference[2:]).split("/") if len(reference) > 1 else ():
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict) and name in node:
                node = node[name]
            elif isinstance(node, list) and name.isdecimal() and int(name) < len(node):
                node = node[int(name)]
            else:
                raise TooMuchWork
        return node


def _at(place: _Place, value: JSON) -> Iterator[JSON]:
    where, which = place
    if where == "here":
        yield value
    elif isinstance(value, dict):
        if where == "property" and which in value:
            yield value[str(which)]
        elif where == "each" and which != "item":
            yield from value if which == "name" else value.values()
    elif isinstance(value, list):
        if where == "item" and int(which) < len(value):
            yield value[int(which)]
        elif where == "each" and which == "item":
            yield from value


def _nodes(schema: JSON) -> Iterator[dict[str, JSON]]:
    """All mappings in a schema."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _names(node: dict[str, JSON]) -> Iterator[str]:
    """What a mapping may be referred to by, but for its place."""
    for key in ("$anchor", "$dynamicAnchor"):
        if isinstance(name := node.get(key), str):
            yield name


def _count(value: JSON, most: int) -> int:
    """The parts of a value, with names; little more than `most` if there are more."""
    waiting, found = [value], 0
    while waiting and found <= most:
        one = waiting.pop()
        found += 1
        if isinstance(one, dict):
            waiting += one.values()
            found += len(one)
        elif isinstance(one, list):
            waiting += one
    return found
