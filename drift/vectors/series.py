"""The series of what is unlike any cluster. It also holds what all series of its slice share: the atlas, and the
vectors that it was learned from, that regions are held against, and that came last."""

from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from drift.plan import Plan
from drift.recent import Record, Slices
from drift.saved import versioned
from drift.series import Series
from drift.vectors.atlas import UNLIKE, Atlas, Floats, Region
from drift.vectors.examples import Examples
from drift.vectors.memory import Vectors

_NEWEST_CHUNKS = 8
_MOST_SETTLED = 64
_STAYS = 0.9  # of a moving mean: some ten vectors
_VERSION = 1
_KEY = "vectors"


class AtlasSeries(Series):
    """Stages: `known` fills until there are `plan.warmup` vectors, then the atlas is learned from them; `held` fills
    with as many of those that follow, while the shares learn their levels; `newest` has the last thousand or so."""

    def __init__(self, plan: Plan, slices: dict[str, str]) -> None:
        super().__init__(plan, slices)
        self.evaluator = ""
        self.known, self.held = Vectors("known"), Vectors("held")
        self.newest = Vectors("newest", _NEWEST_CHUNKS)
        self.following = Vectors("following")  # of an evaluator that may take the place of this one
        self.following_evaluator = ""
        self.examples = Examples()
        self.atlas: Atlas | None = None
        self.found = 0  # regions, so far
        self.crowded = False  # whether a region waits for the place of another
        self.turn = 0  # points since the atlas was learned
        self._places: deque[Floats] = deque()  # of `newest`
        self._unlike = np.zeros(1, dtype=np.float32)  # about where what is unlike any was lately
        self._atlas_changed = False

    def fits(self, vector: bytes, evaluator: str) -> bool:
        """Whether it is as long as those before it of its evaluator."""
        before = next(iter(self.following if evaluator == self.following_evaluator else self.known), None)
        same = evaluator in (self.evaluator, self.following_evaluator)
        return len(vector) > 1 and (before is None or not same or len(before[0]) == len(vector))

    def is_ours(self, vector: bytes, weight: float, evaluator: str) -> bool:
        """Whether it is of the evaluator whose vectors are known here; of others it is kept, to follow these.

        Vectors of two models cannot be compared. While both come, in a rollout, the old ones are watched.
        """
        self.evaluator = self.evaluator or evaluator
        if evaluator == self.evaluator:
            self.following.clear()
            return True
        if evaluator != self.following_evaluator:
            self.following.clear()
            self.following_evaluator = evaluator
        if self.following.total < self.plan.warmup:
            self.following.add(vector, weight)
        return False

    @property
    def outdated(self) -> bool:
        """Whether the evaluator that follows has told enough to be learned from."""
        return self.following.total >= self.plan.warmup

    def learn(self, vector: bytes, weight: float, terms: tuple[str, ...], now_ns: int) -> None:
        """Take one of the vectors that the atlas is learned from."""
        self.examples.learn(terms)
        self.last_ns = now_ns
        self._know(vector, weight)

    def follow(self, replaced: "AtlasSeries") -> None:
        """Learn from what came of the evaluator that took the place of another's; words are the same for both."""
        self.evaluator, self.last_ns = replaced.following_evaluator, replaced.last_ns
        self.examples = replaced.examples.words()
        for vector, weight in replaced.following:
            self._know(vector, weight)

    def _know(self, vector: bytes, weight: float) -> None:
        self.known.add(vector, weight)
        if self.known.total >= self.plan.warmup:
            self.atlas = Atlas([one for one, _ in self.known])
            self.atlas.divide(self.plan.clusters)
            self.examples.learned()
            self._atlas_changed = True

    def see(self, vector: bytes, record: Record, terms: tuple[str, ...]) -> dict[str, float]:
        """What a vector is of, once there is an atlas, with how near it is to the middle of that."""
        assert self.atlas is not None
        place = self.atlas.placed([vector])[0]
        members = self.atlas.members(place)
        if self.held.total < self.plan.warmup:
            self.held.add(vector, record[2])
        self._places.append(place)
        for _ in range(self.newest.add(vector, record[2])):
            self._places.popleft()
        self.turn += 1
        if UNLIKE in members:
            members[UNLIKE] = float((self._unlike * place).sum())
            self._unlike = _STAYS * self._unlike + (1 - _STAYS) * place
        for label, cosine in members.items():
            self.examples.add(label, (record[0], record[3], cosine, terms))
        return members

    @property
    def complete(self) -> bool:
        """Whether regions can be held against what was before."""
        return self.atlas is not None and self.held.total >= self.plan.warmup

    @property
    def places(self) -> Floats:
        """Of the newest vectors, oldest first."""
        found: Floats = np.stack(self._places)
        return found

    def begin(self, region: Region, slices: dict[str, str], now_ns: int) -> Series:
        """A series of the share of a region, its level learned from the vectors that are held for that."""
        assert self.atlas is not None
        self.atlas.regions.append(region)
        self.found += 1
        self._atlas_changed = True
        before = self.atlas.placed([vector for vector, _ in self.held]) @ region.centre >= region.cosine
        inside = self._places @ region.centre >= region.cosine
        records = list(self.recent.records())
        both = min(len(records), len(inside))  # each has the newest points, of which some may be missing
        newest = [
            (at_ns, float(x), weight, trace, its)
            for (at_ns, _, weight, trace, its), x in zip(records[-both:], inside[-both:], strict=True)
        ]
        made = Series(self.plan, slices)
        made.begin_from([(float(x), weight) for x, (_, weight) in zip(before, self.held, strict=True)], newest, now_ns)
        return made

    def is_region(self, label: str) -> bool:
        return self.atlas is not None and any(region.name == label for region in self.atlas.regions)

    def end_region(self, name: str, told: bool) -> None:
        """Watch a region no more. One of which a change was `told` is not to be found, and told, again."""
        assert self.atlas is not None
        ended = [region for region in self.atlas.regions if region.name == name]
        self.atlas.regions = [region for region in self.atlas.regions if region.name != name]
        if told:
            self.atlas.settled = [*self.atlas.settled, *ended][-_MOST_SETTLED:]
        self._atlas_changed = True
        self.examples.drop(name)

    def take_state(self, everything: bool = False) -> dict[str, bytes | None]:
        taken = super().take_state(everything)
        key = f"series/{self.key}"
        for vectors in (self.known, self.held, self.newest, self.following):
            taken.update(vectors.take_state(f"{key}/{_KEY}", everything))
        head = {
            "v": _VERSION,
            "evaluator": self.evaluator,
            "following_evaluator": self.following_evaluator,
            "found": self.found,
            "turn": self.turn,
            "crowded": self.crowded,
            "unlike": _text(self._unlike),
            "examples": self.examples.to_json(),
        }
        taken[f"{key}/{_KEY}/head"] = orjson.dumps(head)
        if self.atlas is not None and (self._atlas_changed or everything):
            taken[f"{key}/{_KEY}/atlas"] = orjson.dumps(_atlas_to_json(self.atlas))
        self._atlas_changed = False
        return taken

    def load(self, head: dict[str, Any], parts: Mapping[str, bytes], known: dict[Slices, Slices]) -> None:
        super().load(head, parts, known)
        mine = {part.removeprefix(f"{_KEY}/"): data for part, data in parts.items() if part.startswith(f"{_KEY}/")}
        raw = versioned(mine["head"], _VERSION)
        for vectors in (self.known, self.held, self.newest, self.following):
            vectors.load(mine)
        self.evaluator, self.following_evaluator = str(raw["evaluator"]), str(raw["following_evaluator"])
        for name in ("found", "turn"):
            if type(raw[name]) is not int or raw[name] < 0:
                raise ValueError(f"{name} is {raw[name]!r:.80}; it must be a whole number, not negative")
            setattr(self, name, raw[name])
        self.crowded = bool(raw["crowded"])
        self.examples.load_json(raw["examples"])
        self._unlike = _floats(raw["unlike"])[0]
        self._places.clear()
        if ("atlas" in mine) != (self.known.total >= self.plan.warmup):
            raise ValueError(f"{self.known.total} vectors to learn from, and {len(mine)} parts")
        if "atlas" in mine:
            self.atlas = _atlas_from_json(orjson.loads(mine["atlas"]), self.known)
            if self.newest.total:
                self._places = deque(self.atlas.placed([vector for vector, _ in self.newest]))


def _atlas_to_json(atlas: Atlas) -> dict[str, Any]:
    regions, settled = (
        [[region.name, _text(region.centre), region.cosine] for region in some]
        for some in (atlas.regions, atlas.settled)
    )
    return {"centres": _text(atlas.centres), "far": atlas.far, "regions": regions, "settled": settled}


def _atlas_from_json(raw: Any, known: Vectors) -> Atlas:
    vectors = [vector for vector, _ in known]
    length = len(vectors[0])
    atlas = Atlas(vectors, _floats(raw["centres"], length), float(raw["far"]))
    atlas.regions, atlas.settled = (
        [Region(str(name), _floats(centre, length)[0], float(cosine)) for name, centre, cosine in raw[part]]
        for part in ("regions", "settled")
    )
    return atlas


def _text(numbers: Floats) -> str:
    return b64encode(np.asarray(numbers, dtype="<f4").tobytes()).decode()


def _floats(text: str, length: int = 0) -> Floats:
    """Rows of this length; without, one row."""
    rows = np.frombuffer(b64decode(text, validate=True), dtype="<f4")
    found = rows.reshape(-1, length or len(rows)).astype(np.float32)
    if not len(found) or not np.isfinite(found).all():
        raise ValueError("an atlas has centres that are no numbers")
    return found
