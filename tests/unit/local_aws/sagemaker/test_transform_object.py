"""How the answers about one object come into one file."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from local_aws.sagemaker.channel import S3Object
from local_aws.sagemaker.s3_location import S3Location
from local_aws.sagemaker.transform_client import ALGORITHM_ERROR, CLIENT_ERROR, NoPredictionError, TransformClient
from local_aws.sagemaker.transform_log import TransformLog
from local_aws.sagemaker.transform_object import ObjectTransform
from local_aws.sagemaker.transform_parameters import TransformParameters
from tests.support.fake_clients import FakeS3

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local_aws.sagemaker.log_stream import LogStream

_ITEM = S3Object(S3Location("bucket", "set/a.csv"), "a.csv")


class _FakeContainer:
    """Answers each payload by a function; stands for the client that asks a container."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self.asked: list[bytes] = []

    def ask(self, name: str, payload: bytes) -> bytes:
        """Answer, or raise what the function raises."""
        self.asked.append(payload)
        return self._answer(payload)


class _FakeStream:
    """A log stream that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        """Keep the line."""
        self.lines.append(line)


def _transform(
    tmp_path: Path, content: bytes | None, container: _FakeContainer, *, parallel: int = 1, **data: Any
) -> tuple[Callable[[], bytes], _FakeStream]:
    """Return what transforms one object into the bytes of its file, and the data log."""
    s3, stream = FakeS3(tmp_path / "s3"), _FakeStream()
    if content is not None:
        (s3.root / "set").mkdir(parents=True)
        (s3.root / "set" / "a.csv").write_bytes(content)
    request = {"TransformInput": {"SplitType": "Line", **data}, "TransformOutput": {"AssembleWith": "Line"}}
    transform = ObjectTransform(
        request,
        TransformParameters(parallel, is_single=True, payload_mb=1),
        cast("TransformClient", container),
        TransformLog(cast("LogStream", stream)),
        s3,
    )
    return lambda: transform.run(_ITEM, tmp_path / "files").read_bytes(), stream


def test_answers_are_in_the_order_of_the_records(tmp_path: Path) -> None:
    """Also when the second record is answered before the first."""
    second_is_answered = threading.Event()

    def answer(payload: bytes) -> bytes:
        if payload == b"1\n":
            assert second_is_answered.wait(10)
        else:
            second_is_answered.set()
        return payload.strip()

    run, _ = _transform(tmp_path, b"1\n2\n", _FakeContainer(answer), parallel=2)

    assert run() == b"1\n2\n"


def test_no_record_is_sent_after_a_bad_one(tmp_path: Path) -> None:
    """Without an answer about each record the object has no file, so the rest would be asked in vain."""

    def answer(payload: bytes) -> bytes:
        if payload == b"2\n":
            raise NoPredictionError(ALGORITHM_ERROR)
        return payload

    container = _FakeContainer(answer)
    run, _ = _transform(tmp_path, b"1\n2\n3\n4\n", container)

    with pytest.raises(NoPredictionError, match=ALGORITHM_ERROR):
        run()
    assert container.asked == [b"1\n", b"2\n"]


@pytest.mark.parametrize(
    ("content", "compression", "reason"),
    [(None, "None", "No such file"), (b"1\n", "Gzip", "Not a gzipped file"), (b"\x1f\x8b\x08", "Gzip", "Compressed")],
)
def test_an_object_that_cannot_be_read_is_the_clients_error(
    tmp_path: Path, content: bytes | None, compression: str, reason: str
) -> None:
    """The log names the object and says what is wrong with it."""
    run, stream = _transform(tmp_path, content, _FakeContainer(bytes), CompressionType=compression)

    with pytest.raises(NoPredictionError, match=CLIENT_ERROR):
        run()
    (line,) = stream.lines
    assert "[sagemaker logs]: bucket/set/a.csv: ClientError: " in line
    assert reason in line
