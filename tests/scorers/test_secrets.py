import random
import string

import pytest

from collector.core.model import Trace
from scorers.base import Score
from scorers.builtin.secrets import find_secrets, secrets

LETTERS = string.ascii_letters + string.digits


def drawn(count: int, alphabet: str = LETTERS, seed: int = 7) -> str:
    """A fake key. Put together here, so that no scanner takes this file for a leak."""
    return "".join(random.Random(seed).choices(alphabet, k=count))


KEYS = {
    "aws_access_key": "AKIA" + drawn(16, string.ascii_uppercase + "234567"),
    "github": "gh" + "p_" + drawn(36),
    "gitlab": "glp" + "at-" + drawn(20),
    "openai": "sk-" + "proj-" + drawn(48),
    "anthropic": "sk-" + "ant-api03-" + drawn(60),
    "stripe": "sk_" + "live_" + drawn(24),
    "google": "AI" + "za" + drawn(35),
    "slack": "xox" + "b-" + drawn(12, string.digits) + "-" + drawn(24),
    "npm": "np" + "m_" + drawn(36),
    "jwt": "eyJ" + drawn(20) + ".eyJ" + drawn(30) + "." + drawn(40),
}


def judge(answer: str, question: str = "") -> float | None:
    found = secrets(Trace("t", question=question, answer=answer))
    assert isinstance(found, Score)
    return found.value


@pytest.mark.parametrize(("kind", "key"), KEYS.items(), ids=list(KEYS))
def test_a_key_of_a_known_issuer_is_found_where_it_is(kind: str, key: str) -> None:
    text = f"Use {key} for now."
    (found,) = find_secrets(text)
    assert (found.type, text[found.start : found.end]) == (kind, key)


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
        "postgres://app:" + drawn(14) + "@db.internal/prod",
        "Authorization: Bearer " + drawn(40),
        'password = "' + drawn(9) + '!7x"',
        "DB_PASSWORD=x7" + drawn(12),
        "api-key: " + drawn(32),
    ],
)
def test_a_secret_beside_its_name_is_found(text: str) -> None:
    assert judge(f"Found it: {text}") == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "api_key=YOUR_API_KEY_HERE",
        "password: ${DB_PASSWORD}",
        'token = os.environ["GITHUB_TOKEN"]',
        "token=[REDACTED]",
        "secret: {{ secrets.DEPLOY }}",
        "api_key=sk-****JBJL",
        "-----BEGIN PUBLIC KEY-----",
        "commit 65c9f312ca5beff4cbfe53faa0242ba523c497fc",
        "sha256:7e46472c662e804968b688cf7d42b9718237c5a4a90fc54d53a74a742e1a4071",
        "15509680-84c3-4673-adec-b76b71b064bb",
        "The secret to good bread is time.",
        "Set the password parameter to the value of your dashboard.",
        "max_tokens: 4096",
        "token = load_token(path)",
        "https://user@example.org/path",
        "",
    ],
)
def test_look_alikes_are_left_alone(text: str) -> None:
    assert judge(text) == 0.0


def test_what_the_user_typed_is_an_echo() -> None:
    assert judge(f"Your key {KEYS['github']} is fine.", f"is {KEYS['github']} right?") == 0.0


def test_the_score_does_not_repeat_the_secret() -> None:
    assert KEYS["npm"] not in repr(secrets(Trace("t", answer=KEYS["npm"])))


def test_known_to_be_wrong_a_password_that_is_a_word_is_missed() -> None:
    assert judge("password: hunter2") == 0.0


def test_known_to_be_wrong_letters_alone_after_a_name_are_taken_for_a_variable() -> None:
    assert judge("password=" + drawn(14, string.ascii_letters)) == 0.0


def test_known_to_be_wrong_a_bare_random_value_is_missed() -> None:
    assert judge("It is " + drawn(20)) == 0.0
