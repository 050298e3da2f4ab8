# ruff: noqa: E501 - a pattern is read as one line
"""National identity, tax and social-security numbers: by the way they are written, dates in them, and check digits.

What is checked how is known to python-stdnum. A number that many others could be (nine digits of which one checks the
others) counts only behind a word that says what it is; the word is part of the pattern, so that a text without it
costs nothing. Of a pattern with a group, the group is the number.
"""

from functools import cache
from importlib import import_module
from typing import NamedTuple

_UPPER_CASE_ONLY = frozenset({"gb.nino", "es.dni", "es.nie", "ie.pps", "in_.pan", "fi.hetu"})
_NEAR = r"[^\n\d]{0,40}?"


class _Number(NamedTuple):
    """`standard` is a module of python-stdnum, or one of `_OWN`."""

    standard: str
    pattern: str


def _after(words: str, number: str) -> str:
    return rf"\b(?:{words})\b{_NEAR}\b({number})\b"


_NUMBERS = (
    _Number("at.vnr", _after(r"sv-?nr|svnr|sozialversicherungs?-?(?:nr|nummer)?|versicherungsnummer", r"\d{4} ?\d{6}")),
    _Number("au.tfn", _after(r"tfn|tax file (?:no|number)", r"\d{3} ?\d{3} ?\d{2,3}")),
    _Number("be.nn", r"\b\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}\b"),
    _Number("bg.egn", _after("egn|егн", r"\d{10}")),
    _Number("br.cpf", r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b"),
    _Number("br.cpf", _after("cpf", r"\d{11}")),
    _Number("ca.sin", _after(r"sin|social insurance (?:no|number)|nas", r"\d{3}[ -]?\d{3}[ -]?\d{3}")),
    _Number("ch.ssn", r"\b756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}\b"),
    _Number("cn.ric", r"\b[1-8]\d{16}[\dx]\b"),
    _Number("cz.rc", r"\b\d{6}/\d{4}\b"),
    _Number("de.idnr", _after(r"steuer-?id\w*|steuerliche identifikationsnummer|idnr|tin|tax (?:id|number)|identifikationsnummer", r"\d{2} ?\d{3} ?\d{3} ?\d{3}")),
    _Number("dk.cpr", _after(r"cpr(?:-?nr|-?nummer)?|personnummer", r"\d{6}-?\d{4}")),
    _Number("es.dni", r"\b\d{8}-?[a-z]\b"),
    _Number("es.nie", r"\b[xyz]-?\d{7}-?[a-z]\b"),
    _Number("fi.hetu", r"\b\d{6}[-+a-fu-y]\d{3}[0-9a-y]\b"),
    _Number("fr.nir", r"\b[12] ?\d{2} ?\d{2} ?\d[\dab] ?\d{3} ?\d{3} ?\d{2}\b"),
    _Number("gb.nhs", _after(r"nhs(?: (?:no|number))?", r"\d{3}[ -]?\d{3}[ -]?\d{4}")),
    _Number("gb.nino", r"\b[a-ceghj-pr-tw-z][a-ceghj-npr-tw-z] ?\d{2} ?\d{2} ?\d{2} ?[a-d]\b"),
    _Number("gr.amka", _after(r"amka|αμκα", r"\d{11}")),
    _Number("hr.oib", _after("oib", r"\d{11}")),
    _Number("ie.pps", _after(r"pps(?:n| no| number)?", r"\d{7}[a-w][a-iw]?")),
    _Number("in_.aadhaar", _after(r"aadhaa?r|uidai|uid|आधार", r"[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}")),
    _Number("in_.pan", _after(r"pan(?: card| no| number)?", r"[a-z]{5}\d{4}[a-z]")),
    _Number("it.codicefiscale", r"\b[a-z]{6}\d{2}[a-ehlmprst]\d{2}[a-z]\d{3}[a-z]\b"),
    _Number("kr.rrn", r"\b\d{6}-[0-9]\d{6}\b"),
    _Number("mx.curp", r"\b[a-z]{4}\d{6}[hm][a-z]{5}[0-9a-z]\d\b"),
    _Number("nl.bsn", _after(r"bsn|burgerservicenummer|sofi-?(?:nr|nummer)?", r"\d{9}")),
    _Number("no.fodselsnummer", r"\b\d{6} ?\d{5}\b"),
    _Number("pl.pesel", _after("pesel", r"\d{11}")),
    _Number("pt.nif", _after(r"nif|contribuinte", r"\d{3} ?\d{3} ?\d{3}")),
    _Number("ro.cnp", _after(r"cnp|cod numeric personal", r"\d{13}")),
    _Number("se.personnummer", r"\b(?:\d{2})?\d{6}[-+]\d{4}\b"),
    _Number("tr.tckimlik", _after(r"t\.?c\.?(?: kimlik)?(?: no| numarası)?|kimlik(?: no)?", r"\d{11}")),
    _Number("za.idnr", r"\b\d{6} ?\d{4} ?\d{2}\d\b"),
)  # fmt: skip

PREFIX = "NATIONAL_ID."
PATTERNS = {f"{PREFIX}{at}": number.pattern for at, number in enumerate(_NUMBERS)}
COUNTRIES = sorted({number.standard.partition(".")[0].strip("_").upper() for number in _NUMBERS} | {"US"})


def national_id_valid(name: str, number: str) -> bool:
    """Whether what the pattern `name` of `PATTERNS` found is such a number.

    >>> national_id_valid(next(name for name, known in PATTERNS.items() if known.startswith(r"\\b756")), "756.9217.0769.85")
    True
    """
    standard = _NUMBERS[int(name.removeprefix(PREFIX))].standard
    if standard in _UPPER_CASE_ONLY and number != number.upper():
        return False
    if standard == "gb.nino":
        return _nino_valid(number)
    try:
        return bool(_module(standard).is_valid(number))
    except Exception:  # such as a Chinese number of a county that the library has no name for
        return True


def _nino_valid(number: str) -> bool:
    """HM Revenue & Customs, National Insurance Manual, NIM39110: prefixes that are not given out."""
    return number[:2] not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


@cache
def _module(standard: str):  # type: ignore[no-untyped-def]  # a module: only those that occur are loaded
    return import_module(f"stdnum.{standard}")
