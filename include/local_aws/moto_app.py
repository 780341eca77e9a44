"""Everything that is not ours: moto as one WSGI application.

Owns the few corrections that moto needs to serve many clients at once. Must not know our services.
Uses nothing of moto beyond its WSGI application and the two look-ups it caches.
"""

from __future__ import annotations

import functools
import json
import re
import threading
from typing import TYPE_CHECKING, Any

import moto.core.responses
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import Client

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local_aws.gateway import WsgiApp

__all__ = ["make_moto_app"]

_SCOPE = re.compile(r"Credential=[^/]*/[^/]*/[^/]*/(?P<service>[^/]*)/aws4_request")

_ONE_AT_A_TIME = frozenset({"logs", "monitoring", "events", "iam", "ecr"})
"""moto has no lock of its own and its dictionaries can change under an iteration. S3 stays parallel, and SQS
must, because a receiver waits inside its call."""

_NOT_FOR_CLIENTS = "/moto-api"
"""moto's own control route lists secret keys and can reset everything."""


def make_moto_app() -> WsgiApp:
    """Return moto, empty, as a WSGI application that is safe to serve from several threads.

    moto keeps its state in its modules: a process can have one local AWS after another, not two at once.
    """
    _cache_lookups()
    application = DomainDispatcherApplication(create_backend_app)
    Client(application).post(f"{_NOT_FOR_CLIENTS}/reset")
    locks = {service: threading.Lock() for service in _ONE_AT_A_TIME}

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith(_NOT_FOR_CLIENTS):
            return _forbidden(start_response)
        match = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        lock = locks.get(match["service"]) if match else None
        if lock is None:
            return _run(application, environ, start_response)
        with lock:
            return _run(application, environ, start_response)

    return answer


def _run(application: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    answer: Iterable[bytes] = application(environ, start_response)
    return answer


def _forbidden(start_response: Any) -> Iterable[bytes]:
    body = json.dumps({"message": "This route is closed: it would show and reset the state of every service"}).encode()
    start_response("403 Forbidden", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _cache_lookups() -> None:
    """Remember two pure look-ups that moto otherwise repeats on every call: half of its time (measured)."""
    _cache(moto.core.responses, "method_names_from_class")
    _cache(DomainDispatcherApplication, "get_backend_for_host")


def _cache(owner: Any, name: str) -> None:
    function = getattr(owner, name)
    if not hasattr(function, "cache_info"):
        setattr(owner, name, functools.lru_cache(maxsize=None)(function))
