"""`make fuzz`: look for what breaks it, for so many minutes, each round with other values.

    python -m tests.fuzz [--minutes 10] [--examples 1000] [--seed 1] [pytest's own options]

Ends with the first round that fails; hypothesis has then printed the least case and how to run it again.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import pytest


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Look for what breaks it.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--examples", type=int, default=1000, help="of each test, in a round")
    parser.add_argument("--seed", type=int, default=None, help="of the first round")
    given, others = parser.parse_known_args()
    os.environ["DRIFTLINE_FUZZ_EXAMPLES"] = str(given.examples)
    seed = int(time.time()) if given.seed is None else given.seed
    until = time.monotonic() + given.minutes * 60
    while True:
        print(f"seed {seed}", flush=True)
        code = pytest.main([str(Path(__file__).parent), "-q", "-m", "fuzz", f"--hypothesis-seed={seed}", *others])
        seed += 1
        if code or time.monotonic() >= until:
            return int(code)


if __name__ == "__main__":
    sys.exit(main())
