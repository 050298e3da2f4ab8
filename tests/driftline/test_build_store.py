"""A service on a store that something happened to: it refuses, is repaired, and its view says what its store has."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from collector.core.engine import DECISIONS, SPANS, TICK_KIND, Record
from collector.core.errors import StoreError
from driftline.build import build
from driftline.commands.replay import offline
from driftline.config import Config
from driftline.stages.score_worker import END_OF_INPUT
from driftline.view import view_path
from tests.collector.engines.stores import damage, leaf_pages, offsets
from tests.driftline.conftest import Run
from tests.driftline.test_pipeline import END_NS, SECOND, chat, configuration


def evaluate(config: Config, traces: Iterable[int]) -> dict[str, int]:
    """Have a service evaluate some traces; returns the candidates of each scorer that it knows of then."""
    service = build(config)
    try:
        records = [chat(trace, 1, END_NS + trace * SECOND, root=True) for trace in traces]
        service.engine.append(SPANS, [*records, Record(END_OF_INPUT, kind=TICK_KIND)]).result(10)
        service.drain()
        candidates: dict[str, int] = {}
        for scorer, _, _, count in service.view.funnel():
            candidates[scorer] = candidates.get(scorer, 0) + count
        return candidates
    finally:
        service.stop()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return offline(configuration(tmp_path), tmp_path)


def test_a_damaged_store_is_refused_repaired_and_goes_on(run: Run, tmp_path: Path, config: Config) -> None:
    assert set(evaluate(config, range(1, 101)).values()) == {100}
    store = config.store.path
    damage(store, leaf_pages(store, "log_decisions")[2])
    with pytest.raises(StoreError, match="is damaged"):
        build(config)
    (tmp_path / "driftline.yaml").write_text(f"store: {{path: {store}}}")
    assert run("repair", "-c", tmp_path / "driftline.yaml").code == 1
    left = len(offsets(store, DECISIONS))
    assert 0 < left < 100
    assert set(evaluate(config, range(101, 111)).values()) == {left + 10}


def test_a_store_that_lost_all_it_had_is_not_taken_for_a_new_one(config: Config) -> None:
    evaluate(config, range(1, 4))
    config.store.path.write_bytes(b"")
    with pytest.raises(StoreError, match=r"is empty, and was not: restore a backup, or delete it to begin anew"):
        build(config)
    config.store.path.unlink()
    assert set(evaluate(config, range(4, 6)).values()) == {2}, "nothing is left of the view of the old one"


def test_a_first_start_that_was_cut_short_does_not_hinder_the_next(config: Config) -> None:
    config.store.path.touch()
    assert set(evaluate(config, range(1, 4)).values()) == {3}


def test_a_damaged_view_is_rebuilt_at_the_start(config: Config) -> None:
    before = evaluate(config, range(1, 101))
    view = view_path(config.store.path)
    damage(view, view.stat().st_size // 16384 // 2)
    assert evaluate(config, [101]) == {scorer: count + 1 for scorer, count in before.items()}
    assert view.with_name(f"{view.name}.damaged").exists()
