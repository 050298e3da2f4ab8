"""How well embedding drift keeps its word: false pages over the budget, and points until a new topic is told.

    python -m benchmarks.embeddings                      # vectors as a model of sentences gives them, some minutes
    python -m benchmarks.embeddings --texts DATASETS     # and real texts by vocabulary, from labelled data sets
    python -m benchmarks.embeddings --streams 6          # sooner

Beside it stand windows: means of one-hot clusters and of the nearest cosine over the newest 32, 64, ... 2,048 points,
whitened by the warm-up, the largest of them held against a threshold that resampling of the warm-up gives for the same
run length. Everything is seeded. Delays are points after the change; "missed" is not within 3,000.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import orjson

from collector.core.telemetry import Telemetry
from drift.base import Metric, Point
from drift.monitor import MonitorConfig, Watcher
from drift.vectors.atlas import Atlas
from scorers.models.hashed import Hashed
from scorers.vectors import packed

Source: TypeAlias = Callable[[Any, int], list[bytes]]

_METRICS = {"v": Metric("v", 0.0, 1.0, "higher", embeds=True)}
_STEP_NS = 60 * 10**9
_RUN_LENGTH = 1e5
_WARMUP, _BEFORE, _AFTER = 1000, 1000, 3000
_WINDOWS = (32, 64, 128, 256, 512, 1024, 2048)


def topics(alike: float, usual: int, rare: bool = False, only: int | None = None) -> Source:
    """Vectors of 384 numbers: those of one topic have this cosine, of two about 0. Some topics may be rarer (Zipf)."""
    fixed = np.random.default_rng(99)
    centres = fixed.standard_normal((64, 384))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    part = 1.0 / np.arange(1, usual + 1) if rare else np.ones(usual)

    def draw(rng: Any, count: int) -> list[bytes]:
        chosen = rng.choice(usual, count, p=part / part.sum()) if only is None else np.full(count, only)
        around = rng.standard_normal((count, 384)) / np.sqrt(384)
        return [packed(row) for row in np.sqrt(alike) * centres[chosen] + np.sqrt(1 - alike) * around]

    return draw


def texts(path: Path, field: str = "question") -> Source:
    """The distinct texts of a data set, drawn with replacement, by vocabulary."""
    rows = (orjson.loads(line) for line in path.read_bytes().splitlines())
    known = sorted({row[field] for row in rows if row.get(field)})
    vectors = [packed(row.tolist()) for row in Hashed().embed(known) if row.any()]
    return lambda rng, count: [vectors[number] for number in rng.integers(0, len(vectors), count)]


def mixed(usual: Source, new: Source, part: float, rng: Any, before: int, after: int) -> list[bytes]:
    base = usual(rng, before + after)
    fresh = new(rng, after)
    return base[:before] + [
        other if rng.random() < part else one for one, other in zip(base[before:], fresh, strict=True)
    ]


def _watcher(run_length: float) -> Watcher:
    config = MonitorConfig(watch="v", warmup=_WARMUP, min_effect=0)
    return Watcher([config], f"{60 / run_length:.9f} per hour", _METRICS, Telemetry())


def _point(number: int, vector: bytes) -> Point:
    return Point("v", f"{number:032x}", "", 10**18 + number * _STEP_NS, None, None, 1.0, {}, "e", vector=vector)


def pages(watched: Watcher, vectors: Sequence[bytes], stop: bool) -> list[int]:
    """The points with which a page was told."""
    found = []
    for number, vector in enumerate(vectors):
        changes = watched.update(_point(number, vector))
        if any(change.sequence == 0 and change.paged for change in changes):
            found.append(number)
            if stop:
                break
    return found


class Windows:
    """See the module."""

    def __init__(self, vectors: Sequence[bytes], rng: Any, replicates: int) -> None:
        self._atlas = Atlas(vectors[:_WARMUP])
        self._atlas.divide(16)
        known = self._features(vectors[_WARMUP : 2 * _WARMUP])
        self._mean = known.mean(axis=0)
        covariance = np.cov(known.T) + 1e-4 * np.eye(known.shape[1])
        self._whiten = np.linalg.cholesky(np.linalg.inv(covariance))
        length = _BEFORE + _AFTER
        highest = [self.scores(known[rng.integers(0, len(known), length)]).max() for _ in range(replicates)]
        self.threshold = float(np.quantile(highest, np.exp(-length / _RUN_LENGTH)))

    def _features(self, vectors: Sequence[bytes]) -> Any:
        near = self._atlas.placed(vectors) @ self._atlas.centres.T
        return np.column_stack([np.eye(near.shape[1])[near.argmax(axis=1)][:, 1:], near.max(axis=1)])

    def scores(self, features: Any) -> Any:
        white = (features - self._mean) @ self._whiten
        sums = np.vstack([np.zeros(white.shape[1]), np.cumsum(white, axis=0)])
        best = np.full(len(white), -np.inf)
        for size in _WINDOWS:
            means = (sums[size:] - sums[:-size]) / np.sqrt(size)
            score = ((means**2).sum(axis=1) - white.shape[1]) / np.sqrt(2 * white.shape[1])
            best[size - 1 :] = np.maximum(best[size - 1 :], score)
        return best

    def first(self, vectors: Sequence[bytes]) -> int | None:
        over = np.flatnonzero(self.scores(self._features(vectors)) >= self.threshold)
        return int(over[0]) if len(over) else None


def false_pages(sources: dict[str, Source], streams: int) -> None:
    print("\n### Vectors of which nothing changes: pages over those allowed, and alarms of windows over those wanted\n")
    print("| vectors | pages | allowed, give or take its root | windows: alarms | wanted |\n|---|---|---|---|---|")
    for name, source in sources.items():
        found, allowed, alarms = 0, 0.0, 0
        for seed in range(streams):
            rng = np.random.default_rng(1000 + seed)
            vectors = source(rng, 2 * _WARMUP + _BEFORE + _AFTER)
            watched = _watcher(_RUN_LENGTH / 10)
            found += len(pages(watched, vectors, stop=False))
            allowed += watched._budget.spent
            windows = Windows(vectors, rng, 100)
            alarms += windows.first(vectors[2 * _WARMUP :]) is not None
        wanted = streams * (1 - np.exp(-(_BEFORE + _AFTER) / _RUN_LENGTH))
        print(f"| {name} | {found} | {allowed:.1f} | {alarms} of {streams} | {wanted:.1f} |", flush=True)


def delays(pairs: dict[str, tuple[Source, Source]], streams: int) -> None:
    print("\n### Points until a new topic is told, at a run length of 1e5\n")
    print("| usual, new | part | median / 90% | missed | too early | windows: median / 90% | missed | too early |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (usual, new) in pairs.items():
        for part in (0.1, 0.05):
            ours, theirs = [], []
            for seed in range(streams):
                rng = np.random.default_rng(seed)
                vectors = mixed(usual, new, part, rng, 2 * _WARMUP + _BEFORE, _AFTER)
                first = pages(_watcher(_RUN_LENGTH), vectors, stop=True)
                ours.append(first[0] - 2 * _WARMUP - _BEFORE if first else None)
                at = Windows(vectors, rng, 100).first(vectors[2 * _WARMUP :])
                theirs.append(None if at is None else at - _BEFORE)
            print(f"| {name} | {part:.0%} | {_told(ours)} | {_told(theirs)} |", flush=True)


def _told(found: Sequence[int | None]) -> str:
    known = sorted(_AFTER if one is None else one for one in found if one is None or one >= 0)
    early = len(found) - len(known)
    missed = sum(one is None for one in found)
    if not known:
        return f"- | {missed} | {early}"
    return f"{median(known):.0f} / {known[int(0.9 * (len(known) - 1))]} | {missed} of {len(found)} | {early}"


def speed() -> None:
    rng = np.random.default_rng(5)
    vectors = topics(0.4, 32)(rng, 6000)
    watched = _watcher(_RUN_LENGTH)
    for number, vector in enumerate(vectors[:3000]):
        watched.update(_point(number, vector))
    watched.take_state()
    began = time.process_time()
    for number, vector in enumerate(vectors[3000:], 3000):
        watched.update(_point(number, vector))
    per_point = (time.process_time() - began) / 3000
    began = time.process_time()
    written = sum(len(data or b"") for data in watched.take_state().values())
    print("\n### Time\n\n| | |\n|---|---|")
    print(f"| one vector through the watcher | {1e6 * per_point:.0f} microseconds |")
    print(f"| a checkpoint of one slice | {1e3 * (time.process_time() - began):.1f} ms, {written / 1024:.0f} KiB |")
    sample = [f"where is parcel {number} that I ordered last week, and may I send it back" for number in range(3000)]
    began = time.process_time()
    Hashed().embed(sample)
    print(f"| one question by `hashed` | {1e6 * (time.process_time() - began) / 3000:.0f} microseconds |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--texts", type=Path, help="a folder of labelled data sets")
    parser.add_argument("--streams", type=int, default=30, help="of each kind")
    given = parser.parse_args()
    streams = given.streams
    null = {"model, 32 topics": topics(0.4, 32), "model, 64 topics, some rare": topics(0.4, 64, rare=True)}
    pairs = {
        "model, topics at a cosine of .4": (topics(0.4, 32), topics(0.4, 32, only=60)),
        "model, topics at a cosine of .25": (topics(0.25, 32), topics(0.25, 32, only=60)),
    }
    if given.texts is not None:
        trivia = texts(given.texts / "qa_correctness" / "evouna.jsonl")
        tools = texts(given.texts / "tool_calls" / "bfcl_mutations.jsonl")
        flow = texts(given.texts / "retrieval_relevance" / "cranfield.jsonl")
        null |= {"requests to tools, by vocabulary": tools, "trivia, by vocabulary": trivia}
        pairs |= {
            "requests to tools; trivia, by vocabulary": (tools, trivia),
            "trivia; questions on aerodynamics, by vocabulary": (trivia, flow),
        }
    delays(pairs, streams)
    false_pages(null, streams)
    speed()


if __name__ == "__main__":
    main()
