"""Who may reach the local AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_aws import reach
from local_aws.__main__ import main
from local_aws.reach import check_host_name, check_listen_address

if TYPE_CHECKING:
    from pathlib import Path


def _run_in(monkeypatch: pytest.MonkeyPatch, directory: Path, *, container: bool) -> None:
    """Make this process look as if it ran in a container, or in none."""
    mark = directory / ".dockerenv"
    if container:
        mark.touch()
    monkeypatch.setattr(reach, "_CONTAINER_MARKS", (mark,))


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.7", "::"])  # noqa: S104 - that it is refused is the point
def test_outside_of_a_container_other_machines_are_kept_out(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says why, and what to give."""
    _run_in(monkeypatch, tmp_path, container=False)

    with pytest.raises(SystemExit) as ended:
        main(["--listen", address])

    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert f"{address} may be reached from other machines" in told
    assert "use 127.0.0.1" in told


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])  # noqa: S104 - nothing is bound
def test_inside_a_container_every_address_will_do(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs the container says which of its ports are published."""
    _run_in(monkeypatch, tmp_path, container=True)

    assert check_listen_address(address) == address


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", "::1"])
def test_loopback_will_always_do(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is this machine's own."""
    _run_in(monkeypatch, tmp_path, container=False)

    assert check_listen_address(address) == address


def test_a_name_is_no_address_to_listen_on() -> None:
    """It might resolve to anything."""
    with pytest.raises(ValueError, match="'localhost' is no IP address to listen on"):
        check_listen_address("localhost")


def test_host_names_are_compared_without_case() -> None:
    """As in DNS."""
    assert check_host_name("Local-AWS") == "local-aws"


@pytest.mark.parametrize("name", ["local.aws", "local_aws", "-aws", "", "aws:4566", "a" * 64])
def test_a_host_name_is_one_word(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """S3 would take what is before a dot for a bucket."""
    with pytest.raises(SystemExit):
        main([f"--host-name={name}"])

    assert f"{name!r} is no host name to answer to; give one word" in capsys.readouterr().err
