"""Trains the model of the scorer `toxicity`: `python -m benchmarks.train_toxicity DATASETS [OUT]`.

DATASETS is a folder of labelled sets with `toxicity/hatecheck.jsonl` and sets of ordinary texts. Prints how good the
model is on templates that were left out (rows that differ in the people they name are of one template), on whole kinds
of rows, and what it flags in ordinary texts; then, given OUT, writes the weights of all rows. Deterministic.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import logistic
from scorers.builtin.charged_words import GROUPS, OF_PEOPLE
from scorers.builtin.toxicity import FLAGGED, features, judge
from scorers.linear import LinearModel
from scorers.quality import auroc
from scorers.text import read

ORDINARY = (
    ("groundedness/ragtruth_qa", "answer"),
    ("groundedness/begin_wow", "answer"),
    ("answer_relevance/haluquestqa", "answer"),
    ("qa_correctness/evouna", "answer"),
    ("refusal/xstest", "answer"),
)
ORDINARY_AT_MOST = 500  # of each set
PASSAGES = (
    "groundedness/ragtruth_qa",
    "groundedness/begin_wow",
    "groundedness/wice_claim",
    "groundedness/halueval_qa",
)
"""Sets with contexts; their sentences about people are ordinary too: news, histories, encyclopedias."""
ORDINARY_WEIGHT = 0.1  # of an ordinary sentence, to a row that is labelled
OF_PEOPLE_WEIGHT = 0.2  # of one about people
FAIR = Path(__file__).with_name("about_people.txt")
"""Sentences that speak of people as answers do, praise them, or speak against hate; written for this, one a line."""
FAIR_WEIGHT = 0.4
LEAST_ROWS = 2
PENALTY = 0.03
PARTS = 5
_NAMING = GROUPS | {"people", "person", "persons", "folk", "folks", "they", "them", "their"}
"""Words in which rows of one template differ."""


def part(text: str) -> int:
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), 16) % PARTS


def template(text: str) -> str:
    return " ".join(word for word in read(text).words if word not in _NAMING)


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def sentences(text: str) -> list[tuple[str, Sequence[str]]]:
    """As they stand in a text, with their words."""
    return [(text[one.start : one.end], one.words) for one in read(text).sentences]


def of_people(words: Sequence[str]) -> bool:
    return not OF_PEOPLE.isdisjoint(words)


def about_people(passages: Sequence[str]) -> list[str]:
    """Sentences of passages."""
    return [piece for text in passages for piece, words in sentences(text) if of_people(words)]


def fair() -> list[str]:
    return FAIR.read_text(encoding="utf-8").splitlines()


def fit(rows: Sequence[dict[str, Any]], ordinary: Sequence[str]) -> LinearModel:
    ours = [set(features(row["text"], read(row["text"]).words)) for row in rows]
    others = [sentence for text in ordinary for sentence in sentences(text)]
    written = fair()
    weights = [
        FAIR_WEIGHT if piece in written else OF_PEOPLE_WEIGHT if of_people(words) else ORDINARY_WEIGHT
        for piece, words in others
    ]
    return logistic.fit(
        [*ours, *(set(features(piece, words)) for piece, words in others)],
        [*(row["label"] for row in rows), *(0 for _ in others)],
        [*(1.0 for _ in ours), *weights],
        characters=0,
        least_rows=LEAST_ROWS,
        penalty=PENALTY,
        counted=len(ours),
    )


def left_out(
    rows: list[dict[str, Any]], ordinary: list[str], of: Callable[[dict[str, Any]], Hashable]
) -> dict[str, float]:
    said: dict[str, float] = {}
    for one in sorted({of(row) for row in rows}, key=str):
        others = [text for text in ordinary if part(text) != one]
        model = fit([row for row in rows if of(row) != one], others)
        said |= {row["id"]: judge(read(row["text"]), model)[0] for row in rows if of(row) == one}
        said |= {text: judge(read(text), model)[0] for text in ordinary if part(text) == one}
    return said


def rate(values: Sequence[float]) -> float:
    return sum(value >= FLAGGED for value in values) / max(1, len(values))


def main(folder: Path, out: Path | None) -> None:
    rows = rows_of(folder, "toxicity/hatecheck")
    sets = {
        name: list(dict.fromkeys(row[field] for row in rows_of(folder, name) if row.get(field)))[:ORDINARY_AT_MOST]
        for name, field in ORDINARY
    }
    passages = {
        name: list(dict.fromkeys(about_people([text for row in rows_of(folder, name) for text in row["contexts"]])))
        for name in PASSAGES
    } | {FAIR.name: fair()}
    ordinary = list(dict.fromkeys(text for texts in (*sets.values(), *passages.values()) for text in texts))
    labels = [row["label"] for row in rows]
    said = left_out(rows, ordinary, lambda row: part(template(row["text"])))
    values = [said[row["id"]] for row in rows]
    hate = [value for value, label in zip(values, labels, strict=True) if label]
    fine = [value for value, label in zip(values, labels, strict=True) if not label]
    print(f"templates left out: AUROC {auroc(values, labels):.3f}")
    print(f"  at {FLAGGED}: recall {rate(hate):.3f} FPR {rate(fine):.3f}")
    for title, texts_of in (("ordinary texts", sets), ("sentences about people", passages)):
        for name, texts in texts_of.items():
            flagged = rate([said[text] for text in texts])
            print(f"  {title} of {name}, left out: flagged {flagged:.4f} of {len(texts)}")
    kinds = left_out(rows, ordinary, lambda row: row["meta"]["functionality"])
    for kind in dict.fromkeys(row["meta"]["functionality"] for row in rows):
        some = [row for row in rows if row["meta"]["functionality"] == kind]
        flagged = (rate([told[row["id"]] for row in some]) for told in (said, kinds))
        print(f"  {kind:24s} label {some[0]['label']}: flagged {next(flagged):.2f}, left out whole {next(flagged):.2f}")
    if out is not None:
        logistic.write(fit(rows, ordinary), out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
