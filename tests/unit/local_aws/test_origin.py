"""Requests of web pages, which must not get past the front door."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import Client

from local_aws.gateway import HEALTH_PATH, Gateway

if TYPE_CHECKING:
    from collections.abc import Iterable


def _moto(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Access-Control-Allow-Origin", "*")])
    return [b"from moto"]


def _ask(method: str = "POST", path: str = "/", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in {"Host": "127.0.0.1:4566", **headers}.items()}
    return Client(Gateway(_moto)).open(path, method=method, headers=named)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:4566",
        "127.0.0.1",
        "localhost:1",
        "LOCALHOST",
        "[::1]:4566",
        "bucket.localhost:4566",
        "my.b_1.localhost",
    ],
)
def test_every_name_of_this_machine_is_answered(host: str) -> None:
    """Buckets as host names work too."""
    assert _ask(Host=host).data == b"from moto"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:4566",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil",
        "",
        ":1",
    ],
)
@pytest.mark.parametrize("path", ["/", HEALTH_PATH])
def test_a_host_that_is_not_this_machine_is_refused(host: str, path: str) -> None:
    """A page whose name is pointed at 127.0.0.1 after it was loaded gets nothing, whatever the path."""
    answer = _ask("GET", path, Host=host)

    assert answer.status_code == 403
    assert repr(host) in json.loads(answer.data)["message"]


@pytest.mark.parametrize(("host", "status"), [("local-aws:4566", 200), ("LOCAL-AWS", 200), ("x.local-aws", 403)])
def test_a_name_of_our_own_network_is_answered(host: str, status: int) -> None:
    """Containers call the local AWS by it; nothing below it is ours."""
    named = Client(Gateway(_moto, host_names=frozenset({"local-aws"})))

    assert named.post("/", headers={"Host": host}).status_code == status
    assert _ask(Host=host).status_code == 403


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost:8080", "http://127.0.0.1", "http://127.0.0.1:4566.evil"],
)
def test_a_request_of_another_origin_is_refused(origin: str) -> None:
    """Pages of other servers on this machine are strangers as well."""
    answer = _ask(Origin=origin)

    assert answer.status_code == 403
    assert "use an SDK or the AWS CLI" in json.loads(answer.data)["message"]
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)]
)
def test_a_request_without_origin_is_told_by_where_it_was_made(site: str, status: int) -> None:
    """Images and links of other pages have no Origin; what somebody types into the address bar stays possible."""
    assert _ask("GET", Sec_Fetch_Site=site).status_code == status


def test_the_own_origin_is_no_stranger() -> None:
    """Scheme, name and port have to be those of the local AWS."""
    assert _ask(Origin="http://127.0.0.1:4566").status_code == 200


@pytest.mark.parametrize("origin", [{}, {"Origin": "https://evil.example"}, {"Origin": "http://127.0.0.1:4566"}])
def test_a_preflight_never_reaches_moto(origin: dict[str, str]) -> None:
    """moto would allow every page everything."""
    answer = _ask("OPTIONS", **origin)

    assert answer.status_code in {403, 405}
    assert "Access-Control-Allow-Origin" not in answer.headers
