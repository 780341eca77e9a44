"""Checks requests against botocore's service model, as AWS's front end does before any service code runs.

Owns types, required members, enum, pattern and limits, and the wording of AWS's refusals. Must not know
HTTP nor any single operation. botocore itself checks neither enum nor pattern nor upper limits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local_aws.constraint import scalar_faults, size_faults
from local_aws.errors import AwsError, validation
from local_aws.scalar import ScalarError, read_scalar

if TYPE_CHECKING:
    from botocore.model import Shape, StructureShape

__all__ = ["read_document"]


_MOST_SHOWN_CHARACTERS = 200
_MOST_SHOWN_FAULTS = 100
"""Both keep a refusal short however large the request is; AWS's own limits are not public."""


@dataclass
class _Reading:
    """One pass over a request: what was found wrong so far."""

    faults: list[str] = field(default_factory=list)

    def add(self, shown: str, path: str, constraint: str) -> None:
        self.faults.append(f"Value {shown} at '{_cut(path)}' failed to satisfy constraint: {constraint}")


def read_document(shape: StructureShape | None, document: Any, *, error_code: str = "ValidationException") -> Any:
    """Return the request with its values in Python types (timestamps as aware datetimes, blobs as bytes).

    Members that the model does not know are left out, as AWS JSON services ignore them.

    :param shape: input shape of the operation; None when it takes nothing
    :param document: what the JSON text held
    :param error_code: code with which the service refuses; ``sagemaker-runtime`` has one of its own
    :raises AwsError: ``SerializationException`` for a value of the wrong type, else ``error_code``, naming every
        constraint that is not met in AWS's words
    """
    if shape is None:
        return {}
    reading = _Reading()
    request = _read(reading, shape, document, "")
    if reading.faults:
        count = len(reading.faults)
        heading = f"{count} validation error{'s' if count > 1 else ''} detected: "
        error = validation(heading + "; ".join(reading.faults[:_MOST_SHOWN_FAULTS]))
        error.code = error_code
        raise error
    return request


def _read(reading: _Reading, shape: Any, value: Any, path: str) -> Any:
    if shape.type_name == "structure":
        return _read_structure(reading, shape, value, path)
    if shape.type_name == "list":
        return _read_list(reading, shape, value, path)
    if shape.type_name == "map":
        return _read_map(reading, shape, value, path)
    read = _scalar(shape, value)
    for constraint in scalar_faults(shape, read):
        reading.add(_shown(f"<{len(read)} bytes>" if isinstance(read, bytes) else value), path, constraint)
    return read


def _read_structure(reading: _Reading, shape: Any, value: Any, path: str) -> dict[str, Any]:
    _expect(value, dict, "Unexpected value where a structure was expected")
    request = {}
    for name, member in shape.members.items():
        given = value.get(name)
        member_path = f"{path}.{_lower_first(name)}" if path else _lower_first(name)
        if given is not None:
            request[name] = _read(reading, member, given, member_path)
        elif name in shape.required_members:
            reading.add("null", member_path, "Member must not be null")
    if getattr(shape, "is_tagged_union", False) and len(request) != 1:
        # The wording of AWS for a union with several members is not known; this is ours.
        reading.add(_shown(value), path, f"Member must set exactly one of: [{', '.join(shape.members)}]")
    return request


def _read_list(reading: _Reading, shape: Any, value: Any, path: str) -> list[Any]:
    _expect(value, list, "Unexpected value where a list was expected")
    for constraint in size_faults(shape, len(value)):
        reading.add(_shown(value), path, constraint)
    if _is_nested(shape.member):
        return [_read_item(reading, shape, item, f"{path}.{i}.member") for i, item in enumerate(value, start=1)]
    items = [_scalar(shape.member, item) for item in value]
    _add_joined(reading, path, value, "Member", shape.member, items)
    return items


def _read_item(reading: _Reading, shape: Any, item: Any, path: str) -> Any:
    if item is None:
        reading.add("null", path, "Member must not be null")
        return None
    return _read(reading, shape.member, item, path)


def _read_map(reading: _Reading, shape: Any, value: Any, path: str) -> dict[str, Any]:
    _expect(value, dict, "Unexpected value where a map was expected")
    for constraint in size_faults(shape, len(value)):
        reading.add(_shown(value), path, constraint)
    keys = [_scalar(shape.key, key) for key in value]
    _add_joined(reading, path, value, "Map keys", shape.key, keys)
    if _is_nested(shape.value):
        return {key: _read(reading, shape.value, item, f"{path}.{key}.member") for key, item in value.items()}
    read = {key: _scalar(shape.value, item) for key, item in value.items()}
    _add_joined(reading, path, value, "Map value", shape.value, list(read.values()))
    return read


def _add_joined(reading: _Reading, path: str, whole: Any, what: str, shape: Shape, items: list[Any]) -> None:
    """Report scalars inside a list or map the way AWS does: once, with all of their constraints."""
    broken = [constraint for item in items for constraint in scalar_faults(shape, item)]
    if broken:
        reading.add(_shown(whole), path, f"{what} must satisfy constraint: [{', '.join(dict.fromkeys(broken))}]")


def _scalar(shape: Any, value: Any) -> Any:
    try:
        return read_scalar(shape.type_name, value)
    except ScalarError as error:
        raise AwsError("SerializationException", str(error)) from error


def _expect(value: Any, kind: type, message: str) -> None:
    if not isinstance(value, kind):
        raise AwsError("SerializationException", message)


def _is_nested(shape: Any) -> bool:
    return shape.type_name in {"structure", "list", "map"}


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


def _shown(value: Any) -> str:
    """Show a value as the Java front end prints it: ``'[a, b]'``, ``'{k=v}'``."""
    return f"'{_cut(_plain(value))}'"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN_CHARACTERS else f"{text[:_MOST_SHOWN_CHARACTERS]}…"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_plain(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_plain(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
