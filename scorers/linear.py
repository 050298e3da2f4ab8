"""A linear model of the words that a text begins with, as a file of weights that a person can read.

    p = 1 / (1 + exp(-(b + sum of the weights of the features that the text has / sqrt(how many it has))))

A feature is a word, with the marks at it, or two neighbours that the file knows; how often one occurs is no matter.
The file is JSON: `characters` that are read, `intercept` b, and `weights` by feature. A script under `benchmarks/`
writes it.
"""

import math
from itertools import pairwise
from pathlib import Path

import orjson

_BEGIN = "^"


def features(opening: str) -> set[str]:
    """Words and neighbours of a text, each once. Marks stay with their word: `sorry,` is another than `sorry`.

    >>> sorted(features("I can’t."))
    ['^', '^ i', "can't.", 'i', "i can't."]
    """
    words = [_BEGIN, *opening.lower().replace("’", "'").split()]
    found = set(map(" ".join, pairwise(words)))
    found.update(words)
    return found


class LinearModel:
    """Weights by feature."""

    def __init__(self, characters: int, intercept: float, weights: dict[str, float]) -> None:
        self.characters = characters
        self.intercept = intercept
        self.weights = weights

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
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path}: not the weights of a linear model: {error!r}") from None

    def probability(self, text: str) -> float:
        """How likely the text is of the class that the model was trained to find, 0 to 1."""
        known = [weight for weight in map(self.weights.get, features(text[: self.characters])) if weight is not None]
        total = self.intercept + (math.fsum(known) / math.sqrt(len(known)) if known else 0.0)
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))
