"""A linear model of the words of a text, as a file of weights that a person can read.

    p = 1 / (1 + exp(-(b + sum of the weights of the features that the text has / sqrt(how many it has))))

A feature is a word or two neighbours; how often one occurs is no matter. `features` reads the beginning of a text, with
the marks at its words; `word_features` words that were read before (`scorers.text`), which costs less.
The file is JSON: `characters` that are read, `intercept` b, and `weights` by feature. A script under `benchmarks/`
writes it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import orjson

from scorers.text import spelled

_BEGIN = "^"
_Feature: TypeAlias = str | tuple[str, str]


def features(opening: str) -> set[str]:
    """Words and neighbours of a text, each once. Marks stay with their word: `sorry,` is another than `sorry`.

    >>> sorted(features("I can’t."))
    ['^', '^ i', "can't.", 'i', "i can't."]
    """
    return set(word_features(_opening_words(opening)))


def word_features(words: Sequence[str], neighbours: int | None = None) -> Iterator[str]:
    """The same of words in lower case that were read before, some more than once.

    Args:
        words: of the text, in their order.
        neighbours: how many words have a neighbour before them; all have without.

    >>> list(word_features(("i", "can't")))
    ['^', 'i', "can't", '^ i', "i can't"]
    >>> list(word_features(("i", "can't"), neighbours=1))
    ['^', 'i', "can't", '^ i']
    """
    begun = (_BEGIN, *words)
    return chain(begun, map(" ".join, zip(begun, words[:neighbours])))  # noqa: B905 - the last has no next


class LinearModel:
    """Weights by feature."""

    def __init__(self, characters: int, intercept: float, weights: dict[str, float]) -> None:
        self.characters = characters
        self.intercept = intercept
        self._weights: dict[_Feature, float] = {_parted(name): weight for name, weight in weights.items()}
        self._known, self._weight_of = frozenset(self._weights), self._weights.__getitem__

    @classmethod
    def load(cls, path: Path) -> "LinearModel":
        """The model of a file that we ship.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not the JSON of a model.
        """
        told = orjson.loads(path.read_bytes())
        try:
            return cls(int(told["characters"]), float(told["intercept"]), told["weights"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: not the weights of a linear model: {error!r}") from None

    @property
    def weights(self) -> dict[str, float]:
        """By feature, as the file has them."""
        return {name if isinstance(name, str) else " ".join(name): weight for name, weight in self._weights.items()}

    def probability(self, text: str) -> float:
        """How likely the text is of the class that the model was trained to find, 0 to 1."""
        return probability(self.logit(_opening_words(text[: self.characters])))

    def logit(self, words: Sequence[str], more: Iterable[_Feature] = (), neighbours: int | None = None) -> float:
        """The logarithm of the odds, for a text with the `word_features` of these words, and `more` of them.

        Two neighbours are looked up as a pair: to spell them as one text would take longer than all else.
        """
        begun = (_BEGIN, *words)
        pairs = zip(begun, words[:neighbours])  # noqa: B905 - the last has no next
        known = self._known.intersection(chain(begun, pairs, more))
        if not known:
            return self.intercept
        return self.intercept + math.fsum(map(self._weight_of, known)) / math.sqrt(len(known))


def _parted(name: str) -> _Feature:
    words = spelled(name.split(" ", 1))
    return (words[0], words[1]) if len(words) > 1 else words[0]


def _opening_words(opening: str) -> list[str]:
    return opening.lower().replace("’", "'").split()


def probability(logit: float) -> float:
    """
    >>> probability(0.0)
    0.5
    """
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))
