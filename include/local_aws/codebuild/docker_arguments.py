"""Reads command lines of ``docker`` as far as one has to know before they are run.

Owns which options take a value. Must not know registries or run anything. Source: ``docker --help`` and
``docker build --help`` of Docker 28, and the reference of ``docker buildx build``, which takes the classic options too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["CommandLine", "Options", "read_command_line", "read_options"]

_GROUPS = frozenset({"builder", "buildx", "image"})
_GLOBAL_FLAGS = frozenset({"-D", "--debug", "-h", "--help", "--tls", "--tlsverify", "-v", "--version"})
_FLAGS = frozenset(
    {
        *("-a", "--all-tags", "--check", "--compress", "-D", "--debug", "--disable-content-trust", "--force-rm"),
        *("-h", "--help", "--load", "--no-cache", "--pull", "--push", "-q", "--quiet", "--rm", "--squash"),
    }
)
"""Options of ``build`` and ``push`` without a value; the value of one that is given needs an equals sign."""


@dataclass(frozen=True)
class CommandLine:
    """A command line without the leading ``docker``.

    :param before: options of ``docker`` itself and a group such as ``image``
    :param verb: such as ``build``; empty when there is none
    :param rest: what comes after it
    """

    before: tuple[str, ...]
    verb: str
    rest: tuple[str, ...]


@dataclass(frozen=True)
class Options:
    """Options and words of ``docker build`` or ``docker push``.

    :param values: name of each option → its values, in their order; ``true`` for one that has none
    :param words: what is no option: the context of a build, the image to push
    """

    values: dict[str, list[str]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)

    def of(self, *names: str) -> list[str]:
        """Return the values of an option that has several names."""
        return [value for name in names for value in self.values.get(name, ())]

    @property
    def dockerfile(self) -> Path | None:
        """The Dockerfile that ``docker build`` reads; None when it is no file, but standard input or a URL."""
        named = self.of("-f", "--file")
        if not named and not self.words:
            return None
        file = Path(named[-1]) if named else Path(self.words[-1]) / "Dockerfile"
        return file if file.is_file() else None

    @property
    def pushes(self) -> bool:
        """Whether a build pushes what it has built, as buildx can."""
        outputs = [part for output in self.of("-o", "--output") for part in output.split(",")]
        return self.of("--push")[-1:] not in ([], ["false"]) or not {"push=true", "type=registry"}.isdisjoint(outputs)


def read_command_line(arguments: Sequence[str]) -> CommandLine:
    """Find the verb behind options of ``docker`` itself, with or without a value, and behind a group."""
    position = 0
    while position < len(arguments) and arguments[position].startswith("-"):
        has_value = arguments[position] not in _GLOBAL_FLAGS and "=" not in arguments[position]
        # A short option may have its value in the same word: -lerror.
        is_joined = not arguments[position].startswith("--") and len(arguments[position]) > 2
        position += 2 if has_value and not is_joined else 1
    if arguments[position : position + 1] and arguments[position] in _GROUPS:
        position += 1
    verb = "".join(arguments[position : position + 1])
    return CommandLine(tuple(arguments[:position]), verb, tuple(arguments[position + 1 :]))


def read_options(rest: Sequence[str]) -> Options:
    """Tell options, their values and other words apart."""
    options = Options()
    words = iter(rest)
    for word in words:
        if word == "--":
            options.words.extend(words)
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            _note(options, name, value if equals else None, words)
        elif word.startswith("-") and word != "-":
            _read_short(options, word, words)
        else:
            options.words.append(word)
    return options


def _read_short(options: Options, word: str, words: Iterator[str]) -> None:
    """Read ``-t name``, ``-tname``, ``-t=name`` and several at once: ``-qt name``."""
    for position, letter in enumerate(word[1:], start=2):
        name = f"-{letter}"
        if name not in _FLAGS:
            _note(options, name, word[position:].removeprefix("=") or None, words)
            return
        _note(options, name, None, words)


def _note(options: Options, name: str, value: str | None, words: Iterator[str]) -> None:
    if value is None:
        value = "true" if name in _FLAGS else next(words, "")
    options.values.setdefault(name, []).append(value)
