"""Scorers of a configuration's own in the service: where they run, and that the service goes on whatever they do."""

import os
from pathlib import Path

import pytest

from driftline.build import build
from driftline.commands.replay import offline
from driftline.service import Service
from tests.driftline.test_pipeline import END_NS, SECOND, chat, configuration, feed

OWN = """
import os, re
from scorers.base import scorer

@scorer(name="pid", range=(0, float("inf")))
def pid(trace):
    return os.getpid()

@scorer(name="backtracks")
def backtracks(trace):
    re.match(r"(a+)+$", "a" * 64 + "b")
"""


def service(folder: Path, *scorers: dict[str, str]) -> Service:
    (folder / "own.py").write_text(OWN)
    config = configuration(folder, scorers=[*scorers, "error"], assemble={"quiet": "1s"}, monitors=[])
    return build(offline(config, folder))


def scores(under: Service, name: str) -> list[tuple[str, float | None]]:
    sheets = [sheet for number in (1, 2, 3) if (sheet := under.view.sheet(f"{number:032x}")) is not None]
    found = [one for sheet in sheets for one in sheet["decisions"] if one["scorer"] == name]
    return [(one["reason"], (one.get("score") or {}).get("value")) for one in found]


def run(under: Service) -> None:
    feed(under, [chat(number, 1, END_NS + 5 * number * SECOND, root=True) for number in (1, 2, 3, 4)])


@pytest.mark.parametrize("isolation", ["process", "thread"])
def test_they_run_apart_unless_a_thread_is_asked_for(tmp_path: Path, isolation: str) -> None:
    under = service(tmp_path, {"use": f"{tmp_path}/own.py:pid", "isolation": isolation})
    run(under)
    ((_, pid), *others) = scores(under, "pid")
    assert pid is not None
    assert others == [("ok", pid)] * 2
    assert (int(pid) == os.getpid()) == (isolation == "thread")
    assert Path(f"/proc/{int(pid)}").exists()
    under.stop()
    assert Path(f"/proc/{int(pid)}").exists() == (isolation == "thread")


def test_one_that_holds_the_interpreter_costs_its_own_scores_alone(tmp_path: Path) -> None:
    own = f"{tmp_path}/own.py"
    under = service(tmp_path, {"use": f"{own}:backtracks", "timeout": "50ms"}, {"use": f"{own}:pid"})
    run(under)
    assert scores(under, "backtracks") == [("timeout", None)] * 3
    assert [reason for reason, _ in scores(under, "pid")] == ["ok"] * 3
    assert [reason for reason, _ in scores(under, "error")] == ["ok"] * 3
    suspended = under.telemetry.gauge("driftline_scorer_suspended", "", ("scorer",)).values()
    assert suspended[("backtracks",)] == 1
    under.stop()
