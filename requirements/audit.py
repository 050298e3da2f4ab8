"""Asks whether what is locked has known vulnerabilities: `make audit`, and at the end of `make check`.

pip-audit is fetched for the run (by uv, not locked: it is no part of what is tested or shipped), and asks the advisory
database of PyPI, so this needs the network. Exits with 0 if nothing is known, 1 if something is, 3 if nothing could be
asked: that is never passed off as fine. With `--if-possible` the last is a line that says so, and no failure, since a
check must not depend on the network; and locks that nothing was known of are not asked for again on the same day.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent
LOCKS = ("dev.lock", "parquet.lock", "compression.lock", "models.lock")  # all of the runtime's lock is in each
TOOL = "pip-audit>=2.9,<3"
ACCEPTED: Mapping[str, str] = {}
"""Advisories that are known and do not hold here, by id, with the reason."""

_CONNECTION = (
    *("ConnectionError", "ConnectionTimeout", "Max retries exceeded", "Failed to fetch", "dns error", "timed out"),
    "not found on PyPI and could not be audited",  # a mirror answers, which has no advisories
)
_FINE, _FOUND, _NOT_ASKED = 0, 1, 3
_LONGEST_SECONDS = 300.0
_VALID_SECONDS = 86400.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Known vulnerabilities of what is locked.")
    parser.add_argument("--if-possible", action="store_true", help="do not fail where nothing can be asked")
    lenient = parser.parse_args().if_possible
    memory = Path(sys.prefix) / "audited.json"
    if lenient and (hours := hours_since(memory, time.time())) is not None:
        print(f"advisories: nothing is known of these locks; asked {hours:.0f} hours ago")
        return _FINE
    answers = []
    for lock in LOCKS:
        print(f"{lock}: asking ...", flush=True)
        answers.append(ask(lock))
        if lenient and answers[-1] == _NOT_ASKED:
            break
    if set(answers) == {_FINE}:
        remember(memory, time.time())
    return exit_code(answers, lenient)


def exit_code(answers: list[int], lenient: bool) -> int:
    """How to exit after the answers on all locks, or on those up to the first that could not be asked for."""
    if _FOUND in answers:
        return _FOUND
    if _NOT_ASKED in answers and lenient:
        print("advisories: SKIPPED, nobody could be asked. That says nothing about vulnerabilities: run `make audit`")
        return _FINE
    return max(answers)


def ask(lock: str) -> int:
    """Ask for one lock, and say what came of it."""
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "tool", "run", "--from", TOOL, "pip-audit", "--disable-pip", "--require-hashes", "--strict"]
    command += [f"--ignore-vuln={one}" for one in ACCEPTED]
    command += ["-r", str(FOLDER / lock)]
    try:
        ended = subprocess.run(  # noqa: S603  our own
            command, capture_output=True, text=True, check=False, timeout=_LONGEST_SECONDS
        )
    except subprocess.TimeoutExpired:
        return answer(lock, 1, "", "timed out")
    return answer(lock, ended.returncode, ended.stdout, ended.stderr)


def answer(lock: str, code: int, out: str, err: str) -> int:
    """Say what came of one lock, and how to exit for it."""
    if code == 0:
        print(f"{lock}: nothing is known of")
        return _FINE
    if "Found " in err and "known vulnerabilit" in err:
        print(f"{lock}: {err.strip().splitlines()[-1]}\n{out}")
        return _FOUND
    reached = not any(sign in out + err for sign in _CONNECTION)
    why = "pip-audit failed" if reached else "the advisories, or the index that has pip-audit, cannot be reached"
    last = (err.strip() or out.strip() or "it says nothing").splitlines()[-1]
    print(f"{lock}: NOT AUDITED, {why}: {last[:300]}")
    return _NOT_ASKED


def remember(memory: Path, now_seconds: float) -> None:
    """Nothing is known of the locks as they are now."""
    memory.write_text(json.dumps({"locks": _digest(), "at": now_seconds}))


def hours_since(memory: Path, now_seconds: float) -> float | None:
    """How long ago nothing was known of the locks as they are now; None if that is too long ago, or never was."""
    try:
        found = json.loads(memory.read_text())
        age_seconds = now_seconds - float(found["at"])
        same = found["locks"] == _digest()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return age_seconds / 3600 if same and 0 <= age_seconds < _VALID_SECONDS else None


def _digest() -> str:
    """What the locks and the exceptions are now."""
    content = [(FOLDER / lock).read_bytes() for lock in LOCKS]
    return hashlib.sha256(b"\0".join([*content, json.dumps(dict(ACCEPTED)).encode()])).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
