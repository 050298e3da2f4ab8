"""Make the virtual environment that the Makefile's targets run in, and say what is happening meanwhile.

    python3 requirements/environment.py runtime|dev FOLDER

Packages come from the hashed lock file of that kind, by pip, from wherever pip is configured to look.
"""

import collections
import re
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*==", re.MULTILINE)
_PIP_HANDLES = re.compile(r"^(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9._-]+)")
_BAR_WIDTH = 24
_TAIL_LINES = 15


class _Step:
    """One line on the terminal: what is done, how far it is, and in the end how long it took."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun = time.monotonic()
        self._live = sys.stdout.isatty()
        self._width = 0
        self._write("...")
        if not self._live:
            print(f"  {title} ...", flush=True)

    def at(self, done: int, total: int, what: str) -> None:
        filled = _BAR_WIDTH * done // max(total, 1)
        self._write(f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {done}/{total} {what}")

    def end(self) -> None:
        seconds = time.monotonic() - self._begun
        if self._live:
            self._write(f"done in {seconds:.0f} s")
            print()
        else:
            print(f"  {self._title}: done in {seconds:.0f} s", flush=True)

    def _write(self, state: str) -> None:
        if self._live:
            line = f"  {self._title}: {state}"
            print(f"\r{line:<{self._width}}", end="", flush=True)
            self._width = len(line)


def main(kind: str, folder: Path) -> int:
    lock = _ROOT / "requirements" / f"{kind}.lock"
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Setting up {folder} with Python {version} (once; a few minutes at most)")
    try:
        _create(folder)
        _install_locked(folder, lock)
        _install_project(folder)
    except subprocess.CalledProcessError as failed:
        print(f"\n{' '.join(map(str, failed.cmd[2:4]))} failed:\n{failed.output}", file=sys.stderr)
        print("Nothing was left half done: the same command tries again.", file=sys.stderr)
        return 1
    for made in {"runtime", kind}:  # whoever has the tools has the service too
        (folder / f".{made}").touch()
    return 0


def _create(folder: Path) -> None:
    if _works(folder):
        return
    step = _Step("virtual environment")
    venv.EnvBuilder(clear=True, with_pip=True).create(folder)
    step.end()


def _works(folder: Path) -> bool:
    """An environment whose interpreter was removed or replaced by another version does not start its pip any more."""
    try:
        tried = subprocess.run([folder / "bin" / "pip", "--version"], capture_output=True)  # noqa: S603, our own
        return tried.returncode == 0
    except OSError:
        return False


def _install_locked(folder: Path, lock: Path) -> None:
    total = len(_PIN.findall(lock.read_text()))
    step = _Step(f"packages of {lock.relative_to(_ROOT)}")
    done = 0

    def show(line: str) -> None:
        nonlocal done
        handled = _PIP_HANDLES.match(line)
        if handled:
            done += 1
            step.at(done, total, handled[1])
        elif line.startswith("Installing collected packages"):
            step.at(total, total, "installing")

    _pip(folder, ["--require-hashes", "--no-deps", "-r", str(lock)], show)
    step.end()


def _install_project(folder: Path) -> None:
    step = _Step("Driftline itself")
    _pip(folder, ["--no-deps", "--no-build-isolation", "--editable", str(_ROOT)], lambda _line: None)
    step.end()


def _pip(folder: Path, arguments: list[str], show: Callable[[str], None]) -> None:
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--no-input", "--progress-bar=off", *arguments]
    tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
    with subprocess.Popen(  # noqa: S603, the pip of our own environment
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            tail.append(line)
            show(line)
    if pip.returncode != 0:
        raise subprocess.CalledProcessError(pip.returncode, command, "".join(tail))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in {"runtime", "dev"}:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
