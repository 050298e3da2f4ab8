"""What compiling brings: all built-ins of tier 0 from the compiled wheel and from the source, in turns.

    python -m benchmarks.compiled

Two processes take turns, so that what else the host does meets both. Each turn is of 64 RAG traces that were never seen
(`benchmarks.scorers`), 32 together. Needs a C compiler and Python's headers.
"""

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.scorers import BUILT_INS, built_in, rag_trace, seconds
from collector.core.telemetry import Telemetry
from driftline.commands.serve import collect_less_often
from scorers.runner import Runner

ROOT = Path(__file__).resolve().parent.parent
TURNS, WARM = 32, 4
TRACES, TOGETHER = 64, 32


def build(folder: Path, compiled: bool = True) -> Path:
    """The wheel of this checkout, in a folder.

    Raises:
        RuntimeError: it cannot be built; the message says what the builder said.
    """
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    env = {**os.environ, "HATCH_BUILD_HOOK_ENABLE_CUSTOM": "true" if compiled else "false"}
    built = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    if built.returncode != 0:
        raise RuntimeError(built.stdout + built.stderr)
    (wheel,) = folder.glob("*.whl")
    return wheel


def environment(first: Path) -> dict[str, str]:
    """That of a Python which takes the packages of a folder, and what else there is from this checkout."""
    return {**os.environ, "PYTHONPATH": f"{first}{os.pathsep}{ROOT}", "PYTHONSAFEPATH": "1"}


def turns() -> None:
    """Answer each line on standard input with the microseconds a trace of one turn."""
    collect_less_often()
    runner = Runner([built_in(reference) for reference in BUILT_INS], Telemetry())
    for turn, _ in enumerate(sys.stdin):
        traces = [rag_trace(turn * TRACES + at) for at in range(TRACES)]
        gc.collect()
        print(seconds(runner, traces, TOGETHER) / TRACES * 1e6, flush=True)


def compare() -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with zipfile.ZipFile(build(folder)) as archive:
            archive.extractall(folder / "compiled")
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.compiled", "turns"],
                    env=environment(first),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for first in (ROOT, folder / "compiled")
        ]
        pairs = [[_turn(worker) for worker in workers] for _ in range(WARM + TURNS)][WARM:]
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.close()
    source, compiled = zip(*pairs, strict=True)
    low, middle, high = statistics.quantiles([after / before for before, after in pairs], n=4)
    print("| all texts new | least | median |\n|---|---|---|")
    for name, times in (("source", source), ("compiled", compiled)):
        print(f"| {name}, microseconds a trace | {min(times):.0f} | {statistics.median(times):.0f} |")
    print(f"\nof its time in the median {middle:.3f}, quartiles {low:.3f} to {high:.3f}")


def _turn(worker: subprocess.Popen[str]) -> float:
    assert worker.stdin is not None
    assert worker.stdout is not None
    print(file=worker.stdin, flush=True)
    return float(worker.stdout.readline())


if __name__ == "__main__":
    turns() if sys.argv[1:] == ["turns"] else compare()
