"""The syntax of buildspecs."""

from __future__ import annotations

import pytest

from local_aws.codebuild.buildspec import BuildspecError, CommandPhase, read_buildspec


def test_every_part_that_is_carried_out_is_read() -> None:
    """Variables become text, and a phase that is left out has no commands."""
    found = read_buildspec(
        """
        version: 0.2
        env:
          shell: bash
          variables: {NUMBER: 1, FLAG: true, TEXT: a b}
          exported-variables: [NUMBER]
        phases:
          pre_build: {commands: [one, two], finally: [three], on-failure: CONTINUE}
          build: {commands: only}
        """
    )

    assert found.shell == "bash"
    assert found.variables == {"NUMBER": "1", "FLAG": "true", "TEXT": "a b"}
    assert found.exported == ["NUMBER"]
    assert found.phases == {
        "install": CommandPhase([], [], continues_on_failure=False),
        "pre_build": CommandPhase(["one", "two"], ["three"], continues_on_failure=True),
        "build": CommandPhase(["only"], [], continues_on_failure=False),
        "post_build": CommandPhase([], [], continues_on_failure=False),
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "YAML_FILE_ERROR"),
        ("- a", "must be a mapping"),
        ("version: 0.1\nphases: {build: {commands: [x]}}", "version is 0.1"),
        ("version: 0.2", "phases are"),
        ("version: 0.2\nphases: {deploy: {commands: [x]}}", r"\['deploy'\]; expected some of install"),
        ("version: 0.2\nphases: {build: {commands: [{a: b}]}}", r"Commands\[0\] .* found subkeys"),
        ("version: 0.2\nphases: {build: {on-failure: RETRY}}", "on-failure is RETRY"),
        ("version: 0.2\nenv: {shell: powershell}\nphases: {build: {}}", "env.shell is powershell"),
        ("version: 0.2\nenv: {parameter-store: {A: b}}\nphases: {build: {}}", "env.parameter-store"),
        ("version: 0.2\nphases: [build]", "phases must be a mapping"),
    ],
)
def test_a_wrong_buildspec_is_refused_with_its_reason(text: str, reason: str) -> None:
    """The message names the key and what is allowed."""
    with pytest.raises(BuildspecError, match=reason):
        read_buildspec(text)
