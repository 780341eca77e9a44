"""What is made of a Docker engine's events."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_byoc.engine_output import (
    TAIL_LINES,
    BuildOutput,
    TransferOutput,
    is_passing,
    push_fault,
    remedy,
    same_platform,
)
from sagemaker_byoc.mask import Mask


def build_lines(*events: dict[str, Any], secrets: tuple[str, ...] = ()) -> tuple[list[str], BuildOutput]:
    """Read the events; return the lines and the reader."""
    output = BuildOutput(Mask(secrets), lambda: 0.0)
    lines = [line for event in events for line in output.read(event)]
    return [*lines, *output.rest()], output


def test_lines_are_put_together_across_events() -> None:
    """The engine cuts where it likes, and draws progress bars with carriage returns."""
    lines, _ = build_lines({"stream": "one\ntw"}, {"stream": "o\n"}, {"stream": "10%\r20%\r\nrest"})
    assert lines == ["one", "two", "10%", "20%", "rest"]


def test_colours_and_empty_lines_are_left_out() -> None:
    """The engine paints standard error red, which a log shows as noise."""
    lines, _ = build_lines({"stream": "\x1b[91mwarning\n\x1b[0m"}, {"stream": "\n"})
    assert lines == ["warning"]


def test_the_step_and_the_last_lines_are_remembered() -> None:
    """They are what an error tells."""
    printed = [{"stream": f"line {number}\n"} for number in range(TAIL_LINES + 5)]
    _, output = build_lines({"stream": "Step 2/3 : RUN make"}, {"stream": "\n"}, *printed)
    assert output.where() == "step 2/3, RUN make"
    assert list(output.tail)[-1] == f"line {TAIL_LINES + 4}"
    assert len(output.tail) == TAIL_LINES


def test_a_secret_is_hidden_even_when_it_comes_in_pieces() -> None:
    """Masking looks at whole lines, and at the longer of two secrets first."""
    lines, output = build_lines({"stream": "got hun"}, {"stream": "ter2000\n"}, secrets=("hunter2", "hunter2000", ""))
    assert lines == list(output.tail) == ["got ***"]


def test_a_layer_is_told_when_it_is_there_and_now_and_then_before() -> None:
    """A thousand events of a layer become a handful of lines."""
    now = [0.0]
    output = TransferOutput(lambda: now[0])
    lines = []
    for second in range(1000):
        now[0] = second / 40
        event = {"status": "Pushing", "id": "abc", "progressDetail": {"current": second * 1e6, "total": 1e9}}
        lines.append(output.read(event))
    lines.append(output.read({"status": "Pushed", "id": "abc", "progressDetail": {}}))
    assert [line for line in lines if line] == [
        "abc: Pushing 400.0 of 1,000.0 MB (40%)",
        "abc: Pushing 800.0 of 1,000.0 MB (80%)",
        "abc: Pushed",
    ]


def test_an_upload_of_unknown_size_is_told_too() -> None:
    """The engine leaves the total out for compressed layers."""
    now = [0.0]
    output = TransferOutput(lambda: now[0])
    event = {"status": "Pushing", "id": "abc", "progressDetail": {"current": 2e6}}
    assert output.read(event) is None
    now[0] = 60.0
    assert output.read(event) == "abc: Pushing 2.0 MB"


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ("write /var/lib/docker/tmp: no space left on device", "disk of the Docker engine is full"),
        ("standard_init_linux.go: exec format error", "cannot build for linux/arm64, its own is linux/amd64"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", "cannot build for linux/arm64"),
        ("pull access denied for private/base, repository does not exist", "docker login"),
        ("The command '/bin/sh -c false' returned a non-zero code: 1", ""),
    ],
)
def test_a_failed_build_gets_advice_where_there_is_some(message: str, part: str) -> None:
    """Texts are those of moby 20.10."""
    advice = remedy(message, [], platform="linux/arm64", engine_platform="linux/amd64")
    assert part in advice
    assert bool(part) == bool(advice)


FAILED_COMMAND = "The command '/bin/sh -c fetch' returned a non-zero code: 1"


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("ERROR: HTTP error 401 Unauthorized: token for index pypi.example", ""),
        ("mkdir: cannot create directory: Permission denied", ""),
        ("no matching manifest", ""),
        ("OSError: [Errno 28] No space left on device", "disk of the Docker engine is full"),
        ("standard_init_linux.go:228: exec user process caused: exec format error", "cannot build for linux/arm64"),
    ],
)
def test_what_a_program_printed_is_advised_on_only_in_the_kernels_words(line: str, part: str) -> None:
    """A package index that refuses a token is no registry, and ``docker login`` would not help."""
    advice = remedy(FAILED_COMMAND, ["before", line], platform="linux/arm64", engine_platform="linux/amd64")
    assert part in advice
    assert bool(part) == bool(advice)


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ("denied: Your authorization token has expired. Reauthenticate and try again.", "login"),
        ("no basic auth credentials", "login"),
        ("denied: User: arn:aws:iam::1:user/a is not authorized to perform: ecr:InitiateLayerUpload", "rights"),
        ("mkdir /var/lib/registry: no space left on device", "disk"),
        ("received unexpected HTTP status: 503 Service Unavailable", "passing"),
    ],
)
def test_a_refused_push_is_classified(message: str, fault: str) -> None:
    """An expired token also says "denied", and is worth another token."""
    assert push_fault(message) == fault


@pytest.mark.parametrize(
    ("wanted", "same"),
    [
        ("linux/amd64", True),
        ("amd64", True),
        ("linux/x86_64", True),
        ("linux/amd64/v2", True),
        ("linux/arm64", False),
        ("windows/amd64", False),
    ],
)
def test_platforms_are_compared_by_system_and_architecture(wanted: str, same: bool) -> None:
    """Two names of one architecture are the same."""
    assert same_platform(wanted, "linux/amd64") is same


@pytest.mark.parametrize(
    ("message", "passing"),
    [
        ('Get "https://registry.example/v2/": dial tcp: lookup registry.example: no such host', True),
        ("toomanyrequests: You have reached your pull rate limit.", True),
        ("The command '/bin/sh -c echo no such host' returned a non-zero code: 1", False),
        ("manifest for python:nope not found: manifest unknown", False),
    ],
)
def test_only_an_unreachable_registry_makes_a_failed_build_worth_a_retry(message: str, passing: bool) -> None:
    """A failed step fails again, whatever it printed."""
    assert is_passing(message) is passing
