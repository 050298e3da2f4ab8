"""What the vectors of a slice are usually like, and where they are denser than they were."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.vectors.atlas import UNLIKE, Atlas
from drift.vectors.search import find_region
from tests.drift.vectors.streams import mixed, topics


def atlas(usual: int = 8, clusters: int = 8, count: int = 400, seed: int = 1) -> Atlas:
    rng = np.random.default_rng(seed)
    made = Atlas(topics(rng, rng.integers(0, usual, count)))
    made.divide(clusters)
    return made


def test_a_topic_has_a_cluster_of_its_own() -> None:
    rng, made = np.random.default_rng(2), atlas()
    chosen = np.repeat(np.arange(8), 50)
    clusters = [int((made.centres @ place).argmax()) for place in made.placed(topics(rng, chosen))]
    commonest = [np.bincount(clusters[at : at + 50]) for at in range(0, 400, 50)]
    assert len({int(counts.argmax()) for counts in commonest}) == 8
    assert sum(int(counts.max()) for counts in commonest) >= 380


def test_about_one_in_a_hundred_of_the_usual_are_unlike_any_and_most_of_a_new_topic_are() -> None:
    rng, made = np.random.default_rng(3), atlas(count=1000)

    def unlike(chosen: list[int]) -> float:
        return float(np.mean([UNLIKE in made.members(place) for place in made.placed(topics(rng, chosen))]))

    assert unlike([number % 8 for number in range(1000)]) < 0.04
    assert unlike([60] * 500) > 0.5


def test_each_vector_is_of_one_cluster() -> None:
    made = atlas()
    for place in made.placed(topics(np.random.default_rng(4), [0, 5, 60])):
        members = [label for label in made.members(place) if label.startswith("cluster")]
        assert len(members) == 1
        assert members[0] in made.labels()


@pytest.mark.parametrize("part", [0.1, 0.2])
def test_a_region_is_found_where_a_new_topic_is_and_holds_little_else(part: float) -> None:
    rng, made = np.random.default_rng(5), atlas(count=1000)
    region = find_region(made, made.placed(topics(rng, mixed(rng, 1024, part, usual=8))), "new cluster 1")
    assert region is not None
    fresh = made.placed(topics(rng, [60] * 400)) @ region.centre >= region.cosine
    others = made.placed(topics(rng, rng.integers(0, 8, 2000))) @ region.centre >= region.cosine
    assert fresh.mean() > 0.6
    assert others.mean() < 0.03


def test_where_nothing_is_new_regions_are_rare_and_one_that_is_known_is_not_found_again() -> None:
    rng, made = np.random.default_rng(6), atlas(count=1000)
    found = [find_region(made, made.placed(topics(rng, rng.integers(0, 8, 1024))), "x") for _ in range(20)]
    assert sum(one is not None for one in found) <= 8
    newest = made.placed(topics(rng, mixed(rng, 1024, 0.2, usual=8)))
    first = find_region(made, newest, "new cluster 1")
    assert first is not None
    made.regions.append(first)
    again = find_region(made, newest, "new cluster 2")
    assert again is None or float(again.centre @ first.centre) < 0.7


def test_too_few_vectors_have_no_region() -> None:
    made = atlas()
    assert find_region(made, made.placed(topics(np.random.default_rng(7), [60] * 100)), "x") is None


@given(
    st.lists(st.binary(min_size=3, max_size=3), min_size=2, max_size=40),
    st.binary(min_size=3, max_size=3),
)
def test_whatever_vectors_come_every_one_has_a_place(vectors: list[bytes], other: bytes) -> None:
    made = Atlas(vectors)
    made.divide(4)
    assert 1 <= len(made.centres) <= 4
    (place,) = made.placed([other])
    assert np.isfinite(place).all()
    assert sum(label != UNLIKE for label in made.members(place)) == 1
    assert made.far <= 1.01


def test_equal_vectors_are_one_cluster_and_like_each_other() -> None:
    made = Atlas([b"\x01\x02\x03"] * 300)
    made.divide(16)
    assert len(made.centres) == 1
    assert made.members(made.placed([b"\x01\x02\x03"])[0]).keys() == {"cluster 1"}
    assert find_region(made, made.placed([b"\x01\x02\x03"] * 512), "x") is None
