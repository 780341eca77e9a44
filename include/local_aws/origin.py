"""Whether a request may come from where it says it comes from.

Owns the rule that keeps web pages out: a browser on this machine runs strangers' scripts, and StartBuild runs shell
commands. Must not know services.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from local_aws.wire import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Container

    from werkzeug.wrappers import Request

__all__ = ["refuse_strangers"]

# Browsers and resolvers keep every name below .localhost on this machine (RFC 6761), so no stranger can own one.
_OUR_HOST = re.compile(r"(?:127\.0\.0\.1|\[::1\]|(?:[\w-]+\.)*localhost)(?::\d+)?", re.IGNORECASE | re.ASCII)

_SENT_BY_THE_USER = frozenset({"none", "same-origin"})
"""Values of Sec-Fetch-Site for what somebody typed into the address bar, and for what was opened from there."""


def refuse_strangers(request: Request, host_names: Container[str] = ()) -> HttpAnswer | None:
    """Return the refusal of a request that a web page of somebody else makes; None for every other request.

    SDKs and command-line programs send neither ``Origin`` nor ``Sec-Fetch-Site``, and pages cannot leave them out. The
    host is checked because a page may point its own name at 127.0.0.1 once it is loaded (DNS rebinding).

    :param host_names: names besides those of this machine that nobody else can own, in lower case
    """
    host = request.headers.get("Host", "")
    if not _OUR_HOST.fullmatch(host) and host.lower().partition(":")[0] not in host_names:
        ours = "127.0.0.1, [::1], localhost, *.localhost and the names given with --host-name"
        return _refusal(403, f"Host is {host!r}; the local AWS answers to {ours}")
    origin = request.headers.get("Origin", "")
    if origin and origin.lower() != f"http://{host}".lower():
        return _refusal(403, f"Origin is {origin!r}; the local AWS answers no web page: use an SDK or the AWS CLI")
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in _SENT_BY_THE_USER:
        return _refusal(403, f"Sec-Fetch-Site is {site!r}; the local AWS answers no web page of another site")
    if request.method == "OPTIONS":
        return _refusal(405, "OPTIONS is not answered: no web page may call the local AWS")
    return None


def _refusal(status: int, message: str) -> HttpAnswer:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": "AccessDeniedException"}
    body = {"__type": "AccessDeniedException", "message": message, "Message": message}
    return HttpAnswer(status, json.dumps(body).encode(), headers)
