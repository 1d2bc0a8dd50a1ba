"""Builds a wheel with machine code in it, where the variable HATCH_BUILD_HOOK_ENABLE_CUSTOM says so: as the image does.

Without it a wheel is plain Python and fits everywhere; so is an install for development.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Compiled(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises RuntimeError where nothing could be compiled: half a release is none."""
        if version == "editable":
            return
        made = self._made
        shutil.rmtree(made, ignore_errors=True)  # what an earlier build left may be of another Python
        command = [sys.executable, str(Path(self.root) / "deploy" / "compiled" / "build.py"), str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"not compiled:\n{done.stderr}")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"] |= {str(path): str(path.relative_to(made)) for path in made.rglob("*.so")}

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's
        """It stands in the wheel now."""
        shutil.rmtree(self._made, ignore_errors=True)

    @property
    def _made(self) -> Path:
        return Path(self.directory) / "compiled"
