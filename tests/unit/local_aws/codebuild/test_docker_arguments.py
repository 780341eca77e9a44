"""Command lines of docker, read as docker reads them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from local_aws.codebuild.docker_arguments import read_command_line, read_options


@pytest.mark.parametrize(
    ("line", "before", "verb", "rest"),
    [
        ("push a:1", "", "push", "a:1"),
        ("--debug push a:1", "--debug", "push", "a:1"),
        ("-l error push a:1", "-l error", "push", "a:1"),
        ("-lerror -D image push a:1", "-lerror -D image", "push", "a:1"),
        ("--host=tcp://h --config /c buildx build .", "--host=tcp://h --config /c buildx", "build", "."),
        ("-H unix:///s --tlsverify build .", "-H unix:///s --tlsverify", "build", "."),
        ("--version", "--version", "", ""),
        ("", "", "", ""),
    ],
)
def test_options_of_docker_itself_do_not_hide_the_verb(line: str, before: str, verb: str, rest: str) -> None:
    """They come before it, with values in the next word, after an equals sign or in the same word."""
    found = read_command_line(shlex.split(line))

    assert (" ".join(found.before), found.verb, " ".join(found.rest)) == (before, verb, rest)


@pytest.mark.parametrize(
    ("line", "dockerfile"),
    [
        (".", "Dockerfile"),
        ("app", "app/Dockerfile"),
        ("-t app .", "Dockerfile"),
        (". -t app", "Dockerfile"),
        ("-qt app --network app --no-cache .", "Dockerfile"),
        ("--tag=app -- .", "Dockerfile"),
        ("-f app/Dockerfile .", "app/Dockerfile"),
        ("--file=app/Dockerfile .", "app/Dockerfile"),
        ("-fapp/Dockerfile -f Dockerfile app", "Dockerfile"),
        ("-f - .", None),
        ("-", None),
        ("https://example.com/repository.git", None),
        ("-t app", None),
    ],
)
def test_the_dockerfile_is_the_contexts_whatever_the_options_values_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, dockerfile: str | None
) -> None:
    """A folder that is called like the tag is not taken for the context."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").mkdir()
    for file in ("Dockerfile", "app/Dockerfile"):
        (tmp_path / file).touch()

    assert read_options(shlex.split(line)).dockerfile == (Path(dockerfile) if dockerfile else None)


@pytest.mark.parametrize(
    ("line", "pushes"),
    [
        ("-t a .", False),
        ("--push -t a .", True),
        ("--push=false .", False),
        ("-o type=image,push=true .", True),
        ("--output=type=registry .", True),
        ("--output type=local,dest=push .", False),
    ],
)
def test_a_build_that_pushes_is_known_as_such(line: str, pushes: bool) -> None:
    """Buildx pushes at the end of a build when it is told to, in one of three ways."""
    assert read_options(shlex.split(line)).pushes is pushes
