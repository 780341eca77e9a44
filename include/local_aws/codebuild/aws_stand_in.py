"""Stands for the ``aws`` command in builds: every operation of every service, without the custom commands.

Owns the reading of options into a request. ``aws ecr get-login-password`` is the one custom command that it has.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.config
import botocore.exceptions
import botocore.session
import jmespath  # type: ignore[import-untyped]
import jmespath.exceptions  # type: ignore[import-untyped]
from botocore import xform_name

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CommandError", "main"]

_NAME = "aws (stand-in of the local AWS)"
_FLAGS_WITHOUT_EFFECT = frozenset({"no-cli-pager", "no-paginate", "no-cli-auto-prompt"})


class CommandError(Exception):
    """What the command says before it ends with exit code 252, as the real one does for a wrong command line."""


def main(arguments: Sequence[str]) -> int:
    """Run one command line, without the leading ``aws``; return the exit code."""
    try:
        words, options = _split(arguments)
        _run(words, options)
    except CommandError as error:
        sys.stderr.write(f"{_NAME}: {error}\n")
        return 252
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        sys.stderr.write(f"{_NAME}: {error}\n")
        return 254
    return 0


def _split(arguments: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Separate the command's words from ``--option value …``."""
    words: list[str] = []
    options: dict[str, list[str]] = {}
    current: list[str] = words
    for argument in arguments:
        if argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            current = options.setdefault(name, [])
            if equals:
                current.append(value)
        else:
            current.append(argument)
    return words, options


def _run(words: Sequence[str], options: dict[str, list[str]]) -> None:
    if len(words) != 2:
        message = f"expected `aws <service> <operation> [--option value …]`, got `aws {' '.join(words)}`"
        raise CommandError(message)
    service, operation = words
    settings = {name: "".join(options.pop(name, [])) for name in ("region", "query", "output", "profile")}
    for flag in _FLAGS_WITHOUT_EFFECT:
        options.pop(flag, None)
    if service not in boto3.Session().get_available_services():
        message = f"there is no service {service!r}"
        raise CommandError(message)
    client = boto3.client(service, region_name=settings["region"] or None, config=botocore.config.Config(proxies={}))
    if (service, operation) == ("ecr", "get-login-password"):
        token = client.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        _say(base64.b64decode(token).decode().partition(":")[2])
        return
    answer = _call(client, operation, options)
    answer.pop("ResponseMetadata", None)
    _print(_queried(answer, settings["query"]), settings["output"])


def _call(client: Any, operation: str, options: dict[str, list[str]]) -> dict[str, Any]:
    names = {xform_name(name, "-"): name for name in client.meta.service_model.operation_names}
    if operation not in names:
        service = client.meta.service_model.service_name
        message = f"`aws {service} {operation}` is not here: only API operations are, no custom commands like `s3 cp`"
        raise CommandError(message)
    shape = client.meta.service_model.operation_model(names[operation]).input_shape
    members = {xform_name(name, "-"): name for name in shape.members} if shape else {}
    request = {}
    for option, values in options.items():
        if option not in members:
            message = f"`aws {operation}` has no option --{option}; it has {', '.join(sorted(members))}"
            raise CommandError(message)
        name = members[option]
        request[name] = _value(shape.members[name], option, values)
    answer: dict[str, Any] = getattr(client, xform_name(names[operation]))(**request)
    return answer


def _value(shape: Any, option: str, values: list[str]) -> Any:
    """Read an option: plain text, JSON, ``file://…`` or the short form ``name=value,name=value``."""
    if shape.type_name == "boolean":
        return values != ["false"]
    text = " ".join(values)
    if text.startswith("file://"):
        text = Path(text.removeprefix("file://")).read_text(encoding="utf-8")
    if shape.type_name == "string":
        return text
    if text.lstrip()[:1] in {"{", "["} or shape.type_name in {"integer", "long", "float", "double"}:
        return _json(option, text)
    if shape.type_name == "list":
        return [_short_form(option, value) if shape.member.type_name == "structure" else value for value in values]
    return _short_form(option, text)


def _short_form(option: str, text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(equals for _, equals, _ in pairs):
        message = f"--{option} is {text!r}; expected JSON or name=value,name=value"
        raise CommandError(message)
    return {name: value for name, _, value in pairs}


def _json(option: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        message = f"--{option} is {text!r}, which is not JSON: {error}"
        raise CommandError(message) from error


def _queried(answer: dict[str, Any], query: str) -> Any:
    try:
        return jmespath.search(query, answer) if query else answer
    except jmespath.exceptions.JMESPathError as error:
        message = f"--query is {query!r}: {error}"
        raise CommandError(message) from error


def _print(value: Any, output: str) -> None:
    if output == "text":
        items = value if isinstance(value, list) else [value]
        _say("\t".join("None" if item is None else str(item) for item in items))
    elif output in {"", "json"}:
        _say(json.dumps(value, indent=4, default=str))
    else:
        message = f"--output is {output!r}; this stand-in has json and text"
        raise CommandError(message)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
