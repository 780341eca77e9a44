"""Turn what a DAG's author wrote into the request that the AWS API wants, or say what is wrong with it.

Owns the walk over a request along botocore's model of the operation: conversion of templated text, and the checks
that botocore leaves out (enum, pattern, length, unknown members). The shapes come in from outside: this module
imports neither boto3 nor Airflow.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["as_flag", "as_mapping", "conform", "read_mapping", "require_text"]

FEW = 12
INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")


def conform(request: Mapping[str, Any], shape: Any, *, field: str = "config") -> dict[str, Any]:
    """Return a checked copy of the request; the request itself is left as it is.

    Text becomes a number or a truth value where the model wants one, since templates render to text; a number or a
    truth value becomes text where it stands in a map of texts (HyperParameters, Environment). Members that are None
    are left out. Patterns that only Java understands (a few, of tags and descriptions) are left to AWS.

    :param shape: botocore's input shape of the operation
    :param field: how messages name the request
    :raises RequestError: everything that is not allowed, in one error
    """
    walk = Walk()
    checked = walk.structure(request, shape, field)
    if walk.problems:
        raise combined(walk.problems)
    return dict(checked)


def as_mapping(given: Any, field: str) -> Mapping[str, Any]:
    """Return what was given, if it is an object.

    :param field: how the message names it
    :raises RequestError: it is something else, for example the text that a template renders to
    """
    if isinstance(given, dict):
        return given
    remedy = "A template renders to text unless the DAG has render_template_as_native_obj=True."
    raise RequestError(field, given, "an object (a dict)", remedy if isinstance(given, str) else "")


def read_mapping(given: Any, field_name: str) -> Mapping[str, Any] | None:
    """Return an object that was given as it is or as JSON; None, or what a template makes of it, stands for none.

    :param field_name: how the message names it
    :raises RequestError: it is neither
    """
    found = given
    if isinstance(given, str):
        text = given.strip()
        try:
            found = None if text in ("", "None") else json.loads(text)
        except ValueError as error:
            remedy = "Use the XCom itself, or the filter tojson in a template."
            raise RequestError(field_name, given, "an object, or its JSON", remedy) from error
    if found is None or isinstance(found, Mapping):
        return found
    raise RequestError(field_name, given, "an object, or its JSON")


def as_flag(given: Any, field: str, *, missing: bool = False) -> bool:
    """Read a truth value, which a template turns into text.

    :param field: how the message names it
    :param missing: what an empty text or None stands for
    :raises RequestError: it is something else
    """
    words = {"true": True, "false": False, "": missing, "none": missing}
    try:
        return words[str(given).strip().lower()]
    except KeyError as error:
        raise RequestError(field, given, "true or false") from error


def require_text(given: Any, field: str, allowed: str) -> str:
    """Return what was given, if it is text that is not empty.

    :param field: how the message names it
    :param allowed: what the text should be, for the message
    :raises RequestError: it is something else, for example None or an empty template
    """
    if isinstance(given, str) and given.strip():
        return given
    raise RequestError(field, given, allowed)


def combined(problems: Sequence[RequestError]) -> RequestError:
    """Return one error for all problems; the first one gives it its fields."""
    first, *others = problems
    if not others:
        return first
    remedy = " ".join([first.remedy, *(f"Also {problem}" for problem in others)]).strip()
    return RequestError(first.field, first.given, first.allowed, remedy)


@dataclass
class Walk:
    """One walk over one request; collects problems instead of stopping at the first."""

    problems: list[RequestError] = field(default_factory=list)

    def value(self, given: Any, shape: Any, at: str) -> Any:
        """Return the given value as the shape wants it."""
        handlers: dict[str, Callable[[Any, Any, str], Any]] = {
            "structure": self.structure,
            "list": self.list,
            "map": self.map,
            "string": self.string,
            "integer": self.integer,
            "long": self.integer,
            "float": self.number,
            "double": self.number,
            "boolean": self.boolean,
        }
        handler = handlers.get(shape.type_name)
        return handler(given, shape, at) if handler else given

    def refuse(self, at: str, given: Any, allowed: str, remedy: str = "") -> Any:
        """Note a problem and return what was given, so that the walk goes on."""
        self.problems.append(RequestError(at, given, allowed, remedy))
        return given

    def structure(self, given: Any, shape: Any, at: str) -> Any:
        """Check the members of an object."""
        if not isinstance(given, dict):
            return self.refuse(at, given, f"an object with the members {listed(shape.members)}")
        given = {name: value for name, value in given.items() if value is not None}
        for name in shape.required_members:
            if name not in given:
                self.refuse(f"{at}.{name}", None, f"a value: {shape.name} requires it")
        for name in sorted(given.keys() - shape.members.keys()):
            self.refuse(f"{at}.{name}", given[name], f"a member of {shape.name}", suggestion(name, shape.members))
        known = [name for name in given if name in shape.members]
        return {name: self.value(given[name], shape.members[name], f"{at}.{name}") for name in known}

    def list(self, given: Any, shape: Any, at: str) -> Any:
        """Check the items of a list."""
        if not isinstance(given, (list, tuple)):
            return self.refuse(at, given, "a list")
        self.size(len(given), given, shape, at, "items")
        return [self.value(item, shape.member, f"{at}[{index}]") for index, item in enumerate(given)]

    def map(self, given: Any, shape: Any, at: str) -> Any:
        """Check keys and values of a map; its values may be given as numbers where the API wants text."""
        if not isinstance(given, dict):
            return self.refuse(at, given, "an object of names and values")
        self.size(len(given), given, shape, at, "entries")
        wants_text = shape.value.type_name == "string"
        result = {}
        for name, value in given.items():
            self.string(name, shape.key, f"{at} (the name {name!r})")
            text = as_text(value) if wants_text else value
            result[name] = self.value(text, shape.value, f"{at}.{name}")
        return result

    def string(self, given: Any, shape: Any, at: str) -> Any:
        """Check a text: enum, length, pattern."""
        if not isinstance(given, str):
            return self.refuse(at, given, "text")
        if at.endswith("InstanceType") and not INSTANCE_TYPE.fullmatch(given):
            return self.refuse(at, given, "an instance type like 'ml.m5.xlarge': ml, family and size, joined by dots")
        allowed = shape.metadata.get("enum")
        if allowed and given not in allowed:
            return self.refuse(at, given, one_of(allowed), suggestion(given, allowed, newer=True))
        if self.size(len(given), given, shape, at, "characters"):
            self.pattern(given, shape, at)
        return given

    def integer(self, given: Any, shape: Any, at: str) -> Any:
        """Check an integer, given as such or as its digits."""
        number = whole(given)
        if number is None:
            return self.refuse(at, given, "a whole number")
        self.range(number, given, shape, at)
        return number

    def number(self, given: Any, shape: Any, at: str) -> Any:
        """Check a number, given as such or as text."""
        number = finite(given)
        if number is None:
            return self.refuse(at, given, "a number")
        self.range(number, given, shape, at)
        return number

    def boolean(self, given: Any, _shape: Any, at: str) -> Any:
        """Check a truth value, given as such or as text."""
        words = {"true": True, "false": False}
        value = words.get(given.strip().lower()) if isinstance(given, str) else given
        return value if isinstance(value, bool) else self.refuse(at, given, "true or false")

    def size(self, size: int, given: Any, shape: Any, at: str, unit: str) -> bool:
        """Check a length against the shape's bounds; tell whether it fits."""
        lowest, highest = shape.metadata.get("min", 0), shape.metadata.get("max", math.inf)
        fits = bool(lowest <= size <= highest)
        if not fits:
            self.refuse(at, given, f"{bounds(lowest, highest)} {unit}, here are {size}")
        return fits

    def range(self, number: float, given: Any, shape: Any, at: str) -> None:
        """Check a number against the shape's bounds."""
        lowest, highest = shape.metadata.get("min", -math.inf), shape.metadata.get("max", math.inf)
        if not lowest <= number <= highest:
            self.refuse(at, given, f"a number: {bounds(lowest, highest)}")

    def pattern(self, given: str, shape: Any, at: str) -> None:
        """Check a text against the shape's pattern, which AWS matches against the whole text."""
        pattern = shape.metadata.get("pattern")
        try:
            fits = pattern is None or re.fullmatch(pattern, given)
        except re.error:
            return
        if not fits:
            self.refuse(at, given, f"text that matches {pattern}")


def as_text(value: Any) -> Any:
    """Return a number or truth value as the text that JSON writes for it; anything else unchanged."""
    return json.dumps(value) if isinstance(value, (bool, int, float)) else value


def whole(given: Any) -> int | None:
    """Return the integer that was given as such, as its digits or as a float without fraction."""
    if isinstance(given, str) and re.fullmatch(r"\s*[+-]?\d+\s*", given):
        return int(given)
    if isinstance(given, float) and given.is_integer():
        return int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) else None


def finite(given: Any) -> float | None:
    """Return the number that was given as such or as text; None for anything else, infinity included."""
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        return None
    try:
        number = float(given)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def bounds(lowest: float, highest: float) -> str:
    """Return the bounds as words."""
    if highest == math.inf:
        return f"at least {lowest}"
    if lowest == -math.inf:
        return f"at most {highest}"
    return f"{lowest} to {highest}"


def one_of(allowed: Sequence[str]) -> str:
    """Return what an enum allows; the long ones by number."""
    return f"one of {listed(allowed)}" if len(allowed) <= FEW else f"one of the {len(allowed)} values that boto3 knows"


def listed(names: Any) -> str:
    """Return the first names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


def suggestion(given: str, known: Any, *, newer: bool = False) -> str:
    """Return the known names that the given one may have been meant to be."""
    close = difflib.get_close_matches(given, list(known), n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return "If AWS has it since lately, a newer boto3 knows it too." if newer else ""
