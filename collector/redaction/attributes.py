"""Which attributes are left alone, and which are replaced whatever is in them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, TypeAlias

import re2

Verdict: TypeAlias = Literal["allow", "deny"] | None

_LONGEST = 300  # characters of a name that are looked at: no convention's are longer


class AttributeLists:
    """`*` in a pattern stands for any characters; a name on both lists is denied.

    >>> lists = AttributeLists(allow=["resource.*"], deny=["*.password"])
    >>> lists.verdict("resource.service.name"), lists.verdict("resource.db.password"), lists.verdict("user.id")
    ('allow', 'deny', None)
    """

    def __init__(self, allow: Sequence[str] = (), deny: Sequence[str] = ()) -> None:
        self._allow, self._deny = _compiled(allow), _compiled(deny)
        self.verdict = lru_cache(maxsize=4096)(self._verdict)

    def _verdict(self, name: str) -> Verdict:
        shown = name[:_LONGEST]
        if self._deny is not None and self._deny.fullmatch(shown):
            return "deny"
        return "allow" if self._allow is not None and self._allow.fullmatch(shown) else None

    def of_any(self, names: Sequence[str]) -> Verdict:
        """The verdict on what has several names."""
        verdicts = [self.verdict(name) for name in names]
        return "deny" if "deny" in verdicts else "allow" if "allow" in verdicts else None


def _compiled(patterns: Sequence[str]):  # type: ignore[no-untyped-def]  # RE2's types are not known
    if not patterns:
        return None
    return re2.compile(
        "(?s)" + "|".join(".*".join(re2.escape(part) for part in pattern.split("*")) for pattern in patterns)
    )
