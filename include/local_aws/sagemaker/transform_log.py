"""What SageMaker itself says about the objects of a transform job.

Owns the lines of the ``data-log`` stream that each instance has beside its container's: those that AWS was seen to
write, except where a comment says "guess". Must not know how an object is transformed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_aws.sagemaker.moment import now

if TYPE_CHECKING:
    from local_aws.sagemaker.log_stream import LogStream
    from local_aws.sagemaker.transform_parameters import TransformParameters

__all__ = ["TransformLog", "is_client_error"]

_MOST_ANSWER_CHARACTERS = 8192
"""Of what a container answers instead of predictions; how much AWS shows is not known."""


class TransformLog:
    """The data log of one instance.

    :param stream: where its lines go
    """

    def __init__(self, stream: LogStream) -> None:
        self._stream = stream

    def begin(self, parameters: TransformParameters) -> None:
        """Tell how the objects are going to be sent."""
        self._write(str(parameters))

    def bad_status(self, name: str, status: int, body: bytes) -> None:
        """Tell of an answer without predictions.

        :param name: bucket and key of the object
        """
        word = "ClientError" if is_client_error(status) else "Bad HTTP status received from algorithm"
        answer = body.decode(errors="replace")[:_MOST_ANSWER_CHARACTERS]
        for text in (f"{word}: {status}", "", "Message:", *answer.splitlines()):
            self._write(f"{name}: {text}")

    def no_answer(self, name: str) -> None:
        """Tell that the container gave none."""
        self._write(f"{name}: Unable to get response from algorithm")

    def unusable(self, name: str, reason: str) -> None:
        """Tell why an object cannot be sent. Guess, of the whole line."""
        self._write(f"{name}: ClientError: {reason}")

    def close(self) -> None:
        """Return when every line has been written. Harmless when repeated."""
        self._stream.close()

    def _write(self, text: str) -> None:
        moment = now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        self._stream.write(f"{moment}:[sagemaker logs]: {text}")


def is_client_error(status: int) -> bool:
    """Tell whether a container blames the request."""
    return 400 <= status < 500
