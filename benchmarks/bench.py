"""`make bench`: what Driftline costs and how well its statistics hold, one table after another.

    python -m benchmarks.bench [NAME ...]

Nothing here passes or fails; ratios against a building block of the same run are what to compare between machines.
"""

import subprocess
import sys

TABLES = {
    "service": "benchmarks.service",
    "cluster": "benchmarks.cluster",
    "scaling": "benchmarks.scaling",
    "wire": "benchmarks.wire",
    "scrape": "benchmarks.scrape",
    "normalise": "benchmarks.normalise",
    "scorers": "benchmarks.scorers",
    "drift": "benchmarks.drift",
}


def main() -> None:
    wanted = sys.argv[1:] or list(TABLES)
    if unknown := [name for name in wanted if name not in TABLES]:
        raise SystemExit(f"{', '.join(unknown)}: not one of {', '.join(TABLES)}")
    for name in wanted:
        print(f"\n== {name}", flush=True)
        subprocess.run([sys.executable, "-m", TABLES[name]], check=True)


if __name__ == "__main__":
    main()
