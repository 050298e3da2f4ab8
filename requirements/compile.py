"""A build hook that compiles the modules that read texts, with mypyc: the same source, in less time.

It is off unless HATCH_BUILD_HOOK_ENABLE_CUSTOM=true, needs a C compiler and the headers of Python, and makes a wheel
for machines of this kind alone. All sources go along: the rest runs from them, and evaluator ids are of them.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SETUP = """
import sys
from mypyc.build import mypycify
from setuptools import setup

modules, sys.argv[1:] = sys.argv[1:], ["--quiet", "build_ext", "--inplace"]
flags = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
setup(name="driftline", packages=[], ext_modules=mypycify([*flags, *modules], opt_level="3", debug_level="0"))
"""


class CompilingHook(BuildHookInterface[BuilderConfig]):
    """Adds what the compiler makes of the option `modules` (paths of sources) to the wheel."""

    _folder: TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # it would stay as it is while its source is edited
        # Not in the checkout: what is left there would be imported in place of the source.
        self._folder = TemporaryDirectory()
        folder = Path(self._folder.name)
        for package in self.build_config.packages:
            shutil.copytree(Path(self.root, package), folder / package, ignore=shutil.ignore_patterns("*.so", "*.pyd"))
        command = [sys.executable, "-c", _SETUP, *self.config["modules"]]
        made = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603
        if made.returncode != 0:
            raise RuntimeError(f"mypyc failed:\n{made.stdout}")
        shutil.rmtree(folder / "build")
        for pattern in ("*.so", "*.pyd"):
            for path in folder.rglob(pattern):
                build_data["force_include"][str(path)] = str(path.relative_to(folder))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self._folder is not None:  # what is in it was copied into the wheel
            self._folder.cleanup()
