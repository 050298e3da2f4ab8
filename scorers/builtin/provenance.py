"""Where the arguments of tool calls come from: what was said, what earlier tools returned, what the tool declares."""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice

import orjson

from collector.core.model import JSON, LLMCall, RequestedCall, Trace
from scorers.base import Score, scorer
from scorers.text import BEGINNING, Text, beginnings_of, read, read_passage, stem

_MOST_CALLS = 200
_MOST_VALUES = 200  # of one call
_MOST_DEPTH = 20
_MOST_SOURCE_CHARACTERS = 262_144  # of all that a trace says; what comes later is not read
_VALUE_CHARACTERS = 4_000
_NAMED_IN_EXPLANATION = 5
_SMALL = 3
"""Integers up to here are not judged: a count, a first page or a switch that a request implies without saying it."""

_SCALES = (1.0, 0.01, 100.0, 0.001, 1e3, 1e-6, 1e6, 1e-9, 1e9)
"""5% is .05, 180 cm are 1.8 m, and 8.5 million 8500000: the same number, said in another unit."""

_DOZEN = 12

_NOTHING_LIST = "n/a na null none nil dontcare any all auto default unknown unspecified -"
_NOTHING = frozenset(_NOTHING_LIST.split())
"""Strings that stand for "not given"."""

_MONTH_LIST = "january february march april may june july august september october november december"
_MONTH_NUMBERS = {
    name: str(number)
    for number, month in enumerate(_MONTH_LIST.split(), start=1)
    for name in (month, stem(month), month[:3])
}
_MONTHS = frozenset(_MONTH_NUMBERS)
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[T ].*)?")
_DIGITS = re.compile(r"\d+")
_RELATIVE_LIST = """
    today tonight tomorrow yesterday now next last coming upcoming past recent week weekend month day morning evening
    noon monday tuesday wednesday thursday friday saturday sunday
"""
_RELATIVE = frozenset(map(stem, _RELATIVE_LIST.split()))
_CODE = re.compile(r"[A-Z]{1,4}|[a-z]{2,3}|[a-z]{2}[-_][A-Z]{2}|[^\w\s]{1,3}")
_HUMP = re.compile(r"([a-z])([A-Z])")


@scorer(
    name="argument_provenance",
    needs=("tool_calls", "question"),
    range=(0, 1),
    passing="== 1",
    version="1",
)
def argument_provenance(trace: Trace) -> Score | None:
    """Share of the argument values of tool calls that can be traced to what was said, found or declared before.

    Sources of a call are the messages of the user and the system, results of earlier tools, the contexts, what the
    assistant said and the user answered to, and the declaration of the parameter (choices, default, description). A
    number is traced in any of the usual units, a date in any order of its parts, a text if half of its words are known.
    Not judged: true, false, nothing, integers up to 3, codes of up to four letters, dates where the request is relative
    to today.

    Wrong on: what the model rightly knows or works out (four kings in a deck, a sum), which is flagged; a wrong value
    that was said elsewhere, which is not; translations; sources that were cut or not captured.
    """
    sources = _Sources()
    sources.add(trace.question)
    for context in trace.contexts:
        sources.add_passage(context)
    results = deque(sorted(trace.tool_executions, key=lambda run: run.end_ns))
    judged = 0
    unknown: list[str] = []
    for llm_call, requested in islice(_requested(trace), _MOST_CALLS):
        while results and results[0].end_ns <= llm_call.start_ns:
            sources.add_json(results.popleft().result)
        sources.add_messages(llm_call)
        declared = _parameters(llm_call, requested.name)
        for path, value in islice(_leaves(_object(requested.arguments)), _MOST_VALUES):
            name = path[0] if path else ""
            found = _traced(value, sources, _declaration(_dumps(declared.get(name))))
            if found is None:
                continue
            judged += 1
            if not found:
                unknown.append(f"{requested.name}.{name}" if name in declared else requested.name)
    if not judged:
        return None
    told = f": {', '.join(dict.fromkeys(unknown[:_NAMED_IN_EXPLANATION]))}" if unknown else ""
    return Score(
        round(1 - len(unknown) / judged, 6),
        label="ungrounded" if unknown else "grounded",
        explanation=f"{len(unknown)} of {judged} argument values cannot be traced{told}{_cut_note(trace)}",
    )


def _cut_note(trace: Trace) -> str:
    return " (something of the trace was cut: a source may be missing)" if trace.truncated else ""


class _Sources:
    """All that was said so far; each text is read once, however many calls repeat it.

    Most values come from what was said first. So a text is learned only when what was learned before it does not have
    what is looked for: a text that has it will have it whenever it is learned.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._characters = 0
        self._unread: deque[Callable[[], Text]] = deque()
        self._uncounted: list[Text] = []  # learned, but for their numbers
        self._terms: set[str] = set()
        self._numbers: set[str] = set()
        self._values: set[float] = set()
        self._beginnings: set[str] = set()

    def add(self, text: str | None) -> None:
        if text and text not in self._seen and self._characters <= _MOST_SOURCE_CHARACTERS:
            self._keep(text, read)

    def add_passage(self, text: str) -> None:
        self._keep(text, read_passage)

    def _keep(self, text: str, reader: Callable[[str], Text]) -> None:
        self._seen.add(text)
        self._characters += len(text)
        self._unread.append(partial(reader, text))

    def add_json(self, value: JSON) -> None:
        self.add(value if isinstance(value, str) else _dumps(value))

    def add_messages(self, call: LLMCall) -> None:
        """What an assistant said counts once the user has answered: by then it is no longer its invention alone."""
        last = max((at for at, message in enumerate(call.input_messages) if message.role == "user"), default=-1)
        for at, message in enumerate(call.input_messages):
            if message.role != "assistant" or at < last:
                self.add(message.text)

    def relative(self) -> bool:
        """Whether something was said of a time from today's."""
        return self._ever(lambda: not self._terms.isdisjoint(_RELATIVE))

    def has_number(self, number: str) -> bool:
        """Whether a number was said in this spelling."""
        return self._ever(lambda: number in self._counted()[0])

    def has_value(self, values: Sequence[float]) -> bool:
        """Whether one of these numbers was said."""
        return self._ever(lambda: not self._counted()[1].isdisjoint(values))

    def has_word(self, word: str, term: str) -> bool:
        """Whether a word was said, or another form of it."""
        if word in self._terms or term in self._terms:  # mostly, if it was said
            return True
        if word[0].isdigit():
            return self._ever(lambda: word in self._terms or term in self._terms or word in self._counted()[0])
        beginning = word[:BEGINNING] if len(word) > BEGINNING else None
        return self._ever(lambda: word in self._terms or term in self._terms or beginning in self._beginnings)

    def learn_all(self) -> None:
        """Learn what is left."""
        self._ever(lambda: False)
        self._counted()

    def _ever(self, found: Callable[[], bool]) -> bool:
        while not found():
            if not self._unread:
                return False
            self._learn(self._unread.popleft()())
        return True

    def _learn(self, text: Text) -> None:
        self._terms |= text.terms
        self._terms |= text.vocabulary
        self._beginnings |= beginnings_of(text.vocabulary)  # shorter words are none, and match none
        self._uncounted.append(text)

    def _counted(self) -> tuple[set[str], set[float]]:
        """The numbers of all that was learned, as they are spelled and by value: most words do not ask for them."""
        for text in self._uncounted:
            self._count(text)
        self._uncounted.clear()
        return self._numbers, self._values

    def _count(self, text: Text) -> None:
        numbers = text.numbers.union(filter(str.isdecimal, text.terms))  # `five` is a term, and a number
        self._numbers |= numbers
        values = {value for number in numbers if (value := _float(number)) is not None}
        self._values |= values
        if "dozen" in text.terms:
            self._values.update({_DOZEN * value for value in values} | {float(_DOZEN)})
        self._numbers.update(map(_MONTH_NUMBERS.__getitem__, text.vocabulary & _MONTHS))


def _traced(value: JSON, sources: _Sources, declared: "_Sources | None") -> bool | None:
    """Whether a value has a source; None if it is of a kind that needs none."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        if isinstance(value, int) and abs(value) <= _SMALL:
            return None
        number = abs(float(value)) if abs(value) < 1e300 else 0.0
        return _number_known(number, sources) or (declared is not None and declared.has_value((number,)))
    if not isinstance(value, str) or not value.strip() or value.strip().lower() in _NOTHING:
        return None
    if _CODE.fullmatch(value.strip()):
        return None
    return _text_traced(value.strip()[:_VALUE_CHARACTERS], sources, declared)


def _text_traced(value: str, sources: _Sources, declared: "_Sources | None") -> bool | None:
    text = read(_HUMP.sub(r"\1 \2", value.replace("_", " ")))
    if _DATE.fullmatch(value):
        if sources.relative():
            return None
        parts = [part.lstrip("0") for part in _DIGITS.findall(value)[:3]]
        known = [any(source.has_number(part) for source in _given(sources, declared)) for part in parts]
        return sum(known) * 2 > len(parts)
    words = [word for word in text.words if stem(word) in text.terms] or list(text.words)
    if not words and not text.numbers:
        return None
    for number in text.numbers:
        plain = _float(number)
        if plain is not None and plain <= _SMALL:
            continue
        if not (_known(number, sources, declared) or (plain is not None and _number_known(plain, sources))):
            return False
    held = [word for word in words if _known(word, sources, declared)]
    return len(held) * 2 >= len(words) or sum(map(len, held)) * 2 >= sum(map(len, words))


def _known(word: str, sources: _Sources, declared: "_Sources | None") -> bool:
    term = stem(word)
    return (declared is not None and declared.has_word(word, term)) or sources.has_word(word, term)


def _given(*sources: "_Sources | None") -> Iterator[_Sources]:
    return (source for source in sources if source is not None)


def _number_known(number: float, sources: _Sources) -> bool:
    if number <= _SMALL and number == int(number):
        return True
    return sources.has_value([round(number * scale, 9) for scale in _SCALES])


def _parameters(call: LLMCall, name: str) -> dict[str, JSON]:
    """What is declared of each parameter."""
    tool = next((tool for tool in call.tool_definitions if tool.get("name") == name), None)
    schema = tool.get("parameters") if tool is not None else None
    properties = schema.get("properties", schema) if isinstance(schema, dict) else None
    return properties if isinstance(properties, dict) else {}


@lru_cache(maxsize=512)
def _declaration(told: str | None) -> _Sources | None:
    if told is None:
        return None
    found = _Sources()
    found.add(told)
    found.learn_all()  # it is kept, and must not change
    return found


def _requested(trace: Trace) -> Iterator[tuple[LLMCall, RequestedCall]]:
    for call in sorted(trace.llm_calls, key=lambda call: call.start_ns):
        for requested in call.tool_calls:
            yield call, requested


def _leaves(value: JSON, path: Sequence[str] = (), depth: int = 0) -> Iterator[tuple[Sequence[str], JSON]]:
    if depth > _MOST_DEPTH:
        return
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, (*path, key), depth + 1)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part, path, depth + 1)
    else:
        yield path, value


def _object(arguments: JSON) -> JSON:
    if not isinstance(arguments, str):
        return arguments
    try:
        return orjson.loads(arguments)
    except ValueError:
        return None  # that they are no JSON is for tool_call_validity to say


def _dumps(value: JSON) -> str | None:
    try:
        return None if value is None else orjson.dumps(value).decode()
    except (TypeError, ValueError, RecursionError):
        return None


def _float(number: str) -> float | None:
    try:
        return round(float(number), 9)
    except ValueError:
        return None
