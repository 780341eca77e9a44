"""The choice of what runs containers, on machines that have this or that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_stack.engine import EngineWish, base_image, choose_engine, is_elsewhere, option_words
from local_stack.errors import StackError
from tests.support.fake_docker import FakeDocker, fake_docker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPTIONS = "--network host --build-arg BASE_IMAGE=mirror/base:1"
ALL = ("docker", "docker-registry")
DOCKER = """#!/bin/sh
case "$*" in
  *"image inspect $HELD") exit 0 ;;
  *"pull $PULLABLE") exit 0 ;;
  *pull*) echo "manifest unknown" >&2; exit 1 ;;
  *build*--nosuch*) printf "unknown flag: --nosuch\n\nRun 'docker build --help' for more information\n" >&2; exit 125 ;;
  *build*) read first; [ "$first" = "FROM scratch" ] && echo sha256:1 ;;
  *"image rm sha256:1") echo removed >> "$0.removed" ;;
  *) exit 1 ;;
esac
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeDocker]:
    """Return an engine that answers."""
    with fake_docker(tmp_path, lambda _: None) as answering:
        yield answering


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the one folder of PATH, with all programs, on a machine whose engine holds the base image."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ALL:
        (folder / name).write_text(DOCKER)
        (folder / name).chmod(0o755)
    for name, value in {"PATH": str(folder), "HELD": "mirror/base:1", "PULLABLE": "nothing"}.items():
        monkeypatch.setenv(name, value)
    return folder


def test_docker_is_taken_when_all_of_it_is_there(engine: FakeDocker, machine: Path) -> None:
    """The reason names the engine and the registry, and the options reach the builds."""
    choice = choose_engine(EngineWish(build_options=OPTIONS))

    assert choice.name == "docker"
    assert choice.reason == f"unix:///var/run/docker.sock, registry {machine}/docker-registry"
    assert (choice.registry_program, choice.build_options) == (f"{machine}/docker-registry", OPTIONS)
    assert (machine / "docker.removed").read_text() == "removed\n"


@pytest.mark.parametrize(
    ("program", "held", "reason"),
    [
        ("docker", "mirror/base:1", "there is no docker command on PATH"),
        ("docker-registry", "mirror/base:1", "registry:2 cannot be pulled (manifest unknown): name another with REG"),
        ("", "another", "mirror/base:1 cannot be pulled (manifest unknown): name another with DOCKER_BUILD_OPTIONS="),
    ],
)
def test_what_is_missing_is_the_reason_for_processes_or_an_error(
    engine: FakeDocker, machine: Path, monkeypatch: pytest.MonkeyPatch, program: str, held: str, reason: str
) -> None:
    """Without a wish the stack runs all the same; with ENGINE=docker nothing starts."""
    monkeypatch.setenv("HELD", held)
    (machine / program).unlink() if program else None

    choice = choose_engine(EngineWish(build_options=OPTIONS))

    assert choice.name == "process"
    assert choice.reason.startswith(reason)
    with pytest.raises(StackError) as refused:
        choose_engine(EngineWish("docker", build_options=OPTIONS))
    assert str(refused.value).startswith(f"ENGINE=docker, but {reason}")


def test_an_engine_that_does_not_answer_is_named(engine: FakeDocker, machine: Path) -> None:
    """The address is the one that was tried."""
    engine.running = False

    choice = choose_engine(EngineWish(build_options=OPTIONS))

    assert (choice.name, choice.reason) == ("process", "no Docker engine answers at unix:///var/run/docker.sock")


def test_an_engine_that_lets_nobody_in_is_told_from_one_that_is_away(engine: FakeDocker, machine: Path) -> None:
    """The remedy is another one: the user has to join a group."""
    engine.forbidden = True

    with pytest.raises(
        StackError, match=r"docker\.sock does not let this user in \(permission denied\); become a member"
    ):
        choose_engine(EngineWish("docker", build_options=OPTIONS))


@pytest.mark.parametrize(
    ("address", "is_away"),
    [
        ("tcp://build.example:2376", True),
        ("ssh://me@build.example", True),
        ("ssh://localhost", True),
        ("http://[::2]:2375", True),
        ("tcp://127.0.0.1:2375", False),
        ("tcp://localhost:2375", False),
        ("tcp://[::1]:2375", False),
        ("unix:///run/user/1000/docker.sock", False),
        ("npipe:////./pipe/docker_engine", False),
    ],
)
def test_an_engine_on_another_machine_is_none(address: str, is_away: bool) -> None:
    """Its containers would look for the registry and for the job's files there."""
    assert is_elsewhere(address) is is_away


def test_an_engine_on_another_machine_is_not_even_asked(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason says what it is that it cannot reach."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://build.example:2376")

    choice = choose_engine(EngineWish())

    assert choice.name == "process"
    assert choice.reason.startswith("the Docker engine at tcp://build.example:2376 is on another machine, and the regi")


def test_wrong_build_options_are_found_before_anything_starts(engine: FakeDocker, machine: Path) -> None:
    """The words are Docker's own, without its advice."""
    with pytest.raises(StackError, match=r"--nosuch .*BASE_IMAGE=mirror/base:1' \(unknown flag: --nosuch\);"):
        choose_engine(EngineWish("docker", build_options=f"--nosuch {OPTIONS}"))


@pytest.mark.parametrize(("options", "lines"), [(OPTIONS, 1), ("", 0)])
def test_build_options_without_docker_are_said_to_have_no_effect(
    engine: FakeDocker, machine: Path, options: str, lines: int
) -> None:
    """Both when processes are asked for and when nothing else is there."""
    engine.running = False
    for wish in (EngineWish("process", build_options=options), EngineWish(build_options=options)):
        said: list[str] = []
        choose_engine(wish, said.append)
        assert [line for line in said if "DOCKER_BUILD_OPTIONS has no effect on processes" in line] == said
        assert len(said) == lines


def test_an_image_that_can_be_pulled_is(engine: FakeDocker, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a while, so it is told; a registry in a container does as well as a program."""
    (machine / "docker-registry").unlink()
    monkeypatch.setenv("PULLABLE", "registry:3")
    said: list[str] = []

    choice = choose_engine(EngineWish(None, "registry:3", OPTIONS), said.append)

    assert (choice.name, choice.registry_program, choice.registry_image) == ("docker", None, "registry:3")
    assert [line.strip() for line in said] == ["pulling registry:3"]


def test_processes_can_be_asked_for_on_any_machine(engine: FakeDocker, machine: Path) -> None:
    """Nothing is looked for then."""
    engine.running = False

    assert choose_engine(EngineWish("process")).name == "process"


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (EngineWish("podman"), "ENGINE is 'podman': give docker or process, or leave it out"),
        (EngineWish("docker", build_options="--label 'x"), "DOCKER_BUILD_OPTIONS is .*No closing quotation"),
    ],
)
def test_a_wish_that_is_none_is_refused(engine: FakeDocker, machine: Path, wish: EngineWish, message: str) -> None:
    """The message says what is allowed."""
    with pytest.raises(StackError, match=message):
        choose_engine(wish)


@pytest.mark.parametrize(
    ("options", "image"),
    [
        ("", "python:3.12-slim"),
        ("--build-arg BASE_IMAGE=a:1", "a:1"),
        ("--build-arg=BASE_IMAGE=b:1 --network host", "b:1"),
        ("--build-arg OTHER_BASE_IMAGE=c:1", "python:3.12-slim"),
    ],
)
def test_the_base_image_is_the_dockerfiles_or_the_one_that_is_given(options: str, image: str) -> None:
    """It has to be there before the build that needs it."""
    assert base_image(option_words(options)) == image
