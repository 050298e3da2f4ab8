"""Which words of an ordinary text are rather surely of a name of a person or of none, by lists and a few cues."""

from collector.redaction.names import Reading, shape

_TITLES_TEXT = """
    mr mrs ms miss dr prof professor sir sen rep gov judge captain president senator
"""
_TITLES = frozenset(_TITLES_TEXT.split())
_PLACED = frozenset(["in", "from", "to", "near", "at", "of", "across", "outside", "throughout"])
_SAYING = frozenset(["said", "says", "told", "wrote", "added"])
_NO_FIRST_TEXT = """
    saint st san santa el la new los las del port lake mount fort dan stan chi us ada
"""
_NO_FIRST = frozenset(_NO_FIRST_TEXT.split())
_LONGEST = 3  # words of a name

Labels = dict[int, tuple[int, float]]


def silver(text: Reading) -> Labels:
    """By candidate: 1 of a name, 0 of none, and how much that counts, 0 to 1; what is doubtful is left out."""
    labels: Labels = {}
    runs = [[at for at in run if text.words[at][0].isupper()] for run, place in text.runs.values() if place == 0]
    runs = [run for run in runs if run]
    named: set[str] = set()
    for run in runs:
        sure = _whole_name(text, run)
        if sure:
            labels |= dict.fromkeys(run[_titles(text, run) :], (1, sure))
            named |= {text.words[run[_titles(text, run)]], text.words[run[-1]]}
    for run in runs:
        if run[-1] not in labels:
            labels |= _others(text, run, named)
    return labels


def _whole_name(text: Reading, run: list[int]) -> float:
    """How sure it is that a run is a name: behind a title, or a first name that is nothing else and one word more."""
    titles = _titles(text, run)
    rest = run[titles:]
    if not 1 <= len(rest) <= _LONGEST:
        return 0.0
    if (titles or _word(text, rest[0] - 1) in _TITLES) and all(shape(text.words[at]) != "XX" for at in rest):
        return 1.0
    proper = all(_proper(text, at) or shape(text.words[at]) == "X" for at in rest)
    if len(rest) > 1 and proper and _proper(text, rest[0]) and _proper(text, rest[-1]) and "F" in text.kinds[rest[0]]:
        return 1.0 if "L" in text.kinds[rest[-1]] else 0.6
    return 0.0


def _others(text: Reading, run: list[int], named: set[str]) -> Labels:
    if not any(set("FL") & set(text.kinds[at]) for at in run):
        return dict.fromkeys(run, (0, 1.0))
    if len(run) > 1:
        usual = all(set("cPo") & set(text.kinds[at]) or len(text.words[at]) < 3 for at in run)
        return dict.fromkeys(run, (0, 1.0)) if usual else {}
    (at,) = run
    kind, before = text.kinds[at], _word(text, at - 1)
    if text.words[at] in named:
        return {at: (1, 1.0)}
    if "P" in kind or shape(text.words[at]) == "XX":
        return {at: (0, 1.0 if before in _PLACED else 0.5)}
    if _proper(text, at) and "L" in kind and _word(text, at + 1) in _SAYING:
        return {at: (1, 1.0)}
    if _proper(text, at) and "F" in kind:
        return {at: (1, 0.4)}
    if "c" in kind and not before[:1].isalpha():  # a common word at the beginning of a sentence
        return {at: (0, 1.0)}
    return {}


def _titles(text: Reading, run: list[int]) -> int:
    """How many words of a run are a title before it: 0 or 1."""
    return int(len(run) > 1 and text.words[run[0]].lower() in _TITLES)


def _word(text: Reading, at: int) -> str:
    """A token in lower case, of a dot the word before it."""
    if not 0 <= at < len(text.words):
        return ""
    word = text.words[at].lower()
    return text.words[at - 1].lower() if word == "." and at and text.words[at - 1].lower() in _TITLES else word


def _proper(text: Reading, at: int) -> bool:
    """Written like a name, and neither a common word nor a place."""
    good = shape(text.words[at]) in ("Xx", "Xm") and not set("cPo") & set(text.kinds[at])
    return good and text.words[at].lower() not in _NO_FIRST
