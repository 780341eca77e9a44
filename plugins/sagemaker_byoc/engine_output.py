"""What a Docker engine says while it builds, pulls and pushes, made readable.

Owns the reading of the engine's events and what a failure means. Makes no call.
Source of the events: https://docs.docker.com/reference/api/engine/ (ImageBuild, ImagePush), API 1.41.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sagemaker_byoc.mask import Mask

__all__ = [
    "BuildOutput",
    "PushFault",
    "TransferOutput",
    "is_passing",
    "known_digests",
    "platform_advice",
    "push_fault",
    "remedy",
    "same_platform",
]

TAIL_LINES = 20
"""How many of a build's last lines an error carries."""

PROGRESS_SECONDS = 10.0
"""How often at most the log tells how far one layer is."""

_STEP = re.compile(r"^Step (\d+/\d+) : (.*)$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # the engine paints what a program writes to its standard error
_MOVING = ("Pushing", "Downloading", "Retrying")
_DONE = ("Pushed", "Layer already exists", "Mounted from", "Pull complete", "Already exists")

_DISK_FULL = ("no space left on device",)
_OTHER_MACHINE = ("exec format error",)
_PLATFORM = (
    "no matching manifest",
    "does not match the specified platform",
    "does not match the detected host platform",
    "unknown operating system or architecture",
    "invalid platform",
)
_NETWORK = (
    "connection refused",
    "connection reset",
    "i/o timeout",
    "no such host",
    "received unexpected http status: 5",
    "temporary failure",
    "tls handshake timeout",
    "toomanyrequests",
    "unexpected eof",
)
_LOGIN = ("token has expired", "no basic auth credentials", "unauthorized", "authentication required")
_RIGHTS = ("not authorized to perform", "denied", "403 forbidden")


class TransferOutput:
    """The layers of a push or pull: a line when one is there, and now and then how far the others are.

    :param clock: monotonic seconds
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}

    def read(self, event: Mapping[str, Any]) -> str | None:
        """Return the line that the event is worth, None when it is worth none."""
        status, layer = str(event.get("status", "")), str(event.get("id", ""))
        if not layer:
            return status.strip() or None
        if status.startswith(_DONE):
            return f"{layer}: {status}"
        if not status.startswith(_MOVING):
            return None
        now = self._clock()
        last = self._told.setdefault(layer, now)
        if now - last < PROGRESS_SECONDS:
            return None
        self._told[layer] = now
        return f"{layer}: {status}{_amount(event.get('progressDetail') or {})}"


def _amount(detail: Mapping[str, Any]) -> str:
    current, total = detail.get("current"), detail.get("total")
    if current is None:
        return ""
    known = f" of {total / 1e6:,.1f} MB ({current / total:.0%})" if total else " MB"
    return f" {current / 1e6:,.1f}{known}"


class BuildOutput:
    """The log of one build, line by line, and where it has come to.

    :param mask: hides secrets in every line
    :param clock: monotonic seconds
    """

    def __init__(self, mask: Mask, clock: Callable[[], float]) -> None:
        self.mask = mask
        self._transfer = TransferOutput(clock)
        self._begun = ""
        self.step = ""
        self.command = ""
        self.image_id = ""
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)

    def read(self, event: Mapping[str, Any]) -> Iterator[str]:
        """Yield the lines that the event completes, without secrets."""
        self.image_id = (event.get("aux") or {}).get("ID", self.image_id)
        if "status" in event:
            line = self._transfer.read(event)
            yield from [line] if line else []
        # A program that draws a progress bar ends its lines with a carriage return.
        *lines, self._begun = re.split(r"\r\n|\n|\r", self._begun + event.get("stream", ""))
        yield from self._take(lines)

    def rest(self) -> Iterator[str]:
        """Yield the last line when it was not ended."""
        begun, self._begun = self._begun, ""
        yield from self._take([begun])

    def where(self) -> str:
        """Name the step, for an error."""
        return f"step {self.step}, {self.command}" if self.step else "before the first step"

    def _take(self, lines: Iterable[str]) -> Iterator[str]:
        for each in lines:
            line = self.mask(_COLOUR.sub("", each)).rstrip()
            if not line:
                continue
            if found := _STEP.match(line):
                self.step, self.command = found.groups()
            self.tail.append(line)
            yield line


class PushFault:
    """What the refusal of a push speaks of."""

    LOGIN = "login"
    RIGHTS = "rights"
    DISK = "disk"
    PASSING = "passing"


def same_platform(wanted: str, made: str) -> bool:
    """Tell whether an image is for the platform asked for; variants such as ``v8`` do not count.

    :param wanted: as ``docker build --platform`` takes it, ``linux/arm64`` or only ``arm64``
    :param made: ``<os>/<architecture>`` as the engine reports it
    """
    system, slash, rest = wanted.lower().partition("/")
    architecture = rest.partition("/")[0] if slash else system
    return (not slash or system == made.partition("/")[0]) and _plain(architecture) == _plain(made.partition("/")[2])


def _plain(architecture: str) -> str:
    return {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}.get(architecture, architecture)


def known_digests(name: str, repository_digests: Iterable[str]) -> list[str]:
    """Find the digests under which the registry of an image's name has it.

    :param name: of the image, with or without a tag
    :param repository_digests: ``<repository>@sha256:…`` as the engine lists them
    """
    wanted = _repository(name)
    return sorted(digest for each in repository_digests for of, _, digest in [each.partition("@")] if of == wanted)


def _repository(name: str) -> str:
    """Return a name without its tag, in the short form that the engine uses for Docker Hub."""
    path = name.removeprefix("docker.io/").removeprefix("index.docker.io/").removeprefix("library/")
    head, colon, tag = path.rpartition(":")
    return head if colon and "/" not in tag else path


def is_passing(message: str) -> bool:
    """Tell whether a build failed because the registry of its base image could not be reached just now.

    A RUN step that fails says nothing of that kind, only its exit code, and what it printed is not looked at: whether
    a program's trouble passes is not ours to guess.

    :param message: the error itself
    """
    return _speaks_of(message, _NETWORK) and "returned a non-zero code" not in message


def push_fault(message: str) -> str:
    """Classify the refusal of a push; what is not known counts as passing."""
    for fault, marks in ((PushFault.LOGIN, _LOGIN), (PushFault.DISK, _DISK_FULL), (PushFault.RIGHTS, _RIGHTS)):
        if _speaks_of(message, marks):
            return fault
    return PushFault.PASSING


def remedy(message: str, tail: Iterable[str], *, platform: str, engine_platform: str) -> str:
    """Return what to do about a failed build, empty when its own message must do.

    :param message: the error itself; a program that speaks of a login or of a platform means one of its own
    :param tail: the last lines of the log, where the kernel's words are found: on a full disk, on a foreign program
    :param platform: the one asked for
    :param engine_platform: the engine's own, for example ``linux/amd64``
    """
    everything = "\n".join((message, *tail))
    if _speaks_of(everything, _DISK_FULL):
        return (
            "The disk of the Docker engine is full: make room on it (`docker system df` tells what takes it, "
            "`docker system prune` frees it)."
        )
    if _speaks_of(message, _PLATFORM) or _speaks_of(everything, _OTHER_MACHINE):
        return platform_advice(platform, engine_platform)
    if _speaks_of(message, (*_LOGIN, "pull access denied")):
        return "Is the base image's name right, and is the worker's Docker logged in to its registry (`docker login`)?"
    return ""


def platform_advice(platform: str, engine_platform: str) -> str:
    """Say what to do when the engine cannot build for a platform."""
    return (
        f"The engine cannot build for {platform}, its own is {engine_platform}: "
        "choose another 'platform', give it a base image and an emulator (binfmt_misc) for this one, or build where "
        "it is native."
    )


def _speaks_of(message: str, marks: Iterable[str]) -> bool:
    return any(mark in message.lower() for mark in marks)
