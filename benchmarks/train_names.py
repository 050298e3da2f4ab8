"""Trains the finder of names: `python -m benchmarks.train_names DATASETS [OUT]`; needs `pip install faker==40.54.0`.

DATASETS is a folder of labelled sets with `pii/presidio_synth.jsonl`, whose spans are the labels, and the sets of
ordinary text below. Lists of names and places are Faker's (MIT), common words are those of the ordinary texts. Prints
what is found in templates that were left out, once with the names of those left out of the training rows and once with
them hidden from the lists too, and how many ordinary answers have a name; then, given OUT, writes the model of all
rows. Deterministic.
"""

import hashlib
import importlib
import json
import math
import pkgutil
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, TypeAlias
from zoneinfo import available_timezones

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from benchmarks.names_rates import Judged, tell
from benchmarks.names_silver import silver
from collector.redaction.names import KINDS, TOKEN, NameModel, Reading, Span

Row: TypeAlias = tuple[list[str], int, float]  # features, label, weight

ORDINARY = (
    *("groundedness/ragtruth_qa", "groundedness/begin_wow", "groundedness/wice_claim", "groundedness/summedits"),
    *("groundedness/halueval_qa", "qa_correctness/evouna", "answer_relevance/haluquestqa"),
    *("injection/indirect_bipia", "injection/direct", "refusal/xstest"),
)
ANSWERS = ("qa_correctness/evouna", "groundedness/ragtruth_qa", "groundedness/begin_wow")
TEXTS = ("question", "answer", "reference", "text")
CHARACTERS = 1500  # of an ordinary text
MOST_WORDS = 2500  # of each label, from an ordinary set
ORDINARY_WEIGHT = 0.3  # of a word of an ordinary text
TEMPLATE_WEIGHT = 0.3  # of a word of a template that is filled in
FILLED = 20  # times each template
LOWERED = 0.08  # of the filled templates, as people type
HIDDEN = 0.3  # of the words of a text, whose lists the model does not see
HIDDEN_TEXTS = 0.1  # in which it sees no list of names at all
COMMON_ROWS, COMMON_SHARE = 3, 0.3  # of a word without a capital, to all of it
CONTINENTS = frozenset(["africa", "america", "antarctica", "asia", "australia", "europe", "oceania"])
PLACED = frozenset(["in", "near", "across", "throughout", "outside"])
PLACED_ROWS, PLACED_SHARE = 2, 0.15  # of a word behind one of these and with a capital, to all of it: a place
LEAST_ROWS = 3  # with a feature, for it to have a weight
PENALTY = 2.0  # of the squared weights, to a loss that is a sum over rows
SMALLEST = 0.03  # weights below it are left out
PARTS = 5


@dataclass(frozen=True)
class Lists:
    """Names and places as they are written, and the lists that each single word is in."""

    first: Sequence[str]
    last: Sequence[str]
    places: Sequence[str]
    kinds: dict[str, str]

    def without(self, words: set[str]) -> "Lists":
        """As if the lists of names had never had these words; common words stay."""
        left = {word: kind if word not in words else kind.translate(_NO_NAMES) for word, kind in self.kinds.items()}
        return replace(self, kinds={word: kind for word, kind in left.items() if kind})


_BESIDE_TEXT = """
    dear hi hello hey mr mrs ms miss dr sir prof professor madam lord lady king queen prince princess duke saint captain
    president senator doctor monsieur pope christians muslims jews nazi abbey airport bay castle harbor harbour hill
    hills palace port stadium station theater theatre valley
    monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december inc corp corporation ltd limited llc llp plc gmbh ag co company group
    holdings bank partners associates university college school hospital church museum library foundation
    institute association society club union party ministry department committee council court agency centre
    center hotel restaurant street st road rd avenue ave lane drive boulevard blvd terrace square court place
    bridge park trail crescent parkway highway suite apt box floor building river lake mountain mount island
    islands county city town village state beach african american arab arabic argentine asian australian
    austrian belgian brazilian british bulgarian canadian chilean chinese colombian croatian cuban czech
    danish dutch egyptian english estonian european finnish french german greek hebrew hindi hungarian
    icelandic indian indonesian iranian iraqi irish israeli italian japanese korean latin latvian lithuanian
    malaysian mexican moroccan nigerian norwegian pakistani persian peruvian polish portuguese romanian
    russian scottish serbian slovak slovenian spanish swedish swiss thai turkish ukrainian urdu vietnamese
    welsh catholic christian islamic jewish muslim
"""
BESIDE = frozenset(_BESIDE_TEXT.split())
"""Words with a capital that stand for no person, or make none of the words they stand with."""

_LICENCE = "licenses/LICENSE.txt"
_NO_NAMES = str.maketrans("", "", "FL")
_LATIN = re.compile(r"[A-Za-zÀ-ɏ][A-Za-zÀ-ɏ'’\- ]+")
_PLACES = ("cities", "city_names", "countries", "states", "towns", "provinces", "regions", "municipalities")
_NO_NAME = frozenset(["de", "van", "von", "da", "la", "le", "of", "the", "and"])


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ordinary_texts(folder: Path) -> dict[str, list[str]]:
    """Of each ordinary set, in an order of its own."""
    found: dict[str, list[str]] = {}
    for name in ORDINARY:
        texts: dict[str, None] = {}
        for row in read(folder / f"{name}.jsonl"):
            for text in (*map(row.get, TEXTS), *(row.get("contexts") or ())):
                if isinstance(text, str):
                    texts[text[:CHARACTERS]] = None
        found[name] = sorted(texts, key=lambda text: hashlib.md5(text.encode(), usedforsecurity=False).digest())
    return found


def lists(texts: Iterable[str]) -> Lists:
    first = _of_faker("person", lambda name: name.startswith("first_name"))
    last = _of_faker("person", lambda name: name.startswith("last_name"))
    places = _of_faker("address", _PLACES.__contains__)
    small, seen, behind = Counter[str](), Counter[str](), Counter[str]()
    for text in texts:
        before = ""
        for word in TOKEN.findall(text):
            seen[word.lower()] += 1
            small[word] += word.islower()
            behind[word.lower()] += before in PLACED and word.istitle()
            before = word
    common = {word for word, count in small.items() if count >= max(COMMON_ROWS, COMMON_SHARE * seen[word])}
    words = {"F": set(_words(first)), "L": set(_words(last)), "o": BESIDE, "c": common}
    towns = {word for place in places if " " not in (word := place.lower()) and len(word) > 2 and word in seen}
    zones = {zone.rpartition("/")[2].lower() for zone in available_timezones() if "/" in zone}
    placed = {word for word, count in behind.items() if count >= max(PLACED_ROWS, PLACED_SHARE * seen[word])}
    lands = set(map(str.lower, _of_faker("address", ("countries", "states").__contains__))) & set(seen)
    words["P"] = (towns - words["F"] - words["L"]) | lands | zones | placed | CONTINENTS
    kinds = {
        word: "".join(kind for kind in KINDS if word in words[kind]) for word in sorted(set().union(*words.values()))
    }
    return Lists(first, last, places, kinds)


def _of_faker(provider: str, wanted: Callable[[str], bool]) -> list[str]:
    """What Faker's providers of all languages have in attributes of such names, in Latin letters, in order."""
    package = importlib.import_module(f"faker.providers.{provider}")
    found: set[str] = set()
    for module in pkgutil.iter_modules(package.__path__):
        holder = importlib.import_module(f"{package.__name__}.{module.name}").Provider
        for name in filter(wanted, dir(holder)):
            values = getattr(holder, name)
            if isinstance(values, dict | list | tuple | set):
                found |= {value for value in values if isinstance(value, str) and _LATIN.fullmatch(value)}
    return sorted(found)


def _words(names: Iterable[str]) -> Iterator[str]:
    return (word for name in names for word in name.lower().split() if len(word) > 1 and word not in _NO_NAME)


def hider(known: dict[str, str], seed: str) -> Callable[[str], str]:
    """The lists of words of one text, of which the model is not to see all."""
    look = NameModel(known, 0.0, {}).kind
    share = 1.0 if _chance(seed) < HIDDEN_TEXTS else HIDDEN

    def kind(word: str) -> str:
        found = look(word)
        return found if _chance(seed + word.lower()) >= share else found.translate(_NO_NAMES) or "-"

    return kind


def _chance(text: str) -> float:
    return int.from_bytes(hashlib.md5(text.encode("utf-8", "replace"), usedforsecurity=False).digest()[:6]) / 2**48


def ordinary_rows(texts: dict[str, list[str]], known: dict[str, str], banned: set[str]) -> list[Row]:
    """Words of ordinary texts, as far as they are rather surely of a name or of none."""
    rows: list[Row] = []
    look = NameModel(known, 0.0, {}).kind
    for several in texts.values():
        counts = [0, 0]
        for text in several:
            seen = Reading(text, look)
            labels = silver(seen)
            if any(label and seen.words[at].lower() in banned for at, (label, _) in labels.items()):
                continue
            wanted = {at for at, (label, _) in labels.items() if counts[label] < MOST_WORDS}
            if not wanted:
                continue
            shown = Reading(text, hider(known, text))
            for at in shown.candidates:
                if at in wanted:
                    label, sure = labels[at]
                    counts[label] += 1
                    rows.append((shown.features(at), label, sure * ORDINARY_WEIGHT))
    return rows


def template_rows(rows: Sequence[dict[str, Any]], names: Lists, banned: set[str]) -> list[Row]:
    """Words of each template, filled in again and again with other names."""
    by_template = defaultdict[int, list[dict[str, Any]]](list)
    for row in rows:
        by_template[row["meta"]["template_id"]].append(row)
    made: list[Row] = []
    for template, several in sorted(by_template.items()):
        for at in range(FILLED):
            chance = random.Random(f"{template} {at}")
            text, people = filled(several[at % len(several)], names, banned, chance)
            if chance.random() < LOWERED and len(text.lower()) == len(text):
                text = text.lower()
            seen = Reading(text, hider(names.kinds, f"{template} {at}"))
            for candidate in seen.candidates:
                start, end = seen.places[candidate]
                label = any(start >= one and end <= other for one, other in people)
                made.append((seen.features(candidate), int(label), TEMPLATE_WEIGHT))
    return made


def filled(row: dict[str, Any], names: Lists, banned: set[str], chance: random.Random) -> tuple[str, list[Span]]:
    """The text of a row with other people in it, and where they are."""
    text, made, at = row["text"], "", 0
    people: list[Span] = []
    instead: dict[str, str] = {}
    for span in sorted(row["meta"]["spans"], key=lambda span: span["start"]):
        start, end = span["start"], span["end"]
        if start < at:
            continue
        made, value = made + text[at:start], text[start:end]
        if span["type"] == "PERSON":
            value = instead.setdefault(value, _another(value, names, banned, chance))
            people.append((len(made), len(made) + len(value)))
        elif span["type"] == "GPE" and chance.random() < 0.5:
            value = chance.choice(names.places)
        made, at = made + value, end
    return made + text[at:], people


def _another(name: str, names: Lists, banned: set[str], chance: random.Random) -> str:
    def pick(several: Sequence[str]) -> str:
        while not banned.isdisjoint((found := chance.choice(several)).lower().split()):
            pass
        return found

    words = len(name.split())
    if words == 1:
        found = pick(names.first if chance.random() < 0.6 else names.last)
    else:
        middle = f"{chance.choice('ABCDEFGHIJKLMNOPRSTVW')}{chance.choice(('.', '.', ''))} " if words > 2 else ""
        found = f"{pick(names.first)} {middle}{pick(names.last)}"
    if name.islower():
        return found.lower()
    return found.upper() if name.isupper() and len(name) > 2 else found


def fit(rows: Sequence[Row], known: dict[str, str]) -> NameModel:
    counts = Counter(feature for features, _, _ in rows for feature in features)
    names = sorted(name for name, count in counts.items() if count >= LEAST_ROWS)
    column = {name: at for at, name in enumerate(names)}
    starts, columns = [0], list[int]()
    for features, _, _ in rows:
        columns += sorted(column[name] for name in features if name in column)
        starts.append(len(columns))
    x = csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(rows), len(names)))
    y, weight = (np.array([row[at] for row in rows], dtype=float) for at in (1, 2))

    def loss(parameters: Any) -> tuple[float, Any]:
        w, b = parameters[:-1], parameters[-1]
        z = x @ w + b
        slope = weight * (1 / (1 + np.exp(-np.clip(z, -30, 30))) - y)
        value = float((weight * (np.logaddexp(0, z) - y * z)).sum() + PENALTY / 2 * w @ w)
        return value, np.append(x.T @ slope + PENALTY * w, slope.sum())

    found = minimize(loss, np.zeros(len(names) + 1), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    weights = {name: round(float(w), 2) for name, w in zip(names, found[:-1], strict=True) if abs(w) >= SMALLEST}
    return NameModel(known, round(float(found[-1]), 2), weights)


def write(model: NameModel, out: Path) -> None:
    """A list of words a line, and a weight a line, so that a change of them can be read."""
    kinds = defaultdict[str, list[str]](list)
    for word, kind in sorted(model.kinds.items()):
        kinds[kind].append(word)
    told = {
        "lists": "names and places of Faker, under this licence:\n" + (distribution("faker").read_text(_LICENCE) or ""),
        "kinds": {kind: " ".join(words) for kind, words in kinds.items()},
        "intercept": model.intercept,
        "weights": model.weights,
    }
    out.write_text(json.dumps(told, ensure_ascii=False, indent=0, sort_keys=True) + "\n", encoding="utf-8")


def people_of(row: dict[str, Any]) -> list[Span]:
    return sorted((span["start"], span["end"]) for span in row["meta"]["spans"] if span["type"] == "PERSON")


def words_of(name: str) -> list[str]:
    return [word for word in re.split(r"[\s.\-]+", name.lower()) if len(word) > 1]


def left_out(rows: Sequence[dict[str, Any]], texts: dict[str, list[str]], names: Lists, hide: bool) -> list[Judged]:
    """What models find that were fitted to other templates and other names."""
    judged: list[Judged] = []
    ordinary = [] if hide else ordinary_rows(texts, names.kinds, set())
    for part in range(PARTS):
        test = [row for row in rows if int(_chance(str(row["meta"]["template_id"])) * PARTS) == part]
        inside = {row["id"] for row in test}
        banned = {word for row in test for a, b in people_of(row) for word in words_of(row["text"][a:b])}
        seen = names.without(banned) if hide else names
        train = template_rows([row for row in rows if row["id"] not in inside], seen, banned)
        model = fit([*train, *(ordinary_rows(texts, seen.kinds, banned) if hide else ordinary)], seen.kinds)
        for row in test:
            people = people_of(row)
            known = [all(set(model.kind(word)) & set("FL") for word in words_of(row["text"][a:b])) for a, b in people]
            judged.append(Judged(row["meta"]["template_id"], people, model.spans(row["text"]), known))
    return judged


def main(folder: Path, out: Path | None) -> None:
    rows = read(folder / "pii" / "presidio_synth.jsonl")
    texts = ordinary_texts(folder)
    names = lists(text for several in texts.values() for text in several)
    print(f"lists: {Counter(kind for kinds in names.kinds.values() for kind in kinds)}", flush=True)
    tell("templates left out, and their names from the rows", left_out(rows, texts, names, hide=False))
    tell("their names hidden from the lists too", left_out(rows, texts, names, hide=True))
    filled_in = template_rows(rows, names, set())
    for name in ANSWERS:
        others = {other: several for other, several in texts.items() if other != name}
        model = fit([*filled_in, *ordinary_rows(others, names.kinds, set())], names.kinds)
        answers = sorted({row["answer"] for row in read(folder / f"{name}.jsonl")})
        flagged = sum(bool(model.spans(answer)) for answer in answers) / len(answers)
        error = math.sqrt(flagged * (1 - flagged) / len(answers))
        print(f"{name} left out: {flagged:.3f} ± {error:.3f} of {len(answers)} answers have a name", flush=True)
    if out is not None:
        write(fit([*filled_in, *ordinary_rows(texts, names.kinds, set())], names.kinds), out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
