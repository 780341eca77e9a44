"""A user's own function that says whether a prediction is right.

Owns how it is found, called and understood. Knows neither Airflow nor AWS.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeAlias

from sagemaker_byoc.errors import CheckerError, RequestError

if TYPE_CHECKING:
    from sagemaker_byoc.known_record import KnownRecord
    from sagemaker_byoc.prediction import Prediction

__all__ = ["Checker", "check", "load_checker"]

Checker: TypeAlias = Callable[[dict[str, Any], str, Any], Any]
"""Takes features, label and prediction; returns whether the prediction is right, or why it is not."""

_FIELD = "checker"
_ALLOWED = "the import path of a function, 'package.module.function' or 'package.module:function'"


def load_checker(path: Any) -> Checker:
    """Import the function.

    :param path: ``package.module.function``, or with a colon before what is looked up in the module
    :raises RequestError: there is no such function, or it does not take three arguments
    """
    module, function = _parts(path)
    try:
        found = reduce(getattr, function.split("."), importlib.import_module(module))
    except Exception as error:
        raise RequestError(_FIELD, path, _ALLOWED, f"It cannot be imported: {_told(error)}.") from error
    if not callable(found):
        raise RequestError(_FIELD, path, _ALLOWED, f"It is no function but {type(found).__name__}.")
    _require_three_arguments(found, path)
    checker: Checker = found
    return checker


def check(checker: Checker, record: int, known: KnownRecord, prediction: Prediction) -> str | None:
    """Ask the function about one answer.

    :param record: position in the input, from 1
    :return: why the prediction is wrong, empty if the function gives no reason; None if it is right
    :raises CheckerError: the function failed, or returned something else than a truth value or a reason
    """
    try:
        said = checker(dict(known.features), known.label, prediction)
    except Exception as error:
        raise CheckerError(f"The checker failed at {_case(record, known, prediction)}: {_told(error)}.") from error
    if isinstance(said, str) and said.strip():
        return said.strip()
    # NumPy has truth values of its own.
    if type(said).__name__ in ("bool", "bool_"):
        return None if said else ""
    wanted = "True, False or the reason why the prediction is wrong"
    raise CheckerError(f"The checker returned {said!r} at {_case(record, known, prediction)}, not {wanted}.")


def _parts(path: Any) -> tuple[str, str]:
    """Return the names of module and function."""
    text = path.strip() if isinstance(path, str) else ""
    module, _, function = text.partition(":") if ":" in text else text.rpartition(".")
    if not all(name.isidentifier() for name in [*module.split("."), *function.split(".")]):
        raise RequestError(_FIELD, path, _ALLOWED)
    return module, function


def _require_three_arguments(function: Callable[..., Any], path: str) -> None:
    try:
        inspect.signature(function).bind({}, "", "")
    except TypeError as error:
        allowed = "a function that takes features, label and prediction"
        raise RequestError(_FIELD, path, allowed, f"Called with three arguments: {error}.") from error
    except ValueError:
        # Some functions written in C do not say what they take.
        return


def _case(record: int, known: KnownRecord, prediction: Prediction) -> str:
    return f"record {record} (label {known.label!r}, prediction {prediction!r})"


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
