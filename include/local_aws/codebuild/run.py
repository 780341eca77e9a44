"""Runs one build from its source to its last phase.

Owns the order of the phases and which failure ends what. Must not know the API.
Source: "Build phase transitions" in the CodeBuild user guide: a failed ``build`` still leads to ``post_build``, a
failed ``install`` or ``pre_build`` does not.
"""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local_aws.codebuild.buildspec import COMMAND_PHASES, Buildspec, BuildspecError, CommandPhase, read_buildspec
from local_aws.codebuild.shell import Shell
from local_aws.codebuild.source import SourceError, download_source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local_aws.cloud import Cloud
    from local_aws.codebuild.record import BuildRecord
    from local_aws.process.register import ProcessRegister
    from local_aws.sagemaker.log_stream import LogStream

__all__ = ["BuildRun", "Workplace"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workplace:
    """What a build is given.

    :param directory: of this build alone; removed with it
    :param environment: variables of every command, without those of the buildspec
    :param own_variables: variables of project and request; they win over the buildspec's
    :param source: ``ProjectSource`` with ``buildspec`` as text or path
    """

    cloud: Cloud
    register: ProcessRegister
    log: LogStream
    directory: Path
    environment: Mapping[str, str]
    own_variables: Mapping[str, str]
    source: dict[str, Any]
    timeout_minutes: float


@dataclass
class BuildRun:
    """A build under way.

    :param record: is kept up to date
    """

    record: BuildRecord
    place: Workplace
    _shell: Shell | None = field(default=None, init=False)
    _forced_status: str | None = field(default=None, init=False)
    _succeeding: bool = field(default=True, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def start(self) -> threading.Thread:
        """Run in a thread of its own, which is returned."""
        thread = threading.Thread(target=self._run, name=f"build {self.record.build_id}", daemon=True)
        thread.start()
        return thread

    def stop(self, status: str = "STOPPED") -> None:
        """End the build early with this status. Harmless when it has ended."""
        with self._lock:
            if self.record.is_complete or self._forced_status:
                return
            self._forced_status = status
            shell = self._shell
        if shell is not None:
            shell.stop()

    def _run(self) -> None:
        timer = threading.Timer(self.place.timeout_minutes * 60, self.stop, args=["TIMED_OUT"])
        timer.daemon = True
        timer.start()
        try:
            self._walk()
        except Exception:
            _logger.exception("The build %s broke off", self.record.build_id)
            self.record.end("FAULT", "The local AWS failed; its log says why", "INTERNAL_ERROR")
            self._succeeding = False
        finally:
            timer.cancel()
            self._finish()

    def _walk(self) -> None:
        for phase in ("SUBMITTED", "QUEUED", "PROVISIONING"):
            self.record.begin(phase)
            self.record.end()
        buildspec = self._download()
        if buildspec is not None:
            try:
                self._run_phases(buildspec)
                self._export(buildspec)
            finally:
                if self._shell is not None:
                    self._shell.close()
        if self._forced_status is None and buildspec is not None:
            self._pass("UPLOAD_ARTIFACTS")
        self._pass("FINALIZING")

    def _finish(self) -> None:
        status = self._forced_status or ("SUCCEEDED" if self._succeeding else "FAILED")
        self.place.log.close()
        self.record.complete(status)
        shutil.rmtree(self.place.directory, ignore_errors=True)

    def _download(self) -> Buildspec | None:
        self._say("Waiting for agent ping")
        self.record.begin("DOWNLOAD_SOURCE")
        try:
            download_source(self.place.cloud, self.place.source, self._source_dir)
            self._say("Phase is DOWNLOAD_SOURCE")
            buildspec = read_buildspec(self._buildspec_text())
        except (SourceError, BuildspecError) as error:
            code = "YAML_FILE_ERROR" if isinstance(error, BuildspecError) else "CLIENT_ERROR"
            self._fail("DOWNLOAD_SOURCE", str(error), code)
            return None
        self.record.end()
        self._say("Phase complete: DOWNLOAD_SOURCE State: SUCCEEDED")
        return buildspec

    def _run_phases(self, buildspec: Buildspec) -> None:
        for name in COMMAND_PHASES:
            if self._forced_status or not self._reaches(name):
                return
            self._run_phase(name.upper(), buildspec, buildspec.phases[name])

    def _reaches(self, name: str) -> bool:
        """Tell whether a phase comes after what failed so far."""
        if name != "post_build":
            return self._succeeding
        phases = self.record.describe()["phases"]
        return any(phase["phaseType"] == "BUILD" for phase in phases)

    def _run_phase(self, name: str, buildspec: Buildspec, phase: CommandPhase) -> None:
        self.record.begin(name)
        self._say(f"Entering phase {name}")
        failure = self._run_commands(buildspec, phase.commands)
        last_failure = self._run_commands(buildspec, phase.last_commands)
        failure = failure or last_failure
        if self._forced_status:
            self.record.end(self._forced_status)
        elif failure:
            self._fail(name, failure, "COMMAND_EXECUTION_ERROR", ends_build=not phase.continues_on_failure)
        else:
            self.record.end()
            self._say(f"Phase complete: {name} State: SUCCEEDED")

    def _run_commands(self, buildspec: Buildspec, commands: Any) -> str:
        """Run commands until one fails; return what to say about it, or nothing."""
        for command in commands:
            shell = self._living_shell(buildspec)
            if shell is None:
                return ""
            self._say(f"Running command {command}")
            status = shell.run(command)
            if status and not self._forced_status:
                self._say(f"Command did not exit successfully {command} exit status {status}")
                return f"Error while executing command: {command}. Reason: exit status {status}"
        return ""

    def _living_shell(self, buildspec: Buildspec) -> Shell | None:
        """Return the build's shell, a new one when a command ended it; None when the build is being stopped."""
        with self._lock:
            if self._forced_status:
                return None
            if self._shell is not None and self._shell.has_ended:
                self._shell.close()
                self._shell = None
            if self._shell is None:
                self._shell = self._open_shell(buildspec)
            self._shell_says_whether_it_succeeds(self._shell)
            return self._shell

    def _open_shell(self, buildspec: Buildspec) -> Shell:
        environment = {
            **buildspec.variables,
            **self.place.own_variables,
            **self.place.environment,
            "CODEBUILD_SRC_DIR": str(self._source_dir),
        }
        directory = self.place.directory / "commands"
        return Shell(
            buildspec.shell, directory, self._source_dir, environment, self.place.register, self.place.log.write
        )

    def _shell_says_whether_it_succeeds(self, shell: Shell) -> None:
        shell.run(f"export CODEBUILD_BUILD_SUCCEEDING={int(self._succeeding)}")

    def _export(self, buildspec: Buildspec) -> None:
        if buildspec.exported and self._shell is not None and not self._shell.has_ended:
            self.record.export({name: self._shell.read(name) for name in buildspec.exported})

    def _fail(self, phase: str, message: str, code: str, *, ends_build: bool = True) -> None:
        self.record.end("FAILED", message, code)
        self._say(f"Phase complete: {phase} State: {'FAILED' if ends_build else 'FAILED_WITH_CONTINUE'}")
        self._say(f"Phase context status code: {code} Message: {message}")
        if ends_build:
            self._succeeding = False

    def _pass(self, phase: str) -> None:
        self.record.begin(phase)
        self.record.end()

    def _buildspec_text(self) -> str:
        given = self.place.source.get("buildspec") or "buildspec.yml"
        if "\n" in given:
            return str(given)
        file = self._source_dir / given
        if not file.is_file():
            message = f"YAML_FILE_ERROR Message: stat {given}: no such file in the source"
            raise BuildspecError(message)
        return file.read_text(encoding="utf-8")

    @property
    def _source_dir(self) -> Path:
        return self.place.directory / "src"

    def _say(self, text: str) -> None:
        moment = dt.datetime.now(dt.timezone.utc).strftime("%Y/%m/%d %H:%M:%S.%f")
        self.place.log.write(f"[Container] {moment} {text}")
