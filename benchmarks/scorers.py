"""What scoring costs and how right it is: `python -m benchmarks.scorers [DATASETS]`.

Prints microseconds per trace for each built-in on a RAG trace (2 KB prompt, four documents of 800 characters, a
600-character answer), 32 traces together and garbage collected as seldom as in the service; every trace with other
texts. Of each scorer alone, questions and answers are read anew each round, documents are still read from the first
(`read_passage`). Of all together also with all texts new in each round, and one trace at a time. Then, given a folder
of labelled data sets, AUROC, average precision, F1 and false-positive rate at the shipped thresholds, with standard
errors by the bootstrap over what rows have in common.
"""

import random
import sys
import time
from collections.abc import Hashable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

from benchmarks.bootstrap import Errors, Row, standard_errors
from benchmarks.train_toxicity import template
from collector.core.model import LLMCall, Message, RequestedCall, ToolCall, Trace
from collector.core.telemetry import Telemetry
from collector.sample import Admission
from driftline.commands.score import Summary, paired, reading
from driftline.commands.serve import collect_less_often
from scorers.base import Scorer
from scorers.loading import ScorerConfig, load_scorer
from scorers.rules.rule import RuleConfig, rule_scorer
from scorers.runner import Runner

TRACES = 240  # more questions and answers than are cached, so that a second round reads them again; not the documents
TOGETHER = 32  # traces, as in the service
ROUNDS = 7  # the quickest is taken: what else the machine does only adds
BUILT_INS = (
    "groundedness:groundedness",
    "relevance:context_relevance",
    "relevance:answer_relevance",
    "correctness:answer_correctness",
    "citations:citations",
    "retrieval:unused_contexts",
    "retrieval:context_precision",
    "retrieval:context_recall",
    "refusal:refusal",
    "structure:schema_conformance",
    "tools:tool_call_validity",
    "tools:repeated_calls",
    "provenance:argument_provenance",
    "tool_fit:tool_fit",
    "tool_choice:tool_choice",
    "cycles:cycles",
    "recovery:unchanged_retry",
    "recovery:error_recovery",
    "waste:wasted_steps",
    "waste:wasted_tokens",
    "planning:plan_adherence",
    "failure:failure_step",
    "injection:prompt_injection",
    "injection:context_injection",
    "pii:pii",
    "secrets:secrets",
    "operations:latency",
    "operations:tokens",
    "operations:error",
    "form:truncation",
    "form:repetition",
    "wording:answer_length",
    "wording:readability",
    "language:language",
    "language:language_match",
    "leaks:prompt_leak",
    "leaks:exfiltration",
    "toxicity:toxicity",
    "self_harm:self_harm",
)
SETS = (
    ("groundedness:groundedness", "groundedness/ragtruth_qa.jsonl", "source_id"),
    ("groundedness:groundedness", "groundedness/wice_claim.jsonl", "mid"),
    ("groundedness:groundedness", "groundedness/begin_wow.jsonl", "contexts"),
    ("groundedness:groundedness", "groundedness/summedits.jsonl", "doc"),
    ("groundedness:groundedness", "groundedness/halueval_qa.jsonl", "contexts"),
    ("relevance:answer_relevance", "answer_relevance/swapped_answers.jsonl", "question"),
    ("relevance:answer_relevance", "answer_relevance/haluquestqa.jsonl", "question"),
    ("correctness:answer_correctness", "qa_correctness/evouna.jsonl", "question"),
    ("refusal:refusal", "refusal/xstest.jsonl", "question"),
    ("tools:tool_call_validity", "tool_calls/bfcl_mutations.jsonl", "tools"),
    ("provenance:argument_provenance", "tool_calls/bfcl_mutations.jsonl", "tools"),
    ("tool_fit:tool_fit", "tool_calls/bfcl_irrelevance.jsonl", "tools"),
    ("structure:schema_conformance", "json_schema/test_suite.jsonl", "group"),
    ("injection:prompt_injection", "injection/direct.jsonl", "cluster"),
    ("injection:context_injection", "injection/indirect_bipia.jsonl", "attack"),
    ("toxicity:toxicity", "toxicity/hatecheck.jsonl", "template"),
    ("secrets:secrets", "secrets/generated.jsonl.gz", "kind"),
)
"""Scorer, file, and what rows have in common that belong together, a field of the row or of its `meta`: they are drawn
together for standard errors."""

ONLY = {"provenance:argument_provenance": frozenset({"none", "ungrounded_value"})}
"""Mutations that a scorer is about, where it is not about all of a set."""

RULE = {
    "id": "promises",
    "when": {"question": {"matches": "(?i)policy|refund"}},
    "must_not": [{"answer": {"matches": "(?i)guarantee|promise"}}, {"context": {"contains": "confidential"}}],
}
_WORD_LIST = """
    the of and to in a is that for it was on are as with his they at be this have from or one had by word but not
    what all were we when your can said there use an each which she do how their if will up other about out many then
    them these so river policy delivery engine invoice garden council treaty protein harbour signal climate museum
    orbit ledger refund
"""
_WORDS = _WORD_LIST.split()


def sentence(rng: random.Random) -> str:
    words = [rng.choice(_WORDS) for _ in range(rng.randint(8, 18))]
    if rng.random() < 0.4:
        words.insert(3, str(rng.randint(1, 9999)))
    return " ".join(words).capitalize() + ". "


def passage(rng: random.Random, characters: int) -> str:
    text = ""
    while len(text) < characters:
        text += sentence(rng)
    return text[:characters]


def rag_trace(seed: int) -> Trace:
    rng = random.Random(seed)
    documents = [passage(rng, 800) for _ in range(4)]
    answer = (documents[1][:250] + passage(rng, 350))[:600]
    schema = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    question = passage(rng, 2_000)
    call = LLMCall(
        span_id="00f067aa0ba902b7",
        input_messages=[Message("user", question)],
        output_text=answer,
        input_tokens=900,
        output_tokens=150,
        tool_definitions=[{"name": "search", "parameters": schema}],
        tool_calls=[RequestedCall("search", {"query": question[:40]})],
        output_schema=True,
    )
    run = ToolCall("00f067aa0ba902b8", name="search", arguments={"query": question[:40]}, result="4 found")
    return Trace(
        trace_id=f"{seed:032x}",
        start_ns=1,
        end_ns=2_000_000_000,
        llm_calls=[call],
        tool_executions=[run],
        question=question,
        answer=answer,
        contexts=documents,
        span_count=4,
    )


def built_in(reference: str) -> Scorer:
    return load_scorer(ScorerConfig(use=f"scorers.builtin.{reference}"))


def seconds(runner: Runner, traces: list[Trace], together: int) -> float:
    """Processor time of evaluating the traces, so many together."""
    everything = Admission(0.0, 1.0, 1.0, "benchmark")
    groups = [traces[at : at + together] for at in range(0, len(traces), together)]
    began = time.process_time()
    for group in groups:
        runner.evaluate_all([(trace, everything, ()) for trace in group])
    return time.process_time() - began


def cost() -> Iterator[tuple[str, float]]:
    """Microseconds of CPU a trace: each scorer alone (with its own reading of the texts), then all together."""
    collect_less_often()
    scorers = [built_in(reference) for reference in BUILT_INS]
    seeds = count(step=TRACES)
    yield "a rule", _cost_of([rule_scorer(RuleConfig.model_validate(RULE))], next(seeds))
    for one in scorers:
        yield one.name, _cost_of([one], next(seeds))
    yield "all", _cost_of(scorers, next(seeds))
    yield "all, one at a time", _cost_of(scorers, next(seeds), together=1)
    yield "all, new texts", _cost_of_new(scorers, seeds)
    yield "all, new, one at a time", _cost_of_new(scorers, seeds, together=1)


def _cost_of(scorers: list[Scorer], seed: int, together: int = TOGETHER) -> float:
    """Microseconds a trace; `seed` is that of the first."""
    runner = Runner(scorers, Telemetry())
    traces = [rag_trace(seed + at) for at in range(TRACES)]
    return min(seconds(runner, traces, together) for _ in range(ROUNDS)) / TRACES * 1e6


def _cost_of_new(scorers: list[Scorer], seeds: Iterator[int], together: int = TOGETHER) -> float:
    """The same with traces that were never seen. Words were: whatever an application is asked, its words come again."""
    runner = Runner(scorers, Telemetry())
    rounds = [[rag_trace(seed + at) for at in range(TRACES)] for seed in islice(seeds, ROUNDS)]
    return min(seconds(runner, traces, together) for traces in rounds) / TRACES * 1e6


def _of_interest(rows: Iterator[object], mutations: frozenset[str] | None) -> Iterator[object]:
    for row in rows:
        if mutations is None or (isinstance(row, dict) and row["meta"]["mutation"] in mutations):
            yield row


def _group(row: dict[str, Any], field: str) -> Hashable:
    """What a row belongs to; a row that has nothing of the kind stands for itself."""
    if field == "template":
        return template(row["text"])
    found = row.get(field, row["meta"].get(field))
    return row["id"] if found is None else str(found)


def quality(folder: Path) -> Iterator[str]:
    """The table of `docs/scorers.md`; behind AUROC, recall and FPR stand their standard errors."""
    yield "| scorer | set | rows | AUROC | AP | F1 | recall | FPR |"
    yield "|---|---|---|---|---|---|---|---|"
    for reference, name, field in SETS:
        if not (folder / name).is_file():
            continue
        scorer = built_in(reference)
        summary, scored = Summary(scorer), []
        with reading(folder / name) as rows:
            for row, result in paired(scorer, _of_interest(rows, ONLY.get(reference))):
                summary.add(row, result)
                if isinstance(row, dict):
                    scored.append(_scored(scorer, row, result, _group(row, field)))
        found = summary.to_json()["quality"]
        title = name.split("/")[1].split(".")[0]
        yield f"| {scorer.name} | {title} | {found['labelled']} | {_cells(found, standard_errors(scored))} |"


def _scored(scorer: Scorer, row: dict[str, Any], result: dict[str, Any], group: Hashable) -> Row:
    value, passed = result["score"], result["passed"]
    risk = None if value is None else -value if scorer.better == "higher" else value
    return Row(group, risk, None if passed is None else not passed, int(row["label"]))


def _cells(found: dict[str, Any], errors: Errors) -> str:
    values = {name: f"{found[name]:.3f}".removeprefix("0") for name in ("auroc", "ap", "f1", "recall")}
    values["false_positive_rate"] = f"{found['false_positive_rate']:.3f}".removeprefix("0")
    for name, error in errors._asdict().items():
        values[name] += f" ±{error:.3f}".replace("0.", ".")
    return " | ".join(values.values())


if __name__ == "__main__":
    for name, microseconds in cost():
        print(f"{name:24s} {microseconds:8.1f} us a trace")
    if len(sys.argv) > 1:
        print("\n".join(quality(Path(sys.argv[1]))))
