"""What the vectors of a slice are usually like: learned once, from points that nothing is then held against.

Vectors are taken less their mean and at length 1 (Arora, Liang, Ma 2017 remove what all have in common likewise), and
then

- divided into clusters: spherical k-means (Dhillon and Modha 2001) from k-means++ (Arthur and Vassilvitskii 2007);
- *unlike any* if the mean cosine to their ten nearest of the learned ones is below that of all but 1 in 100 of these;
- *regions*, found later (`drift.vectors.search`), hold what is nearer to a centre than all but 1 in 100 of them.

All of it is a fixed function of a vector. So whether points are of a cluster is a stream of zeros and ones that is
exchangeable if the points are: what is promised of a share (`drift.budget`) holds of each of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

UNLIKE = "unlike any"
"""The label of what is near to nothing that was learned."""

_NEAREST = 10
_UNLIKE_PART = 0.01
REGION_PART = 0.01
_ROUNDS = 20
_TRIES = 5
_SEED = 16
_TIE = 1e-4  # equal texts are equally near, whatever the last bit says

Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Region:
    """What lies within a cosine of a centre."""

    name: str
    centre: Floats
    cosine: float


class Atlas:
    """See the module. Vectors are bytes as `scorers.vectors.packed` makes them, all of one length.

    Args:
        vectors: what is learned from.
        centres: of the clusters, a row each.
        far: the mean cosine to the nearest below which a vector is unlike any.
    """

    def __init__(self, vectors: Sequence[bytes], centres: Floats | None = None, far: float | None = None) -> None:
        rows = _unit(_numbers(vectors))
        self._mean: Floats = rows.mean(axis=0)
        self.known = _unit(rows - self._mean)
        self.regions: list[Region] = []
        self.settled: list[Region] = []  # that were told of, and are watched no more
        self.centres = centres if centres is not None else self.known[:0]
        self.far = far if far is not None else self._far()

    @property
    def dimensions(self) -> int:
        return int(self.known.shape[1])

    def divide(self, clusters: int) -> None:
        """Learn the clusters; fewer where there are not so many vectors that differ."""
        self.centres = _k_means(self.known, clusters)

    def placed(self, vectors: Sequence[bytes]) -> Floats:
        """Vectors as they are compared here, a row each."""
        return _unit(_unit(_numbers(vectors)) - self._mean)

    def members(self, place: Floats) -> dict[str, float]:
        """How near, as a cosine, a vector is to the centre of each cluster and region that it is of; 0 of `UNLIKE`."""
        near = self.centres @ place
        best = int(near.argmax())
        found = {cluster_name(best): float(near[best])}
        if self._nearness(place[None, :])[0] < self.far:
            found[UNLIKE] = 0.0
        for region in self.regions:
            cosine = float(region.centre @ place)
            if cosine >= region.cosine:
                found[region.name] = cosine
        return found

    def labels(self) -> list[str]:
        """All that a vector can be of."""
        return [*map(cluster_name, range(len(self.centres))), UNLIKE, *(region.name for region in self.regions)]

    def reach(self, centres: Floats) -> Floats:
        """For each centre, the cosine within which about 1 in 100 of the learned vectors are."""
        count = max(2, round(REGION_PART * len(self.known)))
        near = self.known @ centres.T
        found: Floats = np.partition(near, -count, axis=0)[-count] - _TIE
        return found

    def _nearness(self, places: Floats) -> Floats:
        count = min(_NEAREST, len(self.known))
        found: Floats = np.partition(places @ self.known.T, -count, axis=1)[:, -count:].mean(axis=1)
        return found

    def _far(self) -> float:
        near = self.known @ self.known.T
        np.fill_diagonal(near, -1.0)  # a vector is not its own neighbour
        count = min(_NEAREST, len(self.known) - 1)
        nearness = np.partition(near, -count, axis=1)[:, -count:].mean(axis=1)
        return float(np.quantile(nearness, _UNLIKE_PART)) - _TIE


def cluster_name(number: int) -> str:
    return f"cluster {number + 1}"


def _numbers(vectors: Sequence[bytes]) -> Floats:
    return np.frombuffer(b"".join(vectors), dtype=np.int8).reshape(len(vectors), -1).astype(np.float32)


def _unit(rows: Floats) -> Floats:
    """At length 1; what has next to none stays so."""
    found: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return found


def _k_means(places: Floats, clusters: int) -> Floats:
    """The best of some tries: the centres that the vectors are nearest to."""
    rng = np.random.default_rng(_SEED)
    tries = [_k_means_from(places, _spread(places, clusters, rng)) for _ in range(_TRIES)]
    return max(tries, key=lambda centres: float((places @ centres.T).max(axis=1).sum()))


def _spread(places: Floats, clusters: int, rng: np.random.Generator) -> Floats:
    """Vectors that are far from one another, to begin with."""
    centres = places[[int(rng.integers(len(places)))]]
    while len(centres) < clusters:
        away: Any = np.maximum(1.0 - (places @ centres.T).max(axis=1), 0.0).astype(np.float64)
        away[away < 1e-3] = 0.0  # as good as equal to one that is a centre already
        if not away.any():
            break
        centres = np.concatenate([centres, places[[int(rng.choice(len(places), p=away / away.sum()))]]])
    return centres


def _k_means_from(places: Floats, centres: Floats) -> Floats:
    for _ in range(_ROUNDS):
        nearest = (places @ centres.T).argmax(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, places)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        moved = np.where(lengths > 1e-6, sums / np.maximum(lengths, 1e-6), centres).astype(np.float32)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres
