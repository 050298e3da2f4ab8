"""What the retriever brought: anything, anything that was used, the fitting ones first."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain

from collector.core.model import Retrieval, Trace
from scorers.base import Score, scorer
from scorers.builtin.overlap import relevances
from scorers.builtin.relevance import RELEVANT
from scorers.ranking import average_precision, ndcg, precision_at, reciprocal_rank
from scorers.text import Text, clipped_note, read, read_passage

_MOST_CONTEXTS = 200
_MOST_DOCUMENTS = 1_000
_USED = 0.2
"""Share of the answer's content words (those that few contexts have count alone) that a used context explains."""


@scorer(name="empty_retrieval", needs=("retrievals",), passing="== 0", better="lower", version="1")
def empty_retrieval(trace: Trace) -> Score:
    """Share of the retrievals that brought nothing: no document, or none with a text or an id.

    Wrong on tracing that leaves documents out, which looks empty, and on searches that rightly find nothing.
    """
    empty = [found for found in trace.retrievals if not any(_is_there(one.text, one.id) for one in found.documents)]
    total = len(trace.retrievals)
    failed = sum(found.error is not None for found in empty)
    told = f"{len(empty)} of {total} retrievals brought nothing" + (f", {failed} of them failed" if failed else "")
    return Score(len(empty) / total, explanation=told)


@scorer(name="unused_contexts", needs=("answer", "contexts"), better="lower", version="1")
def unused_contexts(trace: Trace) -> Score | None:
    """Share of the contexts of which the answer takes nothing: fetched, paid for, not used.

    A context is used if it alone, or with few others, has some of the answer's content words. Unjudged unless `passing`
    is set: a wide net is not wrong. Wrong on contexts used in other words, and on contexts that repeat each other.
    """
    answer = read(trace.answer or "")
    contexts = [text for text in map(read_passage, trace.contexts[:_MOST_CONTEXTS]) if text.terms]
    if not answer.terms or not contexts:
        return None
    unused = [at for at, share in enumerate(_shares(answer, contexts)) if share < _USED]
    told = f"{len(unused)} of {len(contexts)} contexts are not used"
    return Score(len(unused) / len(contexts), explanation=told + clipped_note(answer))


@scorer(name="context_precision", needs=("question", "contexts"), version="1")
def context_precision(trace: Trace) -> Score | None:
    """Whether the relevant contexts come first: average precision, 1 all before the others, 0 none is relevant.

    Relevant is what `context_relevance` finds so: a proxy without labels, unjudged unless `passing` is set. Wrong where
    that is wrong: on synonyms, and on contexts that repeat the question's words.
    """
    question = read(trace.question or "")
    if not question.terms:
        return None
    relevant = [value >= RELEVANT for value in relevances(question, trace.contexts)]
    told = f"{sum(relevant)} of {len(relevant)} contexts are relevant"
    return Score(round(average_precision(relevant), 4), explanation=told)


@scorer(name="context_recall", needs=("contexts", "reference"), version="1")
def context_recall(trace: Trace) -> Score | None:
    """Share of the reference's content words that the contexts hold: could a right answer be found in them?

    A proxy, unjudged unless `passing` is set. Wrong on contexts that say it in other words (too low) and on words that
    are there but not together (too high).
    """
    reference = read(trace.reference or "")
    if not reference.terms:
        return None
    held = set[str]().union(*(read_passage(text).terms & reference.terms for text in trace.contexts[:_MOST_CONTEXTS]))
    told = f"the contexts have {len(held)} of {len(reference.terms)} content words of the reference"
    return Score(round(len(held) / len(reference.terms), 4), explanation=told + clipped_note(reference))


@scorer(name="retrieval_ndcg", needs=("document_scores",), target="retrieval", version="1")
def retrieval_ndcg(retrieval: Retrieval, trace: Trace, *, k: int = 10) -> Score | None:
    """Whether a retrieval's documents come in the order of their scores: nDCG at `k`, 1 they do.

    The documents' own scores are taken as relevance, so this says something where a reranker scores what a retriever
    ordered. Retrievals without scores, or with negative ones, are not judged. Wrong on scores where less is better.
    """
    return _measured(retrieval, lambda scores: ndcg(scores, max(1, k)))


@scorer(name="retrieval_mrr", needs=("document_scores",), target="retrieval", version="1")
def retrieval_mrr(retrieval: Retrieval, trace: Trace, *, relevant: float = 0.5) -> Score | None:
    """One over the rank of the first document scored `relevant` or better; 0 if there is none. Its mean is MRR.

    Wrong where `relevant` does not suit the unit of the scores: set it for your retriever or reranker.
    """
    return _measured(retrieval, lambda scores: reciprocal_rank([score >= relevant for score in scores]))


@scorer(name="retrieval_precision", needs=("document_scores",), target="retrieval", version="1")
def retrieval_precision(retrieval: Retrieval, trace: Trace, *, k: int = 5, relevant: float = 0.5) -> Score | None:
    """Precision at `k`: the share of a retrieval's first `k` documents that are scored `relevant` or better.

    Wrong where `relevant` does not suit the unit of the scores, and on retrievers that are asked for fewer than `k`.
    """
    return _measured(retrieval, lambda scores: precision_at([score >= relevant for score in scores], max(1, k)))


@scorer(name="retrieval_hit", needs=("document_scores",), target="retrieval", version="1")
def retrieval_hit(retrieval: Retrieval, trace: Trace, *, k: int = 5, relevant: float = 0.5) -> Score | None:
    """1 if one of a retrieval's first `k` documents is scored `relevant` or better, else 0.

    Wrong where `relevant` does not suit the unit of the scores.
    """
    return _measured(retrieval, lambda scores: float(any(score >= relevant for score in scores[: max(1, k)])))


def _measured(retrieval: Retrieval, measure: Callable[[Sequence[float]], float | None]) -> Score | None:
    scores = _scores(retrieval)
    value = measure(scores) if scores else None
    return None if value is None else Score(value, explanation=f"{len(scores)} scored documents")


def _scores(retrieval: Retrieval) -> list[float]:
    """Of its documents in their order; none if one has no score, or one that is not finite or negative."""
    scores = [document.score for document in retrieval.documents[:_MOST_DOCUMENTS]]
    known = [score for score in scores if score is not None and math.isfinite(score) and 0 <= score < 1e100]
    return known if len(known) == len(scores) else []


def _is_there(text: str | None, identity: str | None) -> bool:
    return bool(text and text.strip()) or bool(identity)


def _shares(answer: Text, contexts: Sequence[Text]) -> list[float]:
    """Of each context, how much of the answer's content it explains: a word that many contexts have counts for less."""
    shared = [sorted(answer.terms & text.terms) for text in contexts]  # a sum of floats depends on its order
    holders = Counter(chain.from_iterable(shared))
    if not holders:
        return [0.0] * len(contexts)
    fair = len(holders) / len(contexts)  # what each would explain if all were used alike
    return [min(1.0, sum([1 / holders[term] for term in terms]) / fair) for terms in shared]
