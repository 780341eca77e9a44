"""Reads a buildspec.

Owns its syntax and the texts of AWS about a wrong one. Must not know how commands are run.
Source: "Build specification reference for CodeBuild".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["COMMAND_PHASES", "Buildspec", "BuildspecError", "CommandPhase", "read_buildspec"]

COMMAND_PHASES = ("install", "pre_build", "build", "post_build")
_SHELLS = ("sh", "bash")


class BuildspecError(Exception):
    """The buildspec is not one, or asks for what the local AWS does not do."""


@dataclass(frozen=True)
class CommandPhase:
    """The commands of one phase.

    :param last_commands: those of ``finally``, run whatever happened before
    :param continues_on_failure: ``on-failure: CONTINUE``
    """

    commands: Sequence[str] = ()
    last_commands: Sequence[str] = ()
    continues_on_failure: bool = False


@dataclass(frozen=True)
class Buildspec:
    """A whole buildspec; ``phases`` has all four command phases."""

    shell: str = "sh"
    variables: Mapping[str, str] = field(default_factory=dict)
    exported: Sequence[str] = ()
    phases: Mapping[str, CommandPhase] = field(default_factory=dict)


def read_buildspec(text: str) -> Buildspec:
    """Read a buildspec of version 0.2.

    :raises BuildspecError: when it is no YAML mapping, has no command, or needs something that is not here
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        message = f"YAML_FILE_ERROR Message: {error}"
        raise BuildspecError(message) from error
    if not isinstance(document, dict):
        message = "YAML_FILE_ERROR Message: the buildspec must be a mapping with version and phases"
        raise BuildspecError(message)
    if str(document.get("version")) != "0.2":
        message = f"YAML_FILE_ERROR Message: version is {document.get('version')}; the local AWS reads version 0.2"
        raise BuildspecError(message)
    environment = _mapping(document, "env")
    phases = _mapping(document, "phases")
    unknown = sorted(set(phases) - set(COMMAND_PHASES))
    if unknown or not phases:
        message = f"YAML_FILE_ERROR Message: phases are {list(phases)}; expected some of {', '.join(COMMAND_PHASES)}"
        raise BuildspecError(message)
    return Buildspec(
        shell=_shell(environment),
        variables={name: _text(value) for name, value in _mapping(environment, "variables").items()},
        exported=[str(name) for name in environment.get("exported-variables") or []],
        phases={name: _phase(name, _mapping(phases, name)) for name in COMMAND_PHASES},
    )


def _shell(environment: Mapping[str, Any]) -> str:
    for source in ("parameter-store", "secrets-manager"):
        if environment.get(source):
            message = f"env.{source} is not supported by the local AWS; give the values as env.variables"
            raise BuildspecError(message)
    shell = str(environment.get("shell", "sh"))
    if shell not in _SHELLS:
        message = f"env.shell is {shell}; the local AWS has {' and '.join(_SHELLS)}"
        raise BuildspecError(message)
    return shell


def _phase(name: str, phase: Mapping[str, Any]) -> CommandPhase:
    on_failure = str(phase.get("on-failure", "ABORT"))
    if on_failure not in {"ABORT", "CONTINUE"}:
        message = f"phases.{name}.on-failure is {on_failure}; the local AWS knows ABORT and CONTINUE"
        raise BuildspecError(message)
    return CommandPhase(_commands(name, phase, "commands"), _commands(name, phase, "finally"), on_failure == "CONTINUE")


def _commands(phase: str, section: Mapping[str, Any], key: str) -> list[str]:
    commands = section.get(key) or []
    if isinstance(commands, str):
        commands = [commands]
    for position, command in enumerate(commands):
        if isinstance(command, (dict, list)):
            # A colon in an unquoted command makes YAML see a mapping; this is what CodeBuild says then.
            message = (
                f"YAML_FILE_ERROR Message: Expected Commands[{position}] to be of string type: found subkeys instead "
                f"at phases.{phase}.{key}; put a command that holds a colon in quotes"
            )
            raise BuildspecError(message)
    return [_text(command) for command in commands]


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key) or {}
    if not isinstance(value, dict):
        message = f"YAML_FILE_ERROR Message: {key} must be a mapping, got {type(value).__name__}"
        raise BuildspecError(message)
    return value


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
