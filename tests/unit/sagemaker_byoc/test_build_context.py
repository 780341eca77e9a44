"""The content address of a build context."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagemaker_byoc.build_context import BuildContext
from sagemaker_byoc.errors import BuildContextError

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = {"Dockerfile": b"FROM scratch\n", "train": b"#!/bin/sh\n", "model/net.py": b"x = 1\n"}

names = st.from_regex(r"[a-z]{1,6}(/[a-z]{1,6}x){0,2}", fullmatch=True)
folders = st.dictionaries(names, st.binary(max_size=50), min_size=1, max_size=8)


def write(root: Path, files: dict[str, bytes] = FOLDER) -> Path:
    """Write the files in the order given."""
    for name, content in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return root


def names_in(context: BuildContext) -> list[str]:
    """List what belongs to the context."""
    return [file.name for file in context.files]


@given(folders, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_and_times_of_files_do_not_change_the_address(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], random: Any
) -> None:
    """Two folders of the same content have the same address."""
    files = {name: content for name, content in files.items() if not any(o.startswith(f"{name}/") for o in files)}
    files["Dockerfile"] = b"FROM scratch"
    shuffled = list(files.items())
    random.shuffle(shuffled)
    first = BuildContext(write(tmp_path_factory.mktemp("a"), files))
    second = BuildContext(write(tmp_path_factory.mktemp("b"), dict(shuffled)))
    for name in files:
        os.utime(second.path / name, (1, 1))
    assert first.address == second.address


@given(st.binary(max_size=20), st.binary(max_size=20))
@settings(max_examples=40, deadline=None)
def test_other_bytes_give_another_address(tmp_path_factory: pytest.TempPathFactory, one: bytes, other: bytes) -> None:
    """The address differs exactly when the content does."""
    first = BuildContext(write(tmp_path_factory.mktemp("a"), {**FOLDER, "data": one}))
    second = BuildContext(write(tmp_path_factory.mktemp("b"), {**FOLDER, "data": other}))
    assert (first.address == second.address) == (one == other)


@pytest.mark.parametrize(
    "choice",
    [
        {"build_args": {"VERSION": "1"}},
        {"target": "serve"},
        {"platform": "linux/arm64"},
        {"dockerfile": "train"},
    ],
)
def test_every_choice_of_the_build_is_part_of_the_address(tmp_path: Path, choice: dict[str, Any]) -> None:
    """An image built with other arguments, stage, platform or Dockerfile is another image."""
    write(tmp_path)
    assert BuildContext(tmp_path, **choice).address != BuildContext(tmp_path).address


def test_an_execute_bit_is_part_of_the_address(tmp_path: Path) -> None:
    """A program that cannot be run is another image; other permission bits say nothing about the content."""
    write(tmp_path)
    plain = BuildContext(tmp_path).address
    (tmp_path / "train").chmod(0o600)
    assert BuildContext(tmp_path).address == plain
    (tmp_path / "train").chmod(0o755)
    assert BuildContext(tmp_path).address != plain


def test_a_renamed_file_gives_another_address(tmp_path: Path) -> None:
    """Names count, not only bytes."""
    write(tmp_path)
    before = BuildContext(tmp_path).address
    (tmp_path / "train").rename(tmp_path / "trains")
    assert BuildContext(tmp_path).address != before


def test_a_left_out_file_does_not_change_the_address(tmp_path: Path) -> None:
    """What Docker would not see does not cause a build."""
    write(tmp_path, {**FOLDER, ".dockerignore": b"**/__pycache__\n"})
    before = BuildContext(tmp_path).address
    write(tmp_path, {"model/__pycache__/net.pyc": b"\0"})
    assert BuildContext(tmp_path).address == before


def test_the_dockerfile_and_the_ignore_file_are_kept_whatever_it_says(tmp_path: Path) -> None:
    """Docker needs both, so ``*`` does not remove them, and ``!`` brings single files back."""
    write(tmp_path, {**FOLDER, ".dockerignore": b"*\n!model/net.py\n"})
    assert names_in(BuildContext(tmp_path)) == [".dockerignore", "Dockerfile", "model/net.py"]


def test_a_dockerfile_in_a_left_out_folder_is_kept(tmp_path: Path) -> None:
    """Folders are skipped for speed, but not the one that holds the Dockerfile."""
    write(
        tmp_path, {"docker/Dockerfile": b"FROM scratch", "docker/notes": b"", "train": b"", ".dockerignore": b"docker"}
    )
    context = BuildContext(tmp_path, dockerfile="docker/Dockerfile")
    assert names_in(context) == [".dockerignore", "docker/Dockerfile", "train"]


def test_the_ignore_file_of_the_dockerfile_wins(tmp_path: Path) -> None:
    """BuildKit reads ``Dockerfile.dockerignore`` instead of ``.dockerignore`` when there is one."""
    write(tmp_path, {**FOLDER, ".dockerignore": b"model", "Dockerfile.dockerignore": b"train"})
    assert "model/net.py" in names_in(BuildContext(tmp_path))
    assert "train" not in names_in(BuildContext(tmp_path))


def test_the_tag_is_one_that_ecr_takes(tmp_path: Path) -> None:
    """The tag is short, made of the address, and needs no escaping."""
    context = BuildContext(write(tmp_path))
    assert re.fullmatch(r"ctx-[0-9a-f]{24}", context.tag)
    assert context.address.startswith(context.tag.removeprefix("ctx-"))


def _leaving_link(root: Path) -> BuildContext:
    (root / "escape").symlink_to(root.parent)
    return BuildContext(root)


def _leaving_file_link(root: Path) -> BuildContext:
    outside = root.parent / f"{root.name}-outside"
    outside.write_text("secret")
    (root / "escape").symlink_to(outside)
    return BuildContext(root)


def _dangling_link(root: Path) -> BuildContext:
    (root / "escape").symlink_to("nothing")
    return BuildContext(root)


def _pipe(root: Path) -> BuildContext:
    os.mkfifo(root / "pipe")
    return BuildContext(root)


def _large(root: Path) -> BuildContext:
    (root / "weights.bin").write_bytes(b"0" * 2000)
    return BuildContext(root, maximum_bytes=1000)


REFUSED = {
    "a link to a folder outside": (_leaving_link, "escape.*inside the context"),
    "a link to a file outside": (_leaving_file_link, "escape.*inside the context"),
    "a link to nothing": (_dangling_link, "escape.*leads to a file"),
    "a pipe": (_pipe, "pipe.*regular file"),
    "too much": (_large, "at most.*weights.bin"),
    "a missing folder": (lambda root: BuildContext(root / "none"), "none.*folder that exists"),
    "no Dockerfile": (lambda root: BuildContext(root / "model"), "dockerfile: got 'Dockerfile'"),
    "a Dockerfile outside": (lambda root: BuildContext(root / "model", "../Dockerfile"), "inside the context"),
    "a Dockerfile by way of outside": (lambda root: BuildContext(root, "model/../Dockerfile"), "without '..'"),
    "an argument name for a shell": (lambda root: BuildContext(root, build_args={"A;rm": "1"}), "build_args.*A;rm"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_context_that_cannot_be_built_is_refused(tmp_path: Path, case: str) -> None:
    """The message names what stands in the way."""
    make, message = REFUSED[case]
    root = write(tmp_path / "context")
    with pytest.raises(BuildContextError, match=message):
        _ = make(root).address


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """Nothing to build is said as such."""
    with pytest.raises(BuildContextError, match="empty"):
        _ = BuildContext(tmp_path).files


def test_a_dockerfile_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    """Its name is compared with those of the files, to keep it and to pin its images."""
    root = write(tmp_path, {**FOLDER, ".dockerignore": b"Dockerfile\n"})
    plain, dotted = BuildContext(root), BuildContext(root, "./Dockerfile")
    assert dotted.address == plain.address
    assert "Dockerfile" in names_in(dotted)
    assert dotted.dockerfile == "Dockerfile"
