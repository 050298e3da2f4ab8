"""Vectors as a model gives them: topics, each a direction, and points around it."""

from typing import Any

import numpy as np

from collector.core.telemetry import Telemetry
from drift.base import Change, Metric, Point
from drift.monitor import MonitorConfig, Watcher
from scorers.vectors import packed

METRICS = {"embedding": Metric("embedding", 0.0, 1.0, "higher", embeds=True)}
MINUTE = 60 * 10**9
START = 1_700_000_000 * 10**9


def topics(rng: Any, chosen: Any, dimensions: int = 48) -> list[bytes]:
    """A vector of each of these topics, by number: two of one topic have a cosine of about .4, of two about 0."""
    centres = np.random.default_rng(99).standard_normal((64, dimensions))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    around = rng.standard_normal((len(chosen), dimensions)) / np.sqrt(dimensions)
    return [packed(row) for row in np.sqrt(0.4) * centres[np.asarray(chosen)] + np.sqrt(0.6) * around]


def mixed(rng: Any, count: int, part: float, new: int = 60, usual: int = 16) -> Any:
    """Numbers of topics: of `usual` ones, and this part of a new one."""
    return np.where(rng.random(count) < part, new, rng.integers(0, usual, count))


def watcher(false_pages: str = "1 per week", **config: Any) -> Watcher:
    config = {"watch": "embedding", "warmup": 200, "clusters": 8, "min_effect": 0.0, **config}
    return Watcher([MonitorConfig.model_validate(config)], false_pages, METRICS, Telemetry())


def point(number: int, vector: bytes, **other: Any) -> Point:
    told: dict[str, Any] = {"slices": {"service": "shop"}, "evaluator_id": "e1", "terms": (), **other}
    return Point("embedding", f"{number:032x}", "", START + number * MINUTE, None, None, 1.0, vector=vector, **told)


def feed(watched: Watcher, vectors: list[bytes], first: int = 0, **other: Any) -> list[Change]:
    return [
        change
        for number, vector in enumerate(vectors, first)
        for change in watched.update(point(number, vector, **other))
    ]
