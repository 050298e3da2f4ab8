"""deploy/container: the file says what it should, its commands run, and what they make runs as the image would."""

import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.real.parts.process import Process, free_ports, missing

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "container" / "Dockerfile"
UID = 10001
PIP_SECONDS = 300.0


@dataclass
class Stage:
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [rest for each, rest in self.steps if each == word]

    def only(self, word: str) -> str:
        (rest,) = self.all(word)
        return rest

    def pairs(self, word: str) -> dict[str, str]:
        """KEY=value of all instructions of this kind."""
        found = re.findall(r"""([\w.]+)=("[^"]*"|\S*)""", " ".join(self.all(word)))
        return {key: value.strip('"') for key, value in found}


def stages() -> list[Stage]:
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    found = [Stage("before the first FROM")]
    for text in filter(None, re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()):
        word, _, rest = text.partition(" ")
        if word == "FROM":
            found.append(Stage(rest))
        else:
            found[-1].steps.append((word, rest.strip()))
    return found


@dataclass
class Image:
    """What the build stage made, in folders that stand for /src, /dist and those below /opt."""

    folder: Path

    @property
    def opt(self) -> Path:
        return self.folder / "opt"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def local(self, text: str) -> str:
        for there, here in (
            ("/opt/driftline", "opt"),
            ("/opt/compile", "compile"),
            ("/var/lib/driftline", "state"),
            ("/dist", "dist"),
        ):
            text = text.replace(there, str(self.folder / here))
        return text

    def environment(self) -> dict[str, str]:
        """That of the image."""
        said = {key: self.local(value) for key, value in stages()[-1].pairs("ENV").items()}
        return {**said, "PATH": said["PATH"].replace("${PATH}", "/usr/local/bin:/usr/bin:/bin:/usr/sbin")}


def _is_sent(path: str) -> bool:
    """By the .dockerignore beside the Dockerfile: the last line that matches decides."""
    sent = True
    for line in (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").rstrip("/").removeprefix("**/")
        parts = path.split("/")
        inside = any(fnmatch.fnmatch("/".join(parts[: n + 1]), pattern) for n in range(len(parts)))
        if line and not line.startswith("#") and (inside or fnmatch.fnmatch(parts[-1], pattern) or pattern in parts):
            sent = line.startswith("!")
    return sent


def _copy(arguments: str, target: Path) -> None:
    *sources, _ = arguments.split()
    listed = subprocess.run(["git", "ls-files", "-z", *sources], cwd=ROOT, capture_output=True, check=True)
    names = [name for name in listed.stdout.decode().split("\0") if name and _is_sent(name)]
    for source in sources:
        assert any(name.startswith(source) for name in names), f"nothing of {source} is sent to the builder"
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Made by the commands of the build stage, one after the other."""
    with tempfile.TemporaryDirectory() as made:  # not pytest's: another user must get in
        image = Image(Path(made))
        image.folder.chmod(0o755)
        source = image.folder / "src"
        source.mkdir()
        build = stages()[1]
        assert build.only("WORKDIR") == "/src"
        env = {
            **os.environ,
            **build.pairs("ENV"),
            "EXTRAS": "compression",
            "PIP_NO_COMPILE": "0",
        }  # 0 means yes: bytecode is not what is tested
        del env["PIP_NO_CACHE_DIR"]  # keeps the image small, and would only make this slow
        for word, rest in build.steps:
            if word == "COPY":
                _copy(rest, source)
            elif word == "RUN":
                command = re.sub(r"(?<![\w./-])python (?=-m venv)", f"{sys.executable} ", image.local(rest))
                done = subprocess.run(
                    ["sh", "-c", command], cwd=source, env=env, capture_output=True, text=True, timeout=PIP_SECONDS
                )
                assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        image.state.mkdir(mode=0o700)
        yield image


# --- the file ---


def test_the_linter_has_nothing_against_the_container_file() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, "--failure-threshold=info", DOCKERFILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_is_for_a_user_without_rights_and_says_how_it_is_stopped_and_asked() -> None:
    before, build, final = stages()
    assert before.pairs("ARG")["PYTHON_IMAGE"].startswith("python:3.11-slim")
    assert before.pairs("ARG")["BUILD_IMAGE"] == before.pairs("ARG")["PYTHON_IMAGE"].replace("-slim", "")
    assert (build.base, final.base) == ("${BUILD_IMAGE} AS build", "${PYTHON_IMAGE}")
    assert final.only("USER") == f"{UID}:{UID}"
    assert final.only("STOPSIGNAL") == "SIGTERM"
    assert final.only("VOLUME") == "/var/lib/driftline"
    assert json.loads(final.only("ENTRYPOINT")) == ["driftline"]
    assert final.all("COPY") == ["--from=build /opt/driftline /opt/driftline"]
    assert "curl" not in DOCKERFILE.read_text()


def test_every_extra_has_a_lock_that_agrees_with_the_others() -> None:
    (build,) = (stage for stage in stages() if "build" in stage.base)
    assert 'EXTRAS=""' in build.only("ARG")
    pin = re.compile(r"^[\w.-]+(?:\[[^\]]*\])?==\S+", re.M)
    runtime, dev = (
        set(pin.findall((ROOT / "requirements" / f"{name}.lock").read_text())) for name in ("runtime", "dev")
    )

    def plain(pins: set[str]) -> set[str]:
        return {re.sub(r"\[.*\]", "", each) for each in pins}

    for extra in ("parquet", "compression", "models"):
        pins = set(pin.findall((ROOT / "requirements" / f"{extra}.lock").read_text()))
        assert plain(runtime) < plain(pins) <= plain(dev), extra


# --- what it makes ---


def test_no_tool_that_builds_goes_along(image: Image) -> None:
    site = next(image.opt.glob("lib/python*/site-packages"))
    there = {path.name.partition("-")[0] for path in site.glob("*.dist-info")}
    assert {"driftline", "lz4"} <= there  # lz4: of the extra
    assert there.isdisjoint(
        {"pip", "setuptools", "hatchling", "editables", "pathspec", "pluggy", "uv", "pytest", "mypy"}
    )
    assert not (image.opt / "bin" / "pip").exists()


def test_a_container_without_a_configuration_ends_with_one_line_that_names_the_file(image: Image) -> None:
    command = [image.opt / "bin" / "driftline", *json.loads(stages()[-1].only("CMD"))]
    done = subprocess.run(command, env=image.environment(), capture_output=True, text=True, cwd=image.state)
    assert done.returncode == 2
    assert "/etc/driftline/driftline.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def _uncover_python(root: Path) -> str:
    """Commands that let anybody reach the interpreter where it lies in somebody's home."""
    python = Path(sys.base_prefix)
    closed = [folder for folder in reversed(python.parents) if not folder.stat().st_mode & 0o001]
    if not closed:
        return ""
    return f"""
mount -t tmpfs -o mode=755 none {root}{closed[0]}
mkdir -p {root}{python}
mount --bind {python} {root}{python}
mount -o remount,ro {root}{closed[0]}
"""


def test_it_serves_with_a_read_only_root_as_that_user_is_healthy_and_stops_on_sigterm(image: Image) -> None:
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        missing("a mount namespace", "nothing: run as root where `unshare -m` is allowed")
    http, web = free_ports(2)
    config = image.folder / "driftline.yaml"
    config.write_text(f"listen: {{otlp_http: '127.0.0.1:{http}', otlp_grpc: null, web: '127.0.0.1:{web}'}}\n")
    os.chown(image.state, UID, UID)
    (root := image.folder / "root").mkdir()
    # The whole machine, read-only, with the one volume writable: what the container sees.
    script = f"""
set -e
mount --bind / {root}
mount -o remount,bind,ro {root}
mount --rbind /dev {root}/dev
mount --rbind /proc {root}/proc
mount --bind {image.state} {root}{image.state}
{_uncover_python(root)}
if touch {root}/tmp/anything 2>/dev/null; then echo not read-only; exit 9; fi
cd {root}{image.state}
exec chroot --userspec={UID}:{UID} {root} {image.opt}/bin/driftline serve -c {config}
"""
    env = {**image.environment(), "DRIFTLINE_LISTEN__WEB": f"127.0.0.1:{web}"}
    served = Process("driftline", ["unshare", "-m", "sh", "-c", script], image.folder / "log", env)
    check = json.loads(stages()[-1].only("HEALTHCHECK").partition("CMD ")[2])
    check[0] = str(image.opt / "bin" / check[0])

    def healthy() -> bool:
        return subprocess.run(check, env=env, capture_output=True, timeout=30).returncode == 0

    assert not healthy()
    try:
        served.start()
        served.wait_ready(healthy)
        reply = httpx.post(
            f"http://127.0.0.1:{http}/v1/traces", content=b"{}", headers={"content-type": "application/json"}
        )
        assert reply.status_code == 200
        status = Path(f"/proc/{served.pid}/status").read_text()
        assert re.search(rf"^Uid:\s+{UID}\s+{UID}", status, re.M)
        os.kill(served.pid, signal.SIGTERM)
        assert served.join(30) == 0, served.log_tail()
    finally:
        served.kill()
    assert {path.name for path in image.state.iterdir()} >= {"driftline.db"}
