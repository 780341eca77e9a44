"""Which program of an image runs, with which words after it: ``docker run`` as SageMaker calls it.

Source of the table: developer guide, "How Amazon SageMaker Runs Your Training Image".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.image_cloud import DOCKERFILE

if TYPE_CHECKING:
    from tests.support.training import BuiltTrainingAccount

_SHOW = """\
#!/usr/bin/env python3
import json, os, sys
print(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]))
"""
_PLAIN = {"train": _SHOW, "start": _SHOW}
_ENTERED = {**_PLAIN, "Dockerfile": DOCKERFILE + 'ENTRYPOINT ["start", "first"]\nCMD ["own"]\n'}


def _run(account: BuiltTrainingAccount, files: dict[str, str], **algorithm: Any) -> list[str]:
    job = account.run(algorithm={"TrainingImage": account.image_of(files), **algorithm})
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    (line,) = account.log(job["TrainingJobName"])
    words: list[str] = json.loads(line)
    return words


@pytest.mark.parametrize(
    ("algorithm", "words"),
    [
        ({}, ["train"]),
        ({"ContainerArguments": ["start", "--fast"]}, ["start", "--fast"]),
        ({"ContainerEntrypoint": ["start"]}, ["start"]),
        ({"ContainerEntrypoint": ["start", "-v"], "ContainerArguments": ["--fast"]}, ["start", "-v", "--fast"]),
    ],
)
def test_an_image_without_entrypoint(
    account: BuiltTrainingAccount, algorithm: dict[str, Any], words: list[str]
) -> None:
    """``train`` is passed only when the request names neither an entry point nor arguments."""
    assert _run(account, _PLAIN, **algorithm) == words


@pytest.mark.parametrize(
    ("algorithm", "words"),
    [
        ({}, ["start", "first", "train"]),
        ({"ContainerArguments": ["--fast"]}, ["start", "first", "--fast"]),
        ({"ContainerEntrypoint": ["train"]}, ["train"]),
    ],
)
def test_an_image_with_an_entrypoint(
    account: BuiltTrainingAccount, algorithm: dict[str, Any], words: list[str]
) -> None:
    """The image's entry point gets the arguments; one of the request replaces it together with the image's CMD."""
    assert _run(account, _ENTERED, **algorithm) == words
