"""The hyperparameters: names, defaults, what is allowed, and what to say when something else is given."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sagemaker_container.errors import ConfigurationError

Parser = Callable[[Any], Any]
"""Returns the value of a hyperparameter, or raises ``ValueError`` saying what is expected."""

TASKS = ("auto", "classification", "regression")


def _whole(low: int, high: int) -> Parser:
    def parse(given: Any) -> int:
        value = _number(given)
        if value is None or not low <= value <= high or value != int(value):
            message = f"a whole number from {low} to {high}"
            raise ValueError(message)
        return int(value)

    return parse


def _between(low: float, high: float, *, open_ended: bool = False) -> Parser:
    def parse(given: Any) -> float:
        value = _number(given)
        if value is None or not low <= value <= high or (open_ended and value in (low, high)):
            message = f"a number {'between' if open_ended else 'from'} {low:g} {'and' if open_ended else 'to'} {high:g}"
            raise ValueError(message + (", both excluded" if open_ended else ""))
        return value

    return parse


def _one_of(allowed: Iterable[str]) -> Parser:
    def parse(given: Any) -> str:
        if given not in allowed:
            message = f"one of {', '.join(allowed)}"
            raise ValueError(message)
        return str(given)

    return parse


def _column(given: Any) -> str:
    if isinstance(given, (str, int, float)) and str(given).strip():
        return str(given)
    message = "the name of a column"
    raise ValueError(message)


def _layers(given: Any) -> tuple[int, ...]:
    """Accept ``16,8``, ``[16, 8]`` and ``16``."""
    parts = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else [given]
    width = _whole(1, 8192)
    try:
        layers = tuple(width(part) for part in parts)
    except ValueError:
        layers = ()
    if not 1 <= len(layers) <= 16:
        message = "1 to 16 layer widths from 1 to 8192, such as 16,8"
        raise ValueError(message)
    return layers


def _number(given: Any) -> float | None:
    try:
        return None if isinstance(given, bool) else float(given)
    except (TypeError, ValueError, OverflowError):
        return None


def _setting(default: Any, parser: Parser) -> Any:
    return field(default=default, metadata={"parse": parser})


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of one job.

    :param label_column: the column to predict; every other column is a feature.
    :param task: ``auto`` means regression when every label is a number and they are not a few whole ones.
    :param epochs: at most this many passes over the data.
    :param batch_size: rows per step on each host.
    :param hidden_units: widths of the hidden layers.
    :param early_stopping_patience: epochs without a better validation loss before training ends.
    :param validation_fraction: share of the rows held back when the job has no channel ``validation``.
    """

    label_column: str = _setting("label", _column)
    task: str = _setting("auto", _one_of(TASKS))
    epochs: int = _setting(100, _whole(1, 100_000))
    learning_rate: float = _setting(0.005, _between(0, 10, open_ended=True))
    batch_size: int = _setting(16, _whole(1, 1_000_000))
    hidden_units: tuple[int, ...] = _setting((16, 8), _layers)
    dropout: float = _setting(0.1, _between(0, 0.95))
    weight_decay: float = _setting(0.01, _between(0, 10))
    early_stopping_patience: int = _setting(20, _whole(1, 100_000))
    validation_fraction: float = _setting(0.2, _between(0, 1, open_ended=True))
    seed: int = _setting(0, _whole(0, 2**31 - 1))

    @classmethod
    def parse(cls, hyperparameters: Mapping[str, Any]) -> "Settings":
        """Return the settings, or raise one ``ConfigurationError`` that names everything wrong."""
        known = {item.name: item.metadata["parse"] for item in fields(cls)}
        values: dict[str, Any] = {}
        problems = []
        for name, given in sorted(hyperparameters.items()):
            problem = _try(known[name], name, given, values) if name in known else _unknown(name, known)
            problems += [problem] if problem else []
        if problems:
            message = f"Hyperparameters refused: {'; '.join(problems)}."
            raise ConfigurationError(message)
        return cls(**values)


def _try(parser: Parser, name: str, given: Any, values: dict[str, Any]) -> str:
    """Put the parsed value among the values, or return what is wrong with it."""
    try:
        values[name] = parser(given)
    except ValueError as error:
        return f"{name} is {given!r}, expected {error}"
    return ""


def _unknown(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"{name} is unknown ({hint})"
