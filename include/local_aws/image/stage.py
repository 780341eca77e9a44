"""Carries out the stages of a Dockerfile, one after the other, each on a root directory of its own.

Owns what a stage inherits from another. Must not know what a single instruction does.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from local_aws.image.dockerfile import expand
from local_aws.image.layout import Layout, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from local_aws.image.dockerfile import Stage

__all__ = ["carry_out"]


def carry_out(
    stages: Sequence[Stage],
    context: Path,
    directory: Path,
    arguments: Mapping[str, str],
    report: Callable[[str], None],
) -> Layout:
    """Return the layout of the last stage; its root is ``directory/root``.

    :param stages: at least one
    :param context: what COPY may take
    :param directory: where roots are made; those of earlier stages are gone at the end
    :param arguments: build arguments that were given
    :raises DockerfileError: when a file is missing or the process engine cannot stand for the image
    """
    done: dict[str, Layout] = {}
    for number, stage in enumerate(stages):
        is_last = number == len(stages) - 1
        layout = Layout(context, directory / ("root" if is_last else f"stage-{number}"), arguments, report, stages=done)
        layout.root.mkdir()
        _inherit(layout, stage, done)
        lay_out(layout, stage.instructions)
        done = {**done, **dict.fromkeys(stage.names, layout)}
    for earlier in directory.glob("stage-*"):
        shutil.rmtree(earlier)
    return layout


def _inherit(layout: Layout, stage: Stage, done: Mapping[str, Layout]) -> None:
    """Begin with what an earlier stage has come to, if ``FROM`` names one; of images nothing is here."""
    for instruction in stage.instructions:
        if instruction.name == "FROM":
            break
        layout.declare(instruction)
    base = done.get(expand(stage.base, layout.variables).lower())
    if base is None:
        return
    shutil.copytree(base.root, layout.root, dirs_exist_ok=True)
    layout.environment = dict(base.environment)
    layout.working_dir = base.working_dir
    layout.entrypoint, layout.command = list(base.entrypoint), list(base.command)
    layout.requirement_lines = list(base.requirement_lines)
