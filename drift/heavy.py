"""The keys that are met most, of any number of keys, in a table of fixed size.

Misra, Gries, "Finding repeated elements", Science of Computer Programming 2 (1982). Of N keys in all, a table of m
counts each too low by N / (m + 1) at most and never too high; so every key with more than that part of the traffic is
in it. All counts are halved from time to time, so that what was met long ago makes room.
"""

from typing import Any

Key = tuple[str, ...]

_HALVE_AFTER = 64  # keys for each place in the table


class HeavyHitters:
    """Counts keys, at most `size` of them at a time; time is constant for each, over many.

    >>> table = HeavyHitters(2)
    >>> for letter in "abacada":
    ...     table.add((letter,))
    >>> table.count(("a",)), table.count(("b",))
    (3, 0)
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._counts: dict[Key, int] = {}
        self._added = 0  # since counts were halved

    def add(self, key: Key) -> None:
        counts = self._counts
        if key in counts:
            counts[key] += 1
        elif len(counts) < self.size:
            counts[key] = 1
        else:  # one of each is struck out, with this one
            self._counts = {other: count - 1 for other, count in counts.items() if count > 1}
        self._added += 1
        if self._added >= _HALVE_AFTER * self.size:
            self._added = 0
            self._counts = {other: count // 2 for other, count in self._counts.items() if count > 1}

    def count(self, key: Key) -> int:
        return self._counts.get(key, 0)

    def most(self, least: int) -> list[tuple[Key, int]]:
        """Keys that were met `least` times or more, the most frequent first."""
        found = [(key, count) for key, count in self._counts.items() if count >= least]
        return sorted(found, key=lambda item: (-item[1], item[0]))

    def to_json(self) -> dict[str, Any]:
        return {"added": self._added, "counts": [[list(key), count] for key, count in self._counts.items()]}

    def load_json(self, raw: Any) -> None:
        """Take over what `to_json` gave; ValueError, TypeError or KeyError if it cannot be."""
        added, counts = raw["added"], {}
        if type(added) is not int or added < 0 or type(raw["counts"]) is not list:
            raise ValueError(f"added is {added!r:.80}; a whole number, not negative, and a list of counts are needed")
        for key, count in raw["counts"]:
            if type(key) is not list or any(type(part) is not str for part in key) or type(count) is not int:
                raise ValueError(f"a count is {key!r:.80}, {count!r:.80}; texts and a whole number are needed")
            if count < 1:
                raise ValueError(f"a count is {count!r:.80}; it must be at least 1")
            counts[tuple(key)] = count
        if len(counts) > self.size:  # the operator asks for fewer now
            counts = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: self.size])
        self._counts, self._added = counts, added
