"""``serve`` as a process of its own."""

import os
import shutil
import signal
import socket
from pathlib import Path

import pytest

from sagemaker_container.errors import ConfigurationError
from sagemaker_container.serving import ServerSettings, main
from tests.unit.container.opt_ml import OptMl
from tests.unit.container.serving_process import request, serving, wait_until_closed


def serve_here(opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run ``serve`` in this process, for starts that must fail, and return its exit code."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(opt_ml.base))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return main()


@pytest.fixture
def deployed(opt_ml: OptMl, iris_model: Path) -> OptMl:
    """Give an ``/opt/ml`` with a trained model."""
    shutil.copytree(iris_model, opt_ml.model)
    return opt_ml


def test_the_program_answers_writes_nothing_and_leaves_on_sigterm(deployed: OptMl) -> None:
    """Ping, a prediction, an oversized body, and an orderly end with exit code 0."""
    before = {file: file.stat().st_mtime_ns for file in deployed.base.rglob("*")}
    with serving(deployed) as (process, port):
        assert request(port, "POST", "/invocations", b"5.1,3.5,1.4,0.2\n") == (200, b"setosa\n")
        assert request(port, "POST", "/invocations", b"\n" * 7_000_000)[0] == 413
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert {file: file.stat().st_mtime_ns for file in deployed.base.rglob("*")} == before


def test_a_request_in_flight_is_answered_before_the_program_leaves(deployed: OptMl) -> None:
    """SIGTERM closes the door to new requests and lets the one inside finish."""
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 15\r\n"
    with serving(deployed) as (process, port), socket.create_connection(("127.0.0.1", port), timeout=30) as caller:
        caller.sendall(head + b"Expect: 100-continue\r\n\r\n")
        assert caller.recv(1000).startswith(b"HTTP/1.1 100 ")
        process.send_signal(signal.SIGTERM)
        wait_until_closed(port)
        caller.sendall(b"5.1,3.5,1.4,0.2")
        answer = caller.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"setosa\n")
        assert process.wait(timeout=30) == 0


def test_several_workers_share_the_port(deployed: OptMl) -> None:
    """Each worker loads the model itself; the supervisor ends them all on SIGTERM."""
    with serving(deployed, MODEL_SERVER_WORKERS="2") as (process, port):
        assert request(port, "POST", "/invocations", b"5.1,3.5,1.4,0.2\n") == (200, b"setosa\n")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize(("damaged", "content"), [("model.json", "{}"), ("model.pt", "")])
def test_a_damaged_artifact_ends_the_program_with_its_reason(
    deployed: OptMl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], damaged: str, content: str
) -> None:
    """An endpoint that cannot work fails to start instead of answering with errors."""
    (deployed.model / damaged).write_text(content, encoding="utf-8")
    assert serve_here(deployed, monkeypatch) == 1
    assert "serving failed: No usable model in" in capsys.readouterr().out


def test_a_model_of_another_format_is_not_loaded(
    deployed: OptMl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A later container says that it cannot read an old artifact, or the other way round."""
    file = deployed.model / "model.json"
    file.write_text(file.read_text().replace('"format_version": 1', '"format_version": 99'), encoding="utf-8")
    assert serve_here(deployed, monkeypatch) == 1
    assert "the format version is 99, this container reads 1" in capsys.readouterr().out


@pytest.mark.parametrize(("workers", "threads"), [("1", "6"), ("4", "1"), ("9", "1")])
def test_workers_share_the_cores_where_the_system_tells_only_how_many_there_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workers: str, threads: str
) -> None:
    """MacOS knows no affinity; a start there gets as far as the model, with the threads set."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    variables = {"SAGEMAKER_BASE_DIR": str(tmp_path), "MODEL_SERVER_WORKERS": workers}
    monkeypatch.setattr(os, "environ", variables)

    assert main() == 1
    assert variables["OMP_NUM_THREADS"] == threads


def test_the_server_listens_where_sagemaker_expects_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Port 8080 on every interface, one worker."""
    for variable in ("SAGEMAKER_BIND_TO_ADDRESS", "SAGEMAKER_BIND_TO_PORT", "MODEL_SERVER_WORKERS"):
        monkeypatch.delenv(variable, raising=False)
    assert ServerSettings.from_environment() == ServerSettings("0.0.0.0", 8080, 1)  # noqa: S104 - the contract


@pytest.mark.parametrize(("variable", "value"), [("SAGEMAKER_BIND_TO_PORT", "http"), ("MODEL_SERVER_WORKERS", "0")])
def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """The message says which variable, its value and what is expected."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"{variable} is '{value}'; expected a whole number from 1"):
        ServerSettings.from_environment()
