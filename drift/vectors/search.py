"""Where traffic is denser than it was: candidates for a new cluster, among the newest vectors.

A candidate is no evidence. What it says is where to look: whether more comes there than did is then asked of the
points to come, as of any share, against a part of the past that had no say in the choice. So however many candidates
there are, and however they were found, they cost no false page (`drift.budget`).

From each of some newest vectors a centre climbs to where one half of the newest are dense (mean shift: Cheng 1995),
with a reach that holds 1 in 100 of the learned vectors. It counts if the other half agrees: by the divergence of their
part within reach from that of the learned ones.
"""

from math import log

import numpy as np

from drift.vectors.atlas import Atlas, Floats, Region

LEAST_NEWEST = 256
_STARTS = 64
_STEPS = 4
_LEAST_GAIN = 6.0  # nats: among 64 starts chance gives this about one time in four
_SAME = 0.7  # cosine over which two centres are one


def find_region(atlas: Atlas, newest: Floats, name: str) -> Region | None:
    """The region in which the newest vectors are densest for what the learned ones are; None if none stands out."""
    if len(newest) < LEAST_NEWEST:
        return None
    ours, theirs = newest[::2], newest[1::2]
    centres = newest[-_STARTS:]
    for _ in range(_STEPS):
        centres = _climbed(centres, atlas.reach(centres), ours)
    reach = atlas.reach(centres)
    usual = _within(atlas.known, centres, reach)
    gains = [
        len(theirs) * _divergence(float(now), float(then))
        for now, then in zip(_within(theirs, centres, reach), usual, strict=True)
    ]
    best = int(np.argmax(gains))
    if gains[best] < _LEAST_GAIN:
        return None
    centre = centres[[best]]
    for _ in range(2):
        centre = _climbed(centre, atlas.reach(centre), newest)
    if any(float(region.centre @ centre[0]) > _SAME for region in (*atlas.regions, *atlas.settled)):
        return None
    return Region(name, centre[0], float(atlas.reach(centre)[0]))


def _climbed(centres: Floats, reach: Floats, places: Floats) -> Floats:
    """Each centre moved to the mean of what is within its reach; where that is nothing, as it was."""
    inside = (places @ centres.T >= reach).astype(np.float32)
    sums = inside.T @ places
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    found: Floats = np.where(lengths > 1e-6, sums / np.maximum(lengths, 1e-6), centres).astype(np.float32)
    return found


def _within(places: Floats, centres: Floats, reach: Floats) -> Floats:
    """The part of them within reach of each centre, with one more that is."""
    found: Floats = ((places @ centres.T >= reach).sum(axis=0) + 1) / (len(places) + 1)
    return found


def _divergence(now: float, then: float) -> float:
    """Of two rates, in nats (Kullback-Leibler); 0 unless it is more now.

    >>> round(_divergence(0.05, 0.01), 3), _divergence(0.01, 0.05)
    (0.041, 0.0)
    """
    if not 0.0 < then < now or now >= 1.0:
        return 0.0
    return now * log(now / then) + (1.0 - now) * log((1.0 - now) / (1.0 - then))
