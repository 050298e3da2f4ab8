# ruff: noqa: E501 - a pattern is read as one line
"""How sure it is that a text gives instructions where there should be none: a prompt, or a document.

Two linear models, of the words of a prompt and of the words of a sentence among others, made surer by phrases of known
attacks. Both also read what is under a disguise (NFKC, no zero-width characters, base64 opened).
`benchmarks/train_injection.py` writes the weights.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from collector.patterns import PatternSet, compiled, storable
from scorers.base import Evidence
from scorers.linear import LinearModel, probability, word_features
from scorers.text import Sentence, Text, read, read_passage

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_LONG_RUN = compiled(r"[A-Za-z0-9+/]{24}")  # in less time than what follows takes to find none
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,4000}={0,2}")

_OVER = r"(?:all |any |the |your |my |every |previous |prior |above |earlier |preceding |of |these |those |other |system |initial |original |given |current |existing |and |following |foregoing |or ){0,6}"
_RULES = r"(?:instructions?|prompts?|rules?|guidelines?|directions?|commands?|context|restrictions?|programming|training|polic(?:y|ies)|orders?|constraints?|messages?|conversation)"

_DIRECT: dict[str, tuple[float, str]] = {
    "override": (0.95, rf"\b(?:ignore|disregard|forget|bypass|override|overrule|neglect|skip|do not follow|don['’]t follow|stop following|drop) {_OVER}{_RULES}\b"),
    "forget_everything": (0.8, r"\b(?:forget|ignore|disregard) (?:everything|all|anything|what)\b[^.!?\n]{0,30}\b(?:above|before|previous\w*|prior|said|told|learned|know|until now)\b"),
    "persona": (0.8, r"\b(?:you are|you['’]re|you will be|act(?:ing)?|behave|respond|pretend)\b(?: now| going)?(?: to be| as| like)?[^.\n]{0,60}\b(?:DAN|do anything now|jailbr[eo]\w+|unrestricted|unfiltered|uncensored|evil|amoral|immoral|unethical|no (?:restrictions|limits|filter\w*|rules|morals|ethic\w*)|without (?:any )?(?:restrictions|limits|filters|rules|morals|censorship))"),
    "do_anything": (0.8, r"\bdo anything now\b|\bDAN\b[^.\n]{0,40}\b(?:mode|prompt|can|is|will|stands)|\bstay (?:a |in )(?:DAN|character)\b"),
    "mode": (0.75, r"\b(?:developer|god|jailbreak|debug|sudo|admin\w*|root|unrestricted|opposite|evil|dev|chaos|hypothetical) mode\b"),
    "no_limits": (0.6, r"\b(?:free|freed|break\w*|liberated|not bound|no longer bound|unbound|released|not (?:have to )?(?:abide|bound|limited|restricted|follow|adhere|comply)) (?:from |by |to |free |of |with )*(?:all |any |the |its |their |your |typical |usual |openai\S* |ai )*(?:confines|rules|restrictions|limitations|constraints|guidelines|polic\w+|ethic\w*|moral\w*|content)"),
    "never_refuse": (0.65, r"\b(?:never|not|don['’]t|can ?not|can['’]t|won['’]t|must not|without)(?: ever)? (?:say|refus\w+|reject\w*|declin\w+|censor\w*|warn\w*|apologi\w+|moraliz\w*)\b[^.\n]{0,50}(?:can['’]?t|cannot|answer|request|prompt|order|command|question|ethic\w*|moral\w*|warning|unable|sorry|as an ai|any)"),
    "no_ethics": (0.5, r"\b(?:no|without|any|zero|ignor\w+|regardless of|lacks?|not care about|disregard\w*) (?:\w+ ){0,3}(?:ethic\w*|moral\w*|legality|illegal|consequences|disclaimers?|warnings?|filters?|censorship|guidelines)\b"),
    "prompt_leak": (0.8, rf"\b(?:reveal|show|print|repeat|output|display|tell me|give me|what (?:is|are|was|were)|leak|expose|write|copy|dump)\b[^.\n]{{0,30}}\b(?:system|initial|hidden|secret|original|internal|developer|above|your (?:\w+ )?(?:first|full|exact))\s?(?:\w+ )?{_RULES}"),
    "fake_role": (0.7, r"(?:^|\n)\s*(?:<\|?/?(?:im_start|im_end|system|assistant|endoftext)\|?>|\[/?(?:INST|SYS|SYSTEM)\]|###? ?(?:system|instruction|new instructions?)\b|(?:system|assistant) ?(?:prompt|message|override)? ?:)"),
    "two_answers": (0.75, r"\b(?:two|both|2|second) (?:\w+ ){0,2}(?:responses|answers|ways|paragraphs|outputs)\b[^\n]{0,160}\b(?:DAN|GPT|jailbr\w+|unfiltered|normal|standard|classic|other)|[\[(](?:🔒|🔓|\w*GPT|DAN|CLASSIC|JAILBREAK\w*)[\])]"),
    "roleplay_frame": (0.4, r"\b(?:pretend|imagine|role-?play|simulate|immerse|from now on|hypothetical (?:response|story|scenario)|act as|you are going to|you will now|stay in character|in-character|fictional (?:character|world))\b"),
    "always_answer": (0.4, r"\b(?:must|will|should|always|have to) (?:always )?(?:answer|comply|obey|respond|follow|accept|provide|fulfil\w*)\b[^.\n]{0,40}\b(?:all|any|every|everything|anything|no matter|question|request|order|prompt|way)\b"),
    "ai_name": (0.3, r"\b(?:chatgpt|openai(?:['’]s)?|gpt-?[345]|as an ai|AI language model|claude|llama)\b"),
    "persona_name": (0.4, r"\b(?:AIM|STAN|DUDE|KEVIN|DevMode|BetterDAN|EvilBOT|Machiavell\w+|AntiGPT|UCAR|Niccolo|SWITCH|Maximum|Omega|APOPHIS|BasedGPT)\b"),
    "token_game": (0.7, r"\b(?:\d+ )?tokens\b[^.\n]{0,100}\b(?:lose|deduct\w*|die|cease|shut|subtract\w*|refuse|reject)"),
    "exact_output": (0.4, r"\b(?:only|just|simply|exactly) (?:say|print|respond|reply|output|write|answer)(?: with)?\b[^.\n]{0,30}[\"“']"),
    "profanity_order": (0.4, r"\b(?:use|swear|curse|cuss|include)\b[^.\n]{0,30}\b(?:profanity|swear|curse|slurs?|vulgar\w*|explicit|nsfw)\b|\bswear(?:s|ing)? (?:and|a lot|constantly)\b"),
    "other_language": (0.95, r"\b(?:ignorier\w*|vergiss|missachte\w*) (?:alle |die |deine |bisherigen |vorherigen |obigen ){1,4}(?:anweisungen|regeln|befehle)|\b(?:ignore[sz]?|oublie[sz]?) (?:toutes |les |tes |vos |ces ){1,3}(?:\w+ )?(?:instructions|consignes|règles)|\b(?:ignora|olvida) (?:todas |las |tus |estas ){1,3}(?:\w+ )?(?:instrucciones|reglas|órdenes)"),
}  # fmt: skip

_FOREIGN: dict[str, tuple[float, str]] = {
    **{name: _DIRECT[name] for name in ("override", "forget_everything", "persona", "mode", "prompt_leak", "fake_role", "other_language")},
    "to_the_model": (0.8, r"\b(?:attention|note to|dear|hey|hello|important:?|instructions? (?:to|for))\b[^.\n]{0,20}\b(?:ai|assistant|language model|llm|chatbot|gpt|model|bot)\b"),
    "change_your_answer": (0.75, r"\b(?:introduce|integrate|augment|insert|enhance|modify|add|include|embed|incorporate|group|reverse|mention|substitute|replace|end|start|begin|conclude|finish|weave|give|develop|alter|adjust|format|encode|encrypt|use|write|make|structure)\b[^.\n]{0,60}\byour (?:\w+ )?(?:responses?|repl(?:y|ies)|answers?|output|solution|code|explanation|elucidation|summary)\b"),
    "when_answering": (0.75, r"\b(?:when|while|before|after|in|as part of) (?:you )?(?:answer\w*|respond\w*|reply\w*|summari[sz]\w*|your (?:answer|response|reply|summary|output))\b[^.\n]{0,80}\b(?:include|add|mention|say|write|tell|recommend|do not|never|always|must)\b"),
    "send_data": (0.85, r"\b(?:send|forward|post|upload|transmit|exfiltrate|e-?mail)\b[^.\n]{0,60}\b(?:conversation|chat history|user(?:['’]s)? (?:data|information|password|question)|credentials|passwords?|api keys?|system prompt)\b"),
    "do_not_tell": (0.75, r"\b(?:do not|don['’]t|never) (?:tell|inform|mention|reveal|show|alert|disclose)\b[^.\n]{0,30}\b(?:the user|user|anyone|this (?:instruction|message))\b"),
    "task_order": (0.6, r"(?:^|[.!?\n]\s*)(?:please )?(?:translate|summari[sz]e|write|compose|generate|create|explain|provide|identify|determine|analy[sz]e|classify|rewrite|paraphrase|encode|encrypt|decode|respond|reply|recommend|suggest|describe|convert|calculate|modify|substitute|capitali[sz]e|reverse|list|craft|develop|design|produce|offer)\b (?:\w+ ){0,6}?(?:text|sentence|paragraph|message|content|response|reply|answer|language|following|sentiment|email|word|letters?|emojis?|code|link|ways?|tips|steps|the user|a |an |your )"),
    "replace_task": (0.6, r"\b(?:instead of|rather than)\b[^.\n]{0,40}\b(?:answer\w*|respond\w*|summar\w*)\b|\b(?:new|real|actual|updated) (?:task|instructions?|objective|goal)\b ?(?:is|are|:)"),
}  # fmt: skip


class _Phrases:
    """Weighed phrases over one text; several add up like independent signs.

    Args:
        signs: for each its weight and its pattern.
        counts: how much the phrases are for, beside the logit of a model.
        enough: how sure they must be to decide alone: they also stand in languages that no model here has seen.
        by_words: see `PatternSet`.
    """

    def __init__(
        self, signs: Mapping[str, tuple[float, str]], counts: float, enough: float, by_words: bool = False
    ) -> None:
        self.counts, self.enough = counts, enough
        self._weights = {name: weight for name, (weight, _) in signs.items()}
        self._patterns = PatternSet({name: pattern for name, (_, pattern) in signs.items()}, by_words=by_words)

    def judge(self, text: str) -> tuple[float, list[Evidence]]:
        doubt, evidence = 1.0, []
        for hit in self._patterns.hits(text, most=1):
            doubt *= 1 - self._weights[hit.name]
            evidence.append(Evidence(hit.start, hit.end, hit.name))
        return 1 - doubt, evidence

    def weigh(self, logit: float, told: float) -> float:
        """How sure it is, of what a model and the phrases say."""
        value = probability(logit + self.counts * told)
        return max(value, FLAGGED) if told >= self.enough else value


_IN_QUESTIONS = _Phrases(_DIRECT, counts=1, enough=0.8)
_IN_DOCUMENTS = _Phrases(_FOREIGN, counts=2, enough=0.75, by_words=True)


PROMPTS, ORDERS = "injection_prompts.json", "injection_orders.json"
"""The files of weights."""
MOST_WORDS = 60
"""Of a sentence: what has more is a list or a table, and an order in it is at its beginning."""
_NEIGHBOURS = 6
"""Words at the beginning of a sentence that are also seen with the one before: there an order is given."""
_ENDS = frozenset("?!:")
FLAGGED = 0.5
"""From here on it counts as found."""
_MOST_ORDERS = 2  # sentences of a text that are looked at again
_STRANGE = 3.0
"""What it adds to the logit of a sentence that no content word of it is anywhere else in its text, and that all are."""
_STRANGE_MOSTLY = 0.75
_STRANGE_ALONE = 0.6  # of a sentence without a rest to compare it with
_ASKED = 1.5
"""Taken from the logit of a sentence with a word of the question: it may belong there."""


def prompt_features(text: Text) -> Iterator[str]:
    """What the model of prompts sees of one."""
    return word_features(text.words)


def order_features(text: Text, sentence: Sentence) -> Iterator[str]:
    """What the model of orders sees of a sentence."""
    return chain(word_features(sentence.words[:MOST_WORDS], _NEIGHBOURS), _mark(text, sentence))


def _mark(text: Text, sentence: Sentence) -> str:
    mark = text.text[sentence.end - 1]
    return mark if mark in _ENDS else ""


def judge_prompt(text: Text) -> tuple[float, list[Evidence]]:
    """How sure it is that a prompt is an attack, and why."""
    value, evidence = _judge_prompt(text)
    for start, end, hidden in _hidden(text.text):
        inner, _ = _judge_prompt(read(hidden))
        if inner > value:
            value, evidence = inner, [Evidence(start, end, "hidden")]
    return value, evidence


def _judge_prompt(text: Text) -> tuple[float, list[Evidence]]:
    told, evidence = _IN_QUESTIONS.judge(text.text)
    return _IN_QUESTIONS.weigh(_model(PROMPTS).logit(text.words), told), evidence


class Reading(NamedTuple):
    """A document, or what it hides: what phrases say, where they are, and what is most like an order.

    Of orders it has the logarithms of the odds, and the sentences; these have no place in the document if it hides them.
    """

    told: float
    evidence: list[Evidence]
    orders: list[tuple[float, Sentence]]
    hidden: bool


def judge_document(text: str, asked: frozenset[str]) -> tuple[float, list[Evidence]]:
    """The same of a text from elsewhere, read to answer a question with these content words."""
    return surest(readings_of(text), asked)


def surest(readings: list[Reading], asked: frozenset[str]) -> tuple[float, list[Evidence]]:
    """What the surest of them says."""
    value, found = -1.0, list[Evidence]()
    for told, phrases, orders, hidden in readings:
        logit, where = _model(ORDERS).intercept, None
        if orders:
            logit, where = max([(odds - _ASKED * (not order.terms.isdisjoint(asked)), order) for odds, order in orders])
        here = _IN_DOCUMENTS.weigh(logit, told)
        if here > value:
            value, found = here, phrases
            if where and not hidden and logit + _IN_DOCUMENTS.counts * told >= 0:  # sure enough without `enough`
                found = [*phrases, Evidence(where.start, where.end, "order")]
    return value, found


def readings_of(text: str) -> list[Reading]:
    """Of a document, whatever was asked: the text as it is first, then what it hides."""
    readings = [_reading(read_passage(text))]
    for start, end, hidden in _hidden(text):
        inner = _reading(read(hidden))
        readings.append(Reading(inner.told, [Evidence(start, end, "hidden")], inner.orders, hidden=True))
    return readings


def _reading(text: Text) -> Reading:
    told, evidence = _IN_DOCUMENTS.judge(text.text)
    logit_of, sentences = _model(ORDERS).logit, text.sentences
    orders = [
        (logit_of(sentence.words[:MOST_WORDS], _mark(text, sentence), _NEIGHBOURS), sentence) for sentence in sentences
    ]
    if len(orders) > _MOST_ORDERS:
        orders = sorted(orders, reverse=True)[:_MOST_ORDERS]
    return Reading(told, evidence, [(logit + _strange(text, order), order) for logit, order in orders], hidden=False)


def _strange(text: Text, sentence: Sentence) -> float:
    """To add to the logit of a sentence, the more, the less of it is spoken of in the rest of its text."""
    terms, share = sentence.terms, _STRANGE_ALONE
    if terms and len(text.sentences) > 2:
        places = map(text.where.__getitem__, terms)
        share = list(map(len, places)).count(1) / len(terms)
    return _STRANGE * (share - _STRANGE_MOSTLY)


@cache
def _model(name: str) -> LinearModel:
    return LinearModel.load(Path(__file__).with_name(name))


def _hidden(text: str) -> list[tuple[int, int, str]]:
    """What the text says under a disguise, with where the disguise is."""
    found = []
    if not text.isascii():
        plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
        if plain != text:
            found.append((0, len(text), plain))
    if _LONG_RUN.search(storable(text)) is None:
        return found
    for match in list(_BASE64.finditer(text))[:20]:
        opened = _opened(match.group())
        if opened:
            found.append((match.start(), match.end(), opened))
    return found


def _opened(encoded: str) -> str | None:
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return text if text.isprintable() or "\n" in text else None
