"""Real questions: requests to tools, among which trivia begin to come. By vocabulary alone, with nothing installed."""

from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import orjson
import pytest

from scorers.models.hashed import Hashed
from scorers.vectors import packed
from tests.drift.vectors.streams import feed, watcher

pytestmark = pytest.mark.long

TEXTS = orjson.loads((Path(__file__).parents[2] / "data" / "topics.json").read_bytes())
WARMUP, BEFORE = 1000, 200
ONE_IN_1E5 = "0.0006 per hour"  # at a point a minute


def drawn(rng: Any, name: str, count: int) -> list[bytes]:
    vectors = [packed(row.tolist()) for row in Hashed().embed(TEXTS[name]["texts"]) if row.any()]
    return [vectors[number] for number in rng.integers(0, len(vectors), count)]


def delay(seed: int, part: float, after: int) -> int | None:
    """Points from the change to the first page; None if there is none, negative if it came before."""
    rng = np.random.default_rng(seed)
    usual, new = drawn(rng, "usual", 2 * WARMUP + BEFORE + after), drawn(rng, "new", after)
    watched = watcher(ONE_IN_1E5, warmup=WARMUP, clusters=16)
    start = 2 * WARMUP + BEFORE
    for number, vector in enumerate(usual):
        came = new[number - start] if number >= start and rng.random() < part else vector
        if any(change.sequence == 0 and change.paged for change in feed(watched, [came], number)):
            return number - start
    return None


@pytest.mark.parametrize(("part", "after", "at_most"), [(0.1, 1000, 250), (0.05, 2000, 800)])
def test_a_new_topic_is_told(part: float, after: int, at_most: int) -> None:
    found = [delay(seed, part, after) for seed in range(4)]
    assert all(one is None or one >= 0 for one in found), found
    assert median(after if one is None else one for one in found) <= at_most, found
