"""How well the spans of names are found, with standard errors over templates."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.bootstrap import redrawn
from collector.redaction.names import Span

SAMPLES = 500  # of templates, for standard errors


@dataclass(frozen=True)
class Judged:
    """What is in a text, and what was found."""

    template: int
    people: list[Span]
    found: list[Span]
    known: list[bool]  # of each person: do the lists have all the words?


def rates(judged: Iterable[Judged]) -> list[float]:
    """Precision, recall and F1 of spans that are the same, and of those that overlap."""
    right = touched = touching = found = people = 0
    for one in judged:
        found += len(one.found)
        people += len(one.people)
        right += len(set(one.found) & set(one.people))
        touching += sum(any(a < d and c < b for c, d in one.people) for a, b in one.found)
        touched += sum(any(a < d and c < b for c, d in one.found) for a, b in one.people)
    pairs = [(right / max(found, 1), right / max(people, 1)), (touching / max(found, 1), touched / max(people, 1))]
    return [value for p, r in pairs for value in (p, r, 2 * p * r / (p + r) if p + r else 0.0)]


def tell(title: str, judged: Sequence[Judged]) -> None:
    by_template = defaultdict[int, list[Judged]](list)
    for one in judged:
        by_template[one.template].append(one)
    groups = [by_template[template] for template in sorted(by_template)]
    drawn = [rates(some) for some in redrawn(groups, SAMPLES, seed=0)]
    errors = np.std(drawn, axis=0)
    told = [f"{value:.3f} ± {error:.3f}" for value, error in zip(rates(judged), errors, strict=True)]
    print(f"{title}\n  the same span:  precision {told[0]}  recall {told[1]}  F1 {told[2]}")
    print(f"  overlapping:    precision {told[3]}  recall {told[4]}  F1 {told[5]}")
    for known in (True, False):
        hits = [
            any(a < d and c < b for c, d in one.found)
            for one in judged
            for (a, b), listed in zip(one.people, one.known, strict=True)
            if listed is known
        ]
        share = sum(hits) / max(len(hits), 1)
        print(f"  recall of names that the lists {'have' if known else 'lack'}: {share:.3f} of {len(hits)}", flush=True)
