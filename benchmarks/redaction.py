"""How right redaction is, and what it costs: `python -m benchmarks.redaction [DATASETS]`.

Given the folder of labelled data sets, precision and recall by type with 95% intervals (Wilson). Then microseconds per
KB of plain prose without anything in it, of RAG spans as a service gets them, and of text full of things to replace.
"""

import gzip
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.service import bodies
from collector.core.engine import TRACES_KIND
from collector.core.telemetry import Telemetry
from collector.redaction.attributes import AttributeLists
from collector.redaction.credentials import find_credentials
from collector.redaction.personal import find_personal
from collector.redaction.redactor import Redactor
from collector.redaction.requests import RequestRedactor
from collector.redaction.rules import RULE_OF_TYPE

_Z = 1.959964  # the normal quantile of a 95% interval
_ROUNDS = 5
_LABELLED = {"DATE_TIME": "BIRTH_DATE"}
"""Labels of the set that are wider than our rule: a found date is right if it is a labelled one."""


def wilson(right: int, count: int) -> tuple[float, float]:
    """The score interval of a share (E. B. Wilson, 1927)."""
    if not count:
        return 0.0, 1.0
    share, spread = right / count, _Z * _Z / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def personal(path: Path) -> Iterator[str]:
    """A row a type. A labelled place counts as found if all of it is covered by what is found; a found place is right
    if it overlaps one that is labelled with its type."""
    labelled, covered, found, right = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for line in path.read_text().splitlines():
        row = json.loads(line)
        spans = [(one["start"], one["end"], _LABELLED.get(one["type"], one["type"])) for one in row["meta"]["spans"]]
        items = find_personal(row["text"])
        for start, end, kind in spans:
            labelled[kind] += 1
            covered[kind] += any(item.start <= start and end <= item.end for item in items if item.type != "URL")
        for item in items:
            found[item.type] += 1
            right[item.type] += any(
                start < item.end and item.start < end and kind == item.type for start, end, kind in spans
            )
    for kind in RULE_OF_TYPE:
        if labelled[kind] or found[kind]:
            recall = _share(covered[kind], labelled[kind])
            yield f"| {kind} | {labelled[kind]} | {recall} | {_share(right[kind], found[kind])} |"


def credentials(path: Path) -> Iterator[str]:
    labelled = covered = found = right = 0
    for line in gzip.decompress(path.read_bytes()).splitlines():
        row = json.loads(line)
        items = find_credentials(row["text"])
        labelled += row["label"]
        covered += row["label"] and bool(items)
        found += bool(items)
        right += row["label"] and bool(items)
    yield f"| secret (rows) | {labelled} | {_share(covered, labelled)} | {_share(right, found)} |"


def _share(right: int, count: int) -> str:
    low, high = wilson(right, count)
    return f"{right}/{count} ({low:.3f} to {high:.3f})"


def cost() -> Iterator[str]:
    requests = list(bodies(300, 1_700_000_000 * 10**9))
    size_kb = sum(len(body) for body, _ in requests) / 1024
    spans = sum(count for _, count in requests)

    def arrive() -> None:
        clean = RequestRedactor(Redactor(b"k" * 16), AttributeLists(("*.version",)), Telemetry())
        for body, _ in requests:
            clean(TRACES_KIND, body)

    seconds = _best(arrive)
    yield f"RAG spans on arrival: {seconds * 1e6 / size_kb:.0f} us per KB, {seconds * 1e6 / spans:.0f} us a span"
    prose = "The river was built in a garden by the council, and nobody knows why it is so. " * 13
    dense = 'Mail jo@example.org, pay 4111 1111 1111 1111, password="v9#Lq2!xWz". ' * 15
    for name, text in (("prose", prose), ("text full of them", dense)):
        seconds = _best(lambda text=text: _each(text)) / 200  # type: ignore[misc]
        yield f"{name}: {seconds * 1e6 / (len(text) / 1024):.0f} us per KB"
    redactor = Redactor(b"k" * 16)
    seconds = _best(lambda: [redactor.text("found EMAIL_ADDRESS") for _ in range(1000)]) / 1000
    yield f"a short text that was seen before: {seconds * 1e6:.2f} us"


def _each(text: str) -> None:
    redactor = Redactor(b"k" * 16)
    for number in range(200):  # never the same text twice
        redactor.text(f"{number} {text}")


def _best(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken)


def main(folder: Path | None) -> None:
    if folder is not None:
        print("| type | labelled | recall (95%) | precision (95%) |\n|---|---|---|---|")
        print("\n".join(personal(folder / "pii" / "presidio_synth.jsonl")))
        print("\n".join(credentials(folder / "secrets" / "generated.jsonl.gz")))
    print("\n".join(cost()))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
