"""Reads single JSON values as the type that the service model wants.

Owns the type rules of AWS JSON 1.1; limits are in ``constraint``.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ScalarError", "read_scalar"]

_INT_BITS = {"integer": 31, "long": 63}


class ScalarError(ValueError):
    """The value is not of the type that the model names."""


def read_scalar(type_name: str, value: Any) -> Any:
    """Return ``value`` as the Python type of a botocore scalar type.

    :raises ScalarError: with AWS's kind of text, for example ``NUMBER_VALUE can not be converted to a String``
    """
    return _READERS[type_name](type_name, value)


def _read_string(_: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _mismatch(value, "a String")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ScalarError("The text holds half of a surrogate pair and is not Unicode") from error
    return value


def _read_boolean(_: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _mismatch(value, "a Boolean")
    return value


def _read_integer(type_name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _mismatch(value, f"an {type_name.capitalize()}")
    limit = 1 << _INT_BITS[type_name]
    if not -limit <= value < limit:
        message = f"The number {value} does not fit into {_INT_BITS[type_name] + 1} bits"
        raise ScalarError(message)
    return value


def _read_float(_: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _mismatch(value, "a Double")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    # JSON has no infinity, but a number such as 1e400 is read as one.
    if not math.isfinite(number):
        raise ScalarError("The number does not fit into a Double")
    return number


def _read_timestamp(_: str, value: Any) -> dt.datetime:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _mismatch(value, "a Timestamp")
    try:
        return dt.datetime.fromtimestamp(value, tz=dt.timezone.utc)
    except (OverflowError, ValueError, OSError) as error:
        raise ScalarError("The number of seconds is no time between the years 1 and 9999") from error


def _read_blob(_: str, value: Any) -> bytes:
    if not isinstance(value, str):
        raise _mismatch(value, "a Blob")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ScalarError("The text is not base64") from error


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "string": _read_string,
    "boolean": _read_boolean,
    "integer": _read_integer,
    "long": _read_integer,
    "float": _read_float,
    "double": _read_float,
    "timestamp": _read_timestamp,
    "blob": _read_blob,
}


def _mismatch(value: Any, wanted: str) -> ScalarError:
    return ScalarError(f"{_token(value)} can not be converted to {wanted}")


def _token(value: Any) -> str:
    if value is None:
        return "NULL_VALUE"
    if isinstance(value, bool):
        return f"{str(value).upper()}_VALUE"
    if isinstance(value, (int, float)):
        return "NUMBER_VALUE"
    if isinstance(value, str):
        return "STRING_VALUE"
    return "START_ARRAY" if isinstance(value, list) else "START_OBJECT"
