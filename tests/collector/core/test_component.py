"""Parts by name: each way to be wrong says so, and what fails inside a user's file is not hidden."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest

from collector.core import component
from collector.core.errors import UserError

GROUP = "driftline.tests"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The entry points of the group; a test adds some."""
    points: list[EntryPoint] = []
    monkeypatch.setattr(
        component,
        "entry_points",
        lambda group, name=None: [p for p in points if p.group == group and name in (None, p.name)],
    )
    return points


def point(name: str, value: str, distribution: str) -> EntryPoint:
    made = EntryPoint(name, value, GROUP)
    return made._for(SimpleNamespace(name=distribution))  # type: ignore[attr-defined, no-any-return]


def plugin(folder: Path, text: str, name: str = "plugin.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


# --- found ---


def test_a_name_is_an_entry_point(installed: list[EntryPoint]) -> None:
    installed.append(point("path", "pathlib:Path", "ours"))
    assert component.load("path", GROUP) is Path
    assert component.names(GROUP) == ["path"]


def test_a_module_and_a_name_in_it() -> None:
    assert component.load("pathlib:Path", GROUP) is Path
    assert component.load("pathlib:Path.home", GROUP) == Path.home


def test_a_file_is_found_from_the_base_folder_and_loaded_once(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    plugin(tmp_path / "plugins", "thing = object()")
    first = component.load("./plugins/plugin.py:thing", GROUP, tmp_path)
    assert component.load("plugins/plugin.py:thing", GROUP, tmp_path) is first
    assert component.load(f"{tmp_path}/plugins/plugin.py:thing", GROUP, Path("/")) is first


def test_without_a_base_a_file_is_found_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin(tmp_path, "thing = 1")
    monkeypatch.chdir(tmp_path)
    assert component.load("./plugin.py:thing", GROUP) == 1


def test_files_of_one_name_and_of_our_names_do_not_clash(tmp_path: Path) -> None:
    import scorers

    for folder, value in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        plugin(tmp_path / folder, f"thing = {value}", "scorers.py")
    assert [component.load(f"./{folder}/scorers.py:thing", GROUP, tmp_path) for folder in "ab"] == [1, 2]
    assert sys.modules["scorers"] is scorers
    assert str(tmp_path) not in sys.path


def test_a_file_may_define_dataclasses_which_look_their_module_up(tmp_path: Path) -> None:
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass Thing:\n    x: int\n"
    )
    plugin(tmp_path, text)
    thing = component.load("./plugin.py:Thing", GROUP, tmp_path)
    assert thing(3).x == 3  # type: ignore[operator]


# --- wrong ---


def refusal(reference: str, base: Path | None = None) -> str:
    with pytest.raises(UserError) as refused:
        component.load(reference, GROUP, base)
    return str(refused.value)


def test_a_name_that_is_not_installed_is_refused_with_those_that_are(installed: list[EntryPoint]) -> None:
    assert refusal("x") == "'x' is not one of nothing (none installed)"
    installed += [point("b", "b:b", "ours"), point("a", "a:a", "ours")]
    assert refusal("x") == "'x' is not one of a, b"
    assert refusal("mine.py") == "'mine.py' is a file; say what of it, as in mine.py:NAME"


def test_a_name_that_two_distributions_claim_is_refused_with_both(installed: list[EntryPoint]) -> None:
    installed += [point("path", "pathlib:Path", "ours"), point("path", "os:getcwd", "theirs")]
    assert refusal("path") == "'path' is provided more than once, by ours, theirs; name it as MODULE:NAME"


def test_a_name_that_one_distribution_lists_twice_is_no_clash(installed: list[EntryPoint]) -> None:
    """As when a distribution is on the path twice: installed, and as a checkout."""
    installed += [point("path", "pathlib:Path", "ours"), point("path", "pathlib:Path", "ours")]
    assert component.load("path", GROUP) is Path


@pytest.mark.parametrize("reference", [":", "pathlib:", ":Path", "./plugin.py:"])
def test_half_a_reference_is_refused(reference: str) -> None:
    assert refusal(reference) == f"{reference!r} is not a name; use NAME, MODULE:NAME or ./FILE.py:NAME"


@pytest.mark.parametrize("module", ["no_such_module", "pathlib.no_such_part", "no_such_package.part"])
def test_a_module_that_does_not_exist_is_refused(module: str) -> None:
    assert refusal(f"{module}:thing") == f"'{module}:thing': there is no module {module!r}"


def test_a_name_that_a_module_does_not_have_is_refused() -> None:
    assert refusal("pathlib:Pahth") == "'pathlib:Pahth': pathlib has no 'Pahth'"
    assert refusal("pathlib:Path.hoome") == "'pathlib:Path.hoome': pathlib has no 'Path.hoome'"


def test_a_file_that_does_not_exist_is_refused_with_the_place_that_was_looked_at(tmp_path: Path) -> None:
    assert refusal("./none.py:thing", tmp_path) == f"'./none.py': there is no file {tmp_path.resolve()}/none.py"
    (tmp_path / "folder.py").mkdir()
    assert "there is no file" in refusal("./folder.py:thing", tmp_path)


def test_a_name_that_a_file_does_not_have_is_refused(tmp_path: Path) -> None:
    plugin(tmp_path, "thing = 1")
    assert refusal("./plugin.py:other", tmp_path) == "'./plugin.py:other': ./plugin.py has no 'other'"


# --- what fails inside ---


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("import a_module_that_is_not_there", ModuleNotFoundError),
        ("from pathlib import nothing_of_that_name", ImportError),
        ("1 / 0", ZeroDivisionError),
        ("def (", SyntaxError),
        ("raise SystemExit(1)", SystemExit),
    ],
)
def test_what_a_users_file_raises_is_not_hidden(tmp_path: Path, text: str, error: type[BaseException]) -> None:
    plugin(tmp_path, text)
    with pytest.raises(
        UserError, match=rf"'./plugin.py:thing' fails as it is read: {error.__name__}: .*line 1\)"
    ) as told:
        component.load("./plugin.py:thing", GROUP, tmp_path)
    assert isinstance(told.value.__cause__, error)


def test_what_a_users_module_raises_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(tmp_path, "import a_module_that_is_not_there", "a_users_module.py")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="a_module_that_is_not_there"):
        component.load("a_users_module:thing", GROUP)


def test_who_interrupts_is_obeyed(tmp_path: Path) -> None:
    plugin(tmp_path, "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        component.load("./plugin.py:thing", GROUP, tmp_path)


def test_a_file_that_failed_can_be_mended_and_loaded_again(tmp_path: Path) -> None:
    path = plugin(tmp_path, "1 / 0")
    with pytest.raises(UserError, match="ZeroDivisionError"):
        component.load("./plugin.py:thing", GROUP, tmp_path)
    path.write_text("thing = 'mended'")
    assert component.load("./plugin.py:thing", GROUP, tmp_path) == "mended"
