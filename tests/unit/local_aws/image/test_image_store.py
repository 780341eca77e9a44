"""What the process engine's ``docker build`` makes of a context."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from local_aws.image.dockerfile import DockerfileError, read_stages
from local_aws.image.environment import PackageError, Requirements
from local_aws.image.stage import carry_out
from local_aws.image_store import BuildRequest, Image, ImageStore
from tests.support.process_cloud import DOCKERFILE, write_context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def _build(directory: Path, files: Mapping[str, str], name: str = "context", **options: object) -> Image:
    store = ImageStore(directory / "images", directory / "cache")
    request = BuildRequest(write_context(directory / name, files), **options)  # type: ignore[arg-type]
    return store.build(request, lambda _: None)


def test_the_same_content_has_the_same_digest(tmp_path: Path) -> None:
    """Two builds of equal contexts make one image, whose digest is the hash of its manifest."""
    first = _build(tmp_path, {"train": "x"}, "one")
    second = _build(tmp_path, {"train": "x"}, "two")

    assert first == second
    assert first.digest == "sha256:" + hashlib.sha256(first.manifest.encode()).hexdigest()
    assert json.loads(first.manifest)["schemaVersion"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"train": "y"},
        {"more.txt": ""},
        {"Dockerfile": DOCKERFILE + "ENV A=1\n"},
    ],
)
def test_any_change_changes_the_digest(tmp_path: Path, change: dict[str, str]) -> None:
    """Content, a further file and the configuration all count."""
    assert _build(tmp_path, {"train": "x"}, "one").digest != _build(tmp_path, {"train": "x", **change}, "two").digest


def test_ignored_files_do_not_count(tmp_path: Path) -> None:
    """What ``.dockerignore`` leaves out is neither in the image nor in its digest."""
    rules = {".dockerignore": "notes.md\n.dockerignore\nDockerfile"}
    first = _build(tmp_path, {**rules, "notes.md": "one"}, "one")
    second = _build(tmp_path, {**rules, "notes.md": "two"}, "two")

    assert first.digest == second.digest
    assert not (first.root / "opt/program/notes.md").exists()


def test_instructions_place_files_and_set_the_configuration(tmp_path: Path) -> None:
    """COPY, WORKDIR, ENV, ARG, ENTRYPOINT, CMD and chmod do what Docker does with them."""
    image = _build(
        tmp_path,
        {
            "code/train": "t",
            "code/lib/a.py": "a",
            "extra.txt": "e",
            "Dockerfile": (
                "ARG NAME=program\nFROM base\nARG NAME=program\nWORKDIR /opt\nWORKDIR $NAME\n"
                "COPY code /opt/$NAME\nCOPY extra.txt renamed.txt\nCOPY extra.txt /data/\n"
                "ENV A=1 B=${A}2\nENV C three words\nRUN chmod +x train\n"
                'ENTRYPOINT ["python", "x.py"]\nCMD serve\n'
            ),
        },
        arguments={"NAME": "given"},
    )

    files = sorted(path.relative_to(image.root).as_posix() for path in image.root.rglob("*") if path.is_file())
    assert files == ["data/extra.txt", "opt/given/lib/a.py", "opt/given/renamed.txt", "opt/given/train"]
    assert image.config.working_dir == "/opt/given"
    assert image.config.environment["B"] == "2"  # as in Docker, one ENV does not see its own values
    assert image.config.environment["C"] == "three words"
    assert image.config.entrypoint == ["python", "x.py"]
    assert image.config.command == ["/bin/sh", "-c", "serve"]
    assert (image.root / "opt/given/train").stat().st_mode & 0o111
    assert not (image.root / "opt/given/renamed.txt").stat().st_mode & 0o111


def test_what_run_would_do_besides_packages_is_named(tmp_path: Path) -> None:
    """A user sees which commands the process engine leaves out."""
    said: list[str] = []
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM a\nRUN apt-get update && useradd me\n"})

    ImageStore(tmp_path / "images", tmp_path / "cache").build(BuildRequest(context), said.append)

    left_out = [line.partition("engine: ")[2] for line in said if "Not run" in line]
    assert left_out == ["RUN apt-get update", "RUN useradd me"]


def test_a_stage_takes_files_and_packages_from_an_earlier_one(tmp_path: Path) -> None:
    """What an earlier stage copied or made pip install arrives; what its other commands made is named as missing."""
    said: list[str] = []
    files = {
        "model/net.py": "n",
        "wanted.txt": "first==0\n",
        "Dockerfile": (
            "ARG BASE=a\nFROM ${BASE} AS built\nCOPY . /src\nRUN python3 -m venv /opt/packages\n"
            "RUN --mount=type=cache,target=/root/.cache pip install -r /src/wanted.txt && make /src/weights\n"
            "FROM ${BASE}\nCOPY --from=built /opt/packages /opt/packages\n"
            "COPY --from=Built /src/model /opt/program/model/\nCOPY --from=0 /src/weights /opt/program/\n"
        ),
    }
    context = write_context(tmp_path / "context", files)
    stages = read_stages((context / "Dockerfile").read_text())

    layout = carry_out(stages, context, tmp_path, {}, said.append)

    assert [path.relative_to(layout.root).as_posix() for path in layout.root.rglob("*") if path.is_file()] == [
        "opt/program/model/net.py"
    ]
    assert layout.requirement_lines == ["first==0"]
    assert [line.strip() for line in said if line.startswith(" --->")] == [
        "---> Not run by the process engine: RUN make /src/weights",
        "---> Not in the earlier stage, since its RUN is not run by the process engine: /opt/packages",
        "---> Not in the earlier stage, since its RUN is not run by the process engine: /src/weights",
    ]
    assert not list(tmp_path.glob("stage-*"))


def test_a_stage_may_begin_with_an_earlier_one(tmp_path: Path) -> None:
    """Files, variables, directory, command and packages go on; a stage that nobody names leaves nothing."""
    dockerfile = (
        'FROM a AS first\nENV A=1\nWORKDIR /opt\nCOPY train .\nCMD ["train"]\n'
        "FROM a AS tests\nCOPY . /tests\nRUN pip install no-such-package-of-ours==0\nFROM first\nENV B=${A}2\n"
    )

    image = _build(tmp_path, {"Dockerfile": dockerfile})

    assert [path.name for path in image.root.rglob("*") if path.is_file()] == ["train"]
    assert (image.config.environment["B"], image.config.working_dir, image.config.command) == ("12", "/opt", ["train"])


def test_a_copy_may_set_the_mode(tmp_path: Path) -> None:
    """BuildKit's ``--chmod`` makes a program executable, as ``RUN chmod`` does."""
    image = _build(
        tmp_path, {"Dockerfile": "FROM a\nCOPY --chmod=755 train serve /opt/\nCOPY --chmod=644 train /plain\n"}
    )

    modes = {path.name: path.stat().st_mode & 0o777 for path in image.root.rglob("*") if path.is_file()}
    assert modes == {"train": 0o755, "serve": 0o755, "plain": 0o644}


@pytest.mark.parametrize(
    "command",
    [
        "pip install --no-cache-dir -r wanted.txt extra==1",
        "python3 -m pip install --index-url http://x --requirement wanted.txt extra==1",
        "pip3 install --requirement=wanted.txt extra==1",
        "uv pip install --system -r wanted.txt extra==1",
        "/opt/packages/bin/pip wheel --wheel-dir /wheels -r wanted.txt extra==1 && pip install /wheels/*.whl",
    ],
)
def test_packages_are_those_that_pip_would_install(tmp_path: Path, command: str) -> None:
    """Requirements files and requirements on the command line are found, in order; options are not packages."""
    files = {"wanted.txt": "# ours\n-r more/nested.txt\n", "more/nested.txt": "first==0\n"}
    context = write_context(tmp_path / "context", files)
    stages = read_stages(f"FROM a\nENV PIP_NO_INDEX=1\nCOPY . .\nRUN true && {command}\n")

    layout = carry_out(stages, context, tmp_path, {}, lambda _: None)

    assert layout.requirements == Requirements(("# ours", "first==0", "extra==1"), {"PIP_NO_INDEX": "1"})


def test_a_package_that_does_not_install_fails_the_build(tmp_path: Path) -> None:
    """The error ends with pip's own words, and no image is left."""
    files = {
        "requirements.txt": "no-such-package-of-ours==0\n",
        "Dockerfile": "FROM a\nENV PIP_NO_INDEX=1\nCOPY . .\nRUN pip install -r requirements.txt",
    }

    with pytest.raises(PackageError, match="No matching distribution found for no-such-package-of-ours==0"):
        _build(tmp_path, files)

    assert not list((tmp_path / "images" / "sha256").iterdir())


@pytest.mark.parametrize(
    ("dockerfile", "reason"),
    [
        ("FROM a\nCOPY missing.txt .", "missing.txt is not in the build context"),
        ("FROM a\nCOPY ../secret .", "not in the build context"),
        ("FROM a\nCOPY --from=nginx:1.27 /x /y", "nginx:1.27 is no earlier stage.* use the Docker engine"),
        ("FROM a\nADD https://example.com/x /y", "downloads nothing .* use the Docker engine"),
        ("FROM a\nRUN pip install -r requirements.txt", "COPY it before"),
        ("FROM a\nCOPY only", "a source and a target"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(tmp_path: Path, dockerfile: str, reason: str) -> None:
    """The build fails with the reason instead of making half an image."""
    with pytest.raises(DockerfileError, match=reason):
        _build(tmp_path, {"Dockerfile": dockerfile, "requirements.txt": ""})

    assert not list((tmp_path / "images" / "sha256").iterdir())


def test_a_context_without_dockerfile_is_refused(tmp_path: Path) -> None:
    """The message names the file and the option."""
    store = ImageStore(tmp_path / "images", tmp_path / "cache")

    with pytest.raises(DockerfileError, match=r"no Dockerfile .* -f"):
        store.build(BuildRequest(tmp_path), lambda _: None)


def test_names_lead_to_images(tmp_path: Path) -> None:
    """A tag names one image at a time; unknown names and digests are not found."""
    first, second = _build(tmp_path, {"a": "1"}, "one"), _build(tmp_path, {"a": "2"}, "two")
    store = ImageStore(tmp_path / "images", tmp_path / "cache")

    store.tag("name:latest", first.digest)
    store.tag("name:latest", second.digest)

    assert store.find("name:latest") == second
    assert store.references() == [("name:latest", second.digest)]
    with pytest.raises(KeyError):
        store.find("other:latest")
    with pytest.raises(KeyError):
        store.get("sha256:" + "0" * 64)


def test_an_environment_that_broke_off_is_made_anew(tmp_path: Path) -> None:
    """Only an environment that was finished is used again."""
    image = _build(tmp_path, {}, "one")
    (image.packages / "environment.json").unlink()
    (image.packages / "half").write_text("")

    _build(tmp_path, {"a": "1"}, "two")

    assert (image.packages / "bin" / "python").exists()
    assert not (image.packages / "half").exists()
