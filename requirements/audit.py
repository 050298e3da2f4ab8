"""Asks whether what is locked has known vulnerabilities: `make audit`.

pip-audit is fetched for the run (by uv, not locked: it is no part of what is tested or shipped), and asks the advisory
database of PyPI, so this needs the network, and is no part of `make check`, which must not depend on one. Exits with 0
if nothing is known, 1 if something is, 3 if nothing could be asked: that is never passed off as fine.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
LOCKS = ("dev.lock", "parquet.lock", "compression.lock", "models.lock")  # all of the runtime's lock is in each
TOOL = "pip-audit>=2.9,<3"
_CONNECTION = (
    *("ConnectionError", "ConnectionTimeout", "Max retries exceeded", "Failed to fetch", "dns error", "timed out"),
    "not found on PyPI and could not be audited",  # a mirror answers, which has no advisories
)
_FOUND, _NOT_ASKED = 1, 3


def main() -> int:
    uv = str(Path(sys.executable).with_name("uv"))
    answers = []
    for lock in LOCKS:
        print(f"{lock}: asking ...", flush=True)
        command = [uv, "tool", "run", "--from", TOOL, "pip-audit", "--disable-pip", "--require-hashes", "--strict"]
        command += ["-r", str(FOLDER / lock)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own
        answers.append(answer(lock, ended.returncode, ended.stdout, ended.stderr))
    return max(answers)


def answer(lock: str, code: int, out: str, err: str) -> int:
    """Say what came of one lock, and how to exit for it."""
    if code == 0:
        print(f"{lock}: nothing is known of")
        return 0
    if "Found " in err and "known vulnerabilit" in err:
        print(f"{lock}: {err.strip().splitlines()[-1]}\n{out}")
        return _FOUND
    reached = not any(sign in out + err for sign in _CONNECTION)
    why = "pip-audit failed" if reached else "the advisories, or the index that has pip-audit, cannot be reached"
    last = (err.strip() or out.strip() or "it says nothing").splitlines()[-1]
    print(f"{lock}: NOT AUDITED, {why}: {last[:300]}")
    return _NOT_ASKED


if __name__ == "__main__":
    sys.exit(main())
