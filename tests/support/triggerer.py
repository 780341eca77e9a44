"""Airflow's own trigger runner in a process of its own, with the test in place of the process that supervises it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.executors.workloads.trigger import RunTrigger
from airflow.jobs.triggerer_job_runner import messages
from airflow.sdk.execution_time.comms import ConnectionResult, _RequestFrame, _ResponseFrame

from local_stack.home import CHECKOUT
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pydantic import BaseModel

__all__ = ["Triggerer", "triggerer"]

_RUN = "from airflow.jobs.triggerer_job_runner import TriggerRunner; TriggerRunner().run()"
_LENGTH_BYTES = 4
"""Each message on the pipe begins with its length."""


@dataclass
class Triggerer:
    """A trigger runner that runs, as its supervisor sees it.

    :param process: the runner
    :param connections: Airflow's connections by their id, as its API gives them
    :param asked: ids of the connections that were asked for
    :param output: what the runner prints
    :param fired: the payloads of the triggers' events
    :param failures: of triggers that ended without an event
    """

    process: subprocess.Popen[bytes]
    pipe: socket.socket
    connections: Mapping[str, dict[str, Any]]
    output: Path
    asked: list[str] = field(default_factory=list)
    fired: list[Any] = field(default_factory=list)
    failures: list[Any] = field(default_factory=list)
    _new: list[RunTrigger] = field(default_factory=list)

    def run(self, classpath: str, **parameters: Any) -> None:
        """Have a trigger run.

        :param parameters: of its constructor, JSON only
        """
        self._new.append(RunTrigger(id=1, classpath=classpath, encrypted_kwargs=json.dumps(parameters)))

    def wait_until(self, condition: Callable[[], Any], what: str) -> None:
        """Return once something was so, however shortly; fail at once when the runner has ended or a trigger failed."""
        was_so = False

        def is_over() -> bool:
            nonlocal was_so
            was_so = bool(condition())
            return was_so or bool(self.failures) or self.process.poll() is not None

        wait_until(is_over, what, 60.0)
        assert not self.failures, self.failures
        assert was_so, f"{what} never was: {self.output.read_text()}"

    def serve(self) -> None:
        """Answer the runner until it ends; it ends when no answers come any more."""
        decoder = msgspec.msgpack.Decoder(_RequestFrame)
        with self.pipe:
            self._send(0, messages.StartTriggerer())
            while length := self._read(_LENGTH_BYTES):
                frame = decoder.decode(self._read(int.from_bytes(length, "big")))
                self._send(frame.id, self._answer(frame.body or {}))

    def _answer(self, question: dict[str, Any]) -> BaseModel | None:
        if question["type"] == "TriggerStateChanges":
            self.fired += [event[1]["payload"] for event in question["events"] or ()]
            self.failures += question["failures"] or ()
            new, self._new = self._new, []
            return messages.TriggerStateSync(to_create=new, to_cancel=set())
        if question["type"] == "GetConnection":
            self.asked.append(question["conn_id"])
            empty = dict.fromkeys(("host", "schema", "port"))
            found = {"conn_id": question["conn_id"], **empty, **self.connections[question["conn_id"]]}
            return ConnectionResult.model_validate(found)
        return None

    def _send(self, number: int, body: BaseModel | None) -> None:
        frame = _ResponseFrame(id=number, body=body.model_dump(by_alias=True) if body else None)
        self.pipe.sendall(frame.as_bytes())

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size and (part := self._part(size - len(found))):
            found += part
        return found

    def _part(self, size: int) -> bytes:
        try:
            return self.pipe.recv(size)
        except ConnectionResetError:
            return b""


@contextmanager
def triggerer(home: Path, connections: Mapping[str, dict[str, Any]]) -> Iterator[Triggerer]:
    """Run a trigger runner until the block ends; its output is in ``home``.

    :param home: an empty directory
    """
    ours, its = socket.socketpair()
    paths = [str(CHECKOUT / folder) for folder in ("plugins", "include", "")]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": os.pathsep.join(paths),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
    printed = home / "output"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _RUN], stdin=its.fileno(), stdout=output, stderr=output, env=environment, cwd=home
        )
        its.close()
        running = Triggerer(process, ours, connections, printed)
        thread = threading.Thread(target=running.serve, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            process.kill()
            process.wait()
            wait_until(lambda: not thread.is_alive(), "the pipe is closed")
