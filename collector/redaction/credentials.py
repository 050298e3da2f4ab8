"""Credentials: formats of known issuers, and random values that a name beside them calls secret."""

import math
import re
from collections import Counter
from functools import lru_cache

from collector.patterns import Hit, PatternSet
from collector.redaction.found import Found, Taken

_FORMATS = PatternSet(
    {
        "private_key": r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
        "aws_access_key": r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b",
        "anthropic": r"\b(sk-ant-[A-Za-z0-9]{2,10}-[A-Za-z0-9_-]{32,})",
        "openai": r"\b(sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{32,})",
        "openai_legacy": r"\b(sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})\b",
        "sk_key": r"\b(sk-(?:or-v1-|lf-)?[A-Za-z0-9]{32,})\b",
        "github": r"\b(gh[pousr]_[A-Za-z0-9]{36,255})\b",
        "github_fine": r"\b(github_pat_[A-Za-z0-9_]{50,255})\b",
        "gitlab": r"\b(gl(?:pat|oas|dt|rt|ptt)-[A-Za-z0-9_-]{20,})",
        "npm": r"\b(npm_[A-Za-z0-9]{36})\b",
        "pypi": r"\b(pypi-AgE[A-Za-z0-9_-]{40,})",
        "hugging_face": r"\b((?:hf|api_org)_[A-Za-z]{30,})\b",
        "slack": r"\b(xox[abeoprs]-[0-9A-Za-z-]{20,})|(https://hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{20,})",
        "stripe": r"\b((?:sk|rk)_(?:live|test)_[A-Za-z0-9]{20,})\b|\b(whsec_[A-Za-z0-9]{24,})\b",
        "google": r"\b(AIza[A-Za-z0-9_-]{35})",
        "google_oauth": r"\b(GOCSPX-[A-Za-z0-9_-]{28})|\b(ya29\.[A-Za-z0-9_-]{30,})",
        "sendgrid": r"\b(SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,64})",
        "twilio": r"\b(SK[0-9a-f]{32})\b",
        "digitalocean": r"\b(do[opr]_v1_[0-9a-f]{64})\b",
        "shopify": r"\b(shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32})\b",
        "telegram": r"\b([0-9]{8,10}:AA[A-Za-z0-9_-]{33})",
        "vault": r"\b(hv[sbr]\.[A-Za-z0-9_-]{24,})",
        "jwt": r"\b(eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,})",
        "connection_string": r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/@\"'<>]{0,64}:([^\s:/@\"'<>]{3,128})@[^\s\"'<>]+",
        "groq": r"\b(gsk_[A-Za-z0-9]{40,})\b",
        "xai": r"\b(xai-[A-Za-z0-9]{60,})\b",
        "perplexity": r"\b(pplx-[A-Za-z0-9]{40,})\b",
        "replicate": r"\b(r8_[A-Za-z0-9]{37})\b",
        "nvidia": r"\b(nvapi-[A-Za-z0-9_-]{50,})",
        "langsmith": r"\b(lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10})\b",
        "databricks": r"\b(dapi[0-9a-f]{32}(?:-\d)?)\b",
        "grafana": r"\b(glsa_[A-Za-z0-9]{32}_[0-9a-f]{8})\b",
        "docker": r"\b(dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,})",
        "atlassian": r"\b(ATATT3[A-Za-z0-9_=-]{100,})",
        "linear": r"\b(lin_api_[A-Za-z0-9]{40})\b",
        "notion": r"\b(ntn_[A-Za-z0-9]{40,})\b",
        "mailgun": r"\b(key-[0-9a-f]{32})\b",
        "brevo": r"\b(xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16})\b",
        "postman": r"\b(PMAK-[0-9a-f]{24}-[0-9a-f]{34})\b",
        "new_relic": r"\b(NRAK-[A-Z0-9]{27})\b",
        "sentry": r"\b(sntry[su]_[A-Za-z0-9_=+/-]{40,})",
        "rubygems": r"\b(rubygems_[0-9a-f]{48})\b",
        "age": r"\b(AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58})\b",
        "azure_key": r"\bAccountKey=([A-Za-z0-9+/]{60,}={0,2})",
        "bearer": r"(?i:\b(?:bearer|basic)) +([A-Za-z0-9_.~+/=-]{20,})",
        "named": (
            r"(?i:\b[a-z0-9_.-]{0,40}(?:(?:pass(?:word|wd|phrase)?|pwd|secret|api[_-]?key|access[_-]?key|auth[_-]?key|credentials?|"
            r"private[_-]?key|encryption[_-]?key|client[_-]?secret)[a-z0-9_-]{0,20}|token(?:[a-rt-z0-9_-][a-z0-9_-]{0,20})?))"
            r"[\"']?\s{0,3}(?:=>|:=|=|:)\s{0,3}(?:\"([^\"\s]{6,200})\"|'([^'\s]{6,200})'|([^\s\"'<>,;]{8,200}))"
        ),
    },
    ignore_case=False,
)  # fmt: skip
_MUST_BE_RANDOM = frozenset({"connection_string", "bearer", "named", "sk_key", "twilio"})
_PLACEHOLDER = re.compile(
    r"example|your|xxxx|\*\*\*|\.\.\.|…|<|>|\{\{|\$\{|\$\(|%\(|redacted|placeholder|changeme|change_me|dummy|sample|insert|replace|"
    r"my[_-]?(?:secret|token|key|password)|todo|1234567|abcdef|os\.|env\b|environ|getenv|process\.|config\.|settings\.|vault:|arn:",
    re.IGNORECASE,
)
_TELLING = re.compile(r"pass|pwd|secret|key|token|credential", re.IGNORECASE)
_REFERENCE = re.compile(r"[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*(?:\(.*\)?|\[.*\]?)?")
_UNIFORM_ENTROPY_BITS = 2.5
_LONGEST_NAMED = 200
_PRIVATE_KEY_FOOT = re.compile(r"-----END [A-Z0-9 ]{0,60}-----")


def find_credentials(text: str, most: int = 100) -> list[Found]:
    """All credentials in a text, in order, without overlaps; looks at no more than `most` candidates of each format.

    Of a private key, all of it is found, to the end of the text if it has no end.

    >>> find_credentials("password: hunter2")
    []
    >>> [item.type for item in find_credentials('db_password = "v9#Lq2!xWz"')]
    ['named']
    """
    found: list[Found] = []
    taken: Taken | None = None
    for hit in _FORMATS.hits(text, most):
        start, end = _value_span(hit)
        if hit.name != "private_key" and not _is_secret(text[start:end], hit.name in _MUST_BE_RANDOM, hit.name):
            continue
        taken = taken or Taken(text)
        if taken.free(start, end):
            end = _private_key_end(text, end) if hit.name == "private_key" else end
            taken.take(start, end)
            found.append(Found(start, end, hit.name))
    return sorted(found)


@lru_cache(maxsize=4096)
def _may_name_secret(name: str) -> bool:
    return _TELLING.search(name) is not None


def is_named_secret(name: str, value: str) -> bool:
    """Whether the name of a field says that its value is a credential, and the value looks like one.

    >>> is_named_secret("db.password", "v9#Lq2!xWz"), is_named_secret("greeting", "v9#Lq2!xWz")
    (True, False)
    """
    if not value or len(value) > _LONGEST_NAMED or len(name) > _LONGEST_NAMED or not _may_name_secret(name):
        return False
    quoted = f'{name}="{value}"'
    return any(item.type == "named" and item.end == len(quoted) - 1 for item in find_credentials(quoted))


def entropy_bits(text: str) -> float:
    """Shannon entropy per character (C. E. Shannon, 1948, section 6), in bits.

    >>> entropy_bits("aaaa"), entropy_bits("abcd")
    (0.0, 2.0)
    """
    counts = Counter(text).values()
    return 0.0 - sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def _value_span(hit: Hit) -> tuple[int, int]:
    return next((span for span in hit.group_spans if span[0] >= 0), (hit.start, hit.end))


def _private_key_end(text: str, head_end: int) -> int:
    foot = _PRIVATE_KEY_FOOT.search(text, head_end)
    return foot.end() if foot else len(text)


def _is_secret(value: str, must_be_random: bool, kind: str) -> bool:
    if _PLACEHOLDER.search(value):
        return False
    if not must_be_random:
        return entropy_bits(value) > _UNIFORM_ENTROPY_BITS
    return _random(value, kind)


def _random(value: str, kind: str) -> bool:
    """Whether a value looks drawn, not written: several kinds of characters, spread well, no code or prose."""
    value = value.rstrip(".,;:)")
    if len(value) < 6 or _hexadecimal_digest(value, kind):
        return False
    kinds = sum(
        (
            any(map(str.islower, value)),
            any(map(str.isupper, value)),
            any(map(str.isdigit, value)),
            any(not character.isalnum() and character not in "_-." for character in value),
        )
    )
    if kinds < 2:
        return False
    # `token = loadToken` names a variable; nobody writes a variable's name into a URL.
    if kind != "connection_string" and not any(map(str.isdigit, value)) and _REFERENCE.fullmatch(value):
        return False
    # A random text of n characters has nearly log2(n) bits a character; words repeat letters.
    return entropy_bits(value) >= min(3.0, 0.7 * math.log2(len(value)))


def _hexadecimal_digest(value: str, kind: str) -> bool:
    return (
        kind != "named" and len(value) in {32, 40, 64} and all(character in "0123456789abcdef" for character in value)
    )
