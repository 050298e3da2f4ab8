"""Do the documents that an answer cites support the sentences that cite them? Markers, numbers and ids, lexically."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from collector.core.model import Trace
from scorers.base import Evidence, Score, scorer
from scorers.text import Text, clipped_note, read, read_passage

_MOST_CONTEXTS = 200
_MOST_CITATIONS = 500
_SUPPORTED = 0.5
"""Share of a sentence's content words that the document it cites must have; of several documents each its part."""

_SHORTEST_ID = 2
_LONGEST_ID = 100
_MARKER = re.compile(r"\[([^\[\]\n]{1,120})\]|\(([^()\n]{1,120})\)|【([^【】\n]{1,120})】")
_BRACKETS = "[(【"
_NUMBERED = re.compile(
    r"\^?(?:(?:doc|document|source|context|passage|ref|reference|chunk)s?\.?[ #:_-]{0,2})?(\d{1,3})", re.I
)
_SEPARATOR = re.compile(r"\s*[,;]\s*|\s+and\s+")
_LINK_OR_NOTE = re.compile(r"\(|:(?!\s*$)")  # what follows the bracket of a link, or of a footnote's own text
_SUPERSCRIPT = re.compile("[¹²³⁰⁴-⁹]{1,3}")
_STOPS = (".", "!", "?", "。", "！", "？", "”", '"')
_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


@scorer(name="citations", needs=("answer", "contexts"), passing=">= 0.5", version="1")
def citations(trace: Trace) -> Score | None:
    """Share of the citations that hold: the cited document is there and supports the sentence that cites it.

    Markers are [1], (doc-2), 【3】, [^4], superscripts, and ids of retrieved documents in brackets, numbers counting
    contexts from 1. Nothing is said of an answer without any. Wrong on sentences that say it in other words than the
    document, on numbers in brackets that are no citations, and on documents numbered otherwise than the contexts.
    """
    answer = read(trace.answer or "")
    documents = [read_passage(text) for text in trace.contexts[:_MOST_CONTEXTS]]
    cited = list(_cited(answer, _known_ids(trace), len(documents)))
    if not cited:
        return None
    faults = {"dangling": 0, "unsupported": 0}
    evidence = []
    for citation in cited:
        fault = _fault(citation, documents)
        if fault:
            faults[fault] += 1
            evidence.append(Evidence(citation.start, citation.end, fault))
    wrong = sum(faults.values())
    told = f"{len(cited) - wrong} of {len(cited)} citations hold"
    if wrong:
        told += f"; {faults['dangling']} cite what is not there, {faults['unsupported']} what does not support them"
    return Score(round(1 - wrong / len(cited), 4), explanation=told + clipped_note(answer), evidence=evidence)


@dataclass(frozen=True, slots=True)
class _Citation:
    start: int
    end: int
    document: int | None  # by its place among the contexts; None if there is none such
    terms: frozenset[str]  # of the sentence, without the marker
    shared: int  # how many documents the sentence cites


def _fault(citation: _Citation, documents: Sequence[Text]) -> str:
    """Empty if the citation holds."""
    if citation.document is None:
        return "dangling"
    held = len(citation.terms & documents[citation.document].terms)
    return "unsupported" if held * citation.shared < _SUPPORTED * len(citation.terms) else ""


def _known_ids(trace: Trace) -> dict[str, int]:
    """Ids of retrieved documents, in lower case, and which context each is."""
    places: dict[str, int] = {}
    for at, text in enumerate(trace.contexts[:_MOST_CONTEXTS]):
        places.setdefault(text, at)
    found: dict[str, int] = {}
    for retrieval in trace.retrievals:
        for document in retrieval.documents[:_MOST_CONTEXTS]:
            name = (document.id or "").strip().lower()
            if document.text in places and _SHORTEST_ID <= len(name) <= _LONGEST_ID:
                found.setdefault(name, places[document.text])
    return found


_Mark = tuple[int, int, int | None]
"""Where a marker is, and the document that it cites by its place among the contexts; None if there is none such."""


def _cited(answer: Text, ids: Mapping[str, int], count: int) -> Iterator[_Citation]:
    """The citations of an answer; a document that a sentence cites twice counts once."""
    marks = list(islice(_marks(answer.text, ids, count), _MOST_CITATIONS))
    for start, end, own in _claims(answer, marks):
        pieces, at = [], start
        for left, right, _ in own:
            pieces.append(answer.text[at : max(at, left)])
            at = max(at, right)
        terms = Text("".join([*pieces, answer.text[at : max(at, end)]]), clipped=False).terms
        documents = list(dict.fromkeys(document for _, _, document in own))
        for document in documents:
            left, right = next((left, right) for left, right, cited in own if cited == document)
            yield _Citation(left, right, document, terms, len(documents))


def _claims(answer: Text, marks: Sequence[_Mark]) -> Iterator[tuple[int, int, list[_Mark]]]:
    """Each sentence that cites, with its markers. A marker behind the full stop belongs to the sentence before it.

    A marker that begins a line is an entry of a list of sources and cites nothing.
    """
    starts = [sentence.start for sentence in answer.sentences]
    claims: dict[int, tuple[int, list[_Mark]]] = {}
    cut, last = 0, -1  # what is before `cut` was told by a marker behind a full stop; end of the marker before
    for mark in marks:
        left, right, _ = mark
        before = answer.text[max(last, 0) : left].strip() if last >= 0 else answer.text[:left].strip()
        at = max(0, bisect_right(starts, left) - 1)
        line = answer.text.rfind("\n", 0, left) + 1
        if not answer.text[line:left].strip(" >*-"):
            last = right
            continue
        if not before and claims:  # directly behind another marker: the same claim
            start = max(claims)
            claims[start][1].append(mark)
            claims[start] = (max(claims[start][0], right), claims[start][1])
            cut = max(cut, right if cut else 0)
        elif before[-1:] in _STOPS:  # behind a full stop
            if starts[at] >= left:
                at -= 1
            start = max(cut, starts[max(0, at)])
            claims.setdefault(start, (right, []))[1].append(mark)
            claims[start] = (right, claims[start][1])
            cut = right
        else:
            start = max(cut, starts[at])
            claims.setdefault(start, (answer.sentences[at].end, []))[1].append(mark)
        last = right
    for start, (end, own) in sorted(claims.items()):
        yield start, end, own


def _marks(text: str, ids: Mapping[str, int], count: int) -> Iterator[_Mark]:
    """The markers in their order. Round brackets hold many other things: there only an id or a named number counts."""
    found: list[_Mark] = []
    for match in _MARKER.finditer(text) if any(bracket in text for bracket in _BRACKETS) else ():
        square = match.group(1) or match.group(3)
        if match.group(1) and _LINK_OR_NOTE.match(text, match.end()):
            continue
        parts = _parts(square or match.group(2))
        if all(_cites(part, ids, bare=square is not None) for part in parts):
            found += [(match.start(), match.end(), _document(part, ids, count)) for part in parts]
    for match in _SUPERSCRIPT.finditer(text) if not text.isascii() else ():
        number = int(match.group().translate(_DIGITS))
        if match.start() and text[match.start() - 1] in _STOPS and 0 < number <= count:
            found.append((match.start(), match.end(), number - 1))
    yield from sorted(found, key=lambda mark: mark[:2])


def _parts(inside: str) -> list[str]:
    return [part.strip(" \t\"'`") for part in _SEPARATOR.split(inside)]


def _cites(part: str, ids: Mapping[str, int], bare: bool) -> bool:
    number = _NUMBERED.fullmatch(part)
    return part.lower() in ids or (number is not None and (bare or not part.isdigit()))


def _document(part: str, ids: Mapping[str, int], count: int) -> int | None:
    if part.lower() in ids:
        return ids[part.lower()]
    number = _NUMBERED.fullmatch(part)
    place = int(number.group(1)) if number else 0
    return place - 1 if 0 < place <= count else None
