"""`make bench`: what Driftline costs and how well its statistics hold, one table after another.

    make bench                                        # all of it, hours
    make bench ARGS='scorers drift'                   # these
    make bench ARGS='scorers --datasets DATASETS'     # also what is measured on a folder of labelled data sets

Nothing here passes or fails; ratios against a building block of the same run are what to compare between machines.
"""

import argparse
import subprocess
import sys
from pathlib import Path

TABLES = (
    *("service", "cluster", "scaling", "wire", "scrape", "normalise", "redaction"),
    *("scorers", "compiled", "drift", "combinations", "embeddings"),
)
ON_DATASETS = {"redaction": (), "scorers": (), "embeddings": ("--texts",)}  # what comes before the folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}; all if none is named")
    parser.add_argument("--datasets", type=Path, help="a folder of labelled data sets")
    given = parser.parse_args()
    if unknown := [name for name in given.tables if name not in TABLES]:
        parser.error(f"{', '.join(unknown)}: not one of {', '.join(TABLES)}")
    for name in given.tables or TABLES:
        print(f"\n== {name}", flush=True)
        more = (*ON_DATASETS[name], str(given.datasets)) if given.datasets and name in ON_DATASETS else ()
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *more], check=True)


if __name__ == "__main__":
    main()
