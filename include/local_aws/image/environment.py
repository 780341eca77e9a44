"""Isolated Python environments, one per set of requirements, made once and shared by every image that needs it.

Owns the cache directory, its locks and the call of pip. Must not know Dockerfiles or images.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["EnvironmentCache", "PackageError", "Requirements"]

_READY = "environment.json"
"""Written last: a directory without it was left by a build that broke off and is made anew."""


class PackageError(Exception):
    """The packages could not be installed; the text ends with pip's last lines."""


@dataclass(frozen=True)
class Requirements:
    """What pip is to install.

    :param lines: content of requirements files and requirements given on a command line, in order
    :param pip_variables: ``PIP_…`` variables from the Dockerfile or its build arguments
    """

    lines: Sequence[str] = ()
    pip_variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to install."""
        return not any(line.strip() and not line.strip().startswith("#") for line in self.lines)

    @property
    def digest(self) -> str:
        """Hash of what is installed, wherever it is downloaded from."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()


class EnvironmentCache:
    """The environments of this machine.

    :param directory: made when it is missing; may be shared by several local AWSs at once
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, requirements: Requirements) -> Path:
        """Return where the environment for these requirements and this Python is, made or not."""
        facts = [requirements.digest, sys.version, platform.machine(), sys.base_prefix]
        return self._directory / hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def provide(self, requirements: Requirements, report: Callable[[str], None]) -> Path:
        """Return the environment, made now if need be; other builders of the same one wait.

        :param report: gets pip's output line by line
        :raises PackageError: when pip fails
        """
        path = self.path(requirements)
        with self._locked(path):
            if (path / _READY).is_file():
                report(f"Using the Python environment {path.name} made before")
                return path
            shutil.rmtree(path, ignore_errors=True)
            _make(path, requirements, report)
            (path / _READY).write_text(json.dumps({"requirements": list(requirements.lines)}, indent=2))
        return path

    @contextlib.contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        self._directory.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _make(path: Path, requirements: Requirements, report: Callable[[str], None]) -> None:
    python = str(path / "bin" / "python")
    lends_pip = _can_lend_pip()
    # Without a pip of its own an environment takes a tenth of a second instead of several.
    bare = ["--without-pip"] if lends_pip or requirements.is_empty else []
    _run([sys.executable, "-m", "venv", *bare, str(path)], {}, report)
    if requirements.is_empty:
        return
    wanted = path / "requirements.txt"
    wanted.write_text("\n".join(requirements.lines) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", python] if lends_pip else [python, "-m", "pip"]
    options = ["--disable-pip-version-check", "--progress-bar", "off", "--requirement", str(wanted)]
    _run([*pip, "install", *options], requirements.pip_variables, report)


def _can_lend_pip() -> bool:
    """Tell whether this Python's pip can install into another environment: it has ``--python`` since 22.3."""
    try:
        version = importlib.metadata.version("pip")
    except importlib.metadata.PackageNotFoundError:
        return False
    return tuple(int(part) for part in version.split(".")[:2]) >= (22, 3)


def _run(command: Sequence[str], variables: Mapping[str, str], report: Callable[[str], None]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = subprocess.Popen(
        command,
        env={**environment, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    last: list[str] = []
    with process:
        for line in process.stdout or ():
            report(line.rstrip())
            last = [*last[-4:], line.strip()]
    if process.returncode:
        message = f"`{' '.join(command[1:4])} …` ended with exit code {process.returncode}: {' | '.join(last)}"
        raise PackageError(message)
