"""Everything that can go wrong, as one tree.

::

    SageMakerByocError
    ├── RequestError                 a field of the user's input is not allowed
    │   └── BuildContextError        the folder to build from is not usable
    ├── JobMismatchError             a job of this run's name exists, but it is not the job asked for now
    ├── ImageBuildError              the build ran and failed, or left no image behind
    │   └── ImageBuildInterruptedError   the builder itself failed, or another run's build was stopped: worth a retry
    ├── TrainingJobFailedError       the job ended Failed
    ├── TrainingJobStoppedError      the job ended Stopped: by a person, by MaxRuntime, by a lost spot instance
    ├── TransformJobError            a held-out set's job ended Failed or Stopped, or left no answers that can be used
    ├── EndpointFailedError          the endpoint ended Failed
    │   ├── EndpointOutOfServiceError    it ended OutOfService
    │   ├── EndpointRollbackFailedError  it ended UpdateRollbackFailed
    │   └── EndpointGoneError            it does not exist any more
    ├── EndpointRolledBackError      the endpoint serves again what it served before
    ├── EndpointSupersededError      the endpoint serves what another run asked for
    ├── EndpointClaimError           AWS does not let the run queue up for the endpoint
    ├── NoWayBackError               what an endpoint serves, or served, could not be made again
    ├── RestoreError                 the endpoint could not be given back what it served before
    ├── LeftoverError                something that may go could not be deleted: the next run finds it
    ├── ProofError                   a model that was deployed has not proven itself
    │   ├── SmokeTestError               the endpoint does not answer, or not well enough
    │   └── TrafficShiftError            the candidate was not given the endpoint, and has lost its traffic
    └── CheckerError                 the smoke test's own checker failed, which says nothing about the endpoint

Owns the texts' form, not the facts in them. Knows neither Airflow nor boto3. Every error survives pickling,
since Airflow moves them between processes.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "BuildContextError",
    "CheckerError",
    "EndpointClaimError",
    "EndpointFailedError",
    "EndpointGoneError",
    "EndpointOutOfServiceError",
    "EndpointRollbackFailedError",
    "EndpointRolledBackError",
    "EndpointSupersededError",
    "ImageBuildError",
    "ImageBuildInterruptedError",
    "JobMismatchError",
    "LeftoverError",
    "NoWayBackError",
    "ProofError",
    "RequestError",
    "RestoreError",
    "SageMakerByocError",
    "SmokeTestError",
    "TrafficShiftError",
    "TrainingJobFailedError",
    "TrainingJobStoppedError",
    "TransformJobError",
]

GIVEN_LENGTH = 300
"""How much of a refused value a message shows."""


class SageMakerByocError(Exception):
    """What this package raises on its own account.

    ``permanent`` says that the same call would fail the same way again, so that a retry only costs money and time.
    """

    permanent: ClassVar[bool] = True


class RequestError(SageMakerByocError):
    """A field of the input is not allowed; nothing has been created.

    :param field: where it is, as the user wrote it, for example ``config.ResourceConfig.InstanceType``
    :param given: what stood there
    :param allowed: what may stand there
    :param remedy: what to do, when that does not follow from ``allowed``
    """

    def __init__(self, field: str, given: Any, allowed: str, remedy: str = "") -> None:
        super().__init__(field, given, allowed, remedy)
        self.field = field
        self.given = given
        self.allowed = allowed
        self.remedy = remedy

    def __str__(self) -> str:
        given = repr(self.given)
        if len(given) > GIVEN_LENGTH:
            given = f"{given[:GIVEN_LENGTH]}…"
        text = f"{self.field}: got {given}; allowed is {self.allowed}."
        return f"{text} {self.remedy}" if self.remedy else text


class BuildContextError(RequestError):
    """The folder to build the image from is missing, empty, too large or without its Dockerfile."""


class JobMismatchError(SageMakerByocError):
    """A job of this run's name exists with another image, other inputs or other hyperparameters."""


class ImageBuildError(SageMakerByocError):
    """The image build failed, or it succeeded and ECR does not hold the image."""


class ImageBuildInterruptedError(ImageBuildError):
    """The build ended for a reason that lies neither in the folder nor in the Dockerfile."""

    permanent = False


class TrainingJobFailedError(SageMakerByocError):
    """The training job ended Failed.

    :param message: the whole story: FailureReason, last log lines, console link
    :param transient: the platform failed (capacity, internal error), not the algorithm or the request
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class TrainingJobStoppedError(SageMakerByocError):
    """The training job ended Stopped, which the stock waiters take for success."""


class TransformJobError(SageMakerByocError):
    """The transform job that asked a model a held-out set left no answers that can be used.

    :param message: the whole story: FailureReason, last log lines, console link
    :param transient: the platform failed, or another run stopped the job, so that another attempt is worth it
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class EndpointFailedError(SageMakerByocError):
    """The endpoint does not serve."""


class EndpointOutOfServiceError(EndpointFailedError):
    """The endpoint is there and takes no requests."""


class EndpointRollbackFailedError(EndpointFailedError):
    """The update failed, and so did AWS's own way back: the endpoint serves a mix of both configurations."""


class EndpointGoneError(EndpointFailedError):
    """Somebody deleted the endpoint."""


class EndpointRolledBackError(SageMakerByocError):
    """The update failed and AWS put the earlier configuration back."""


class EndpointSupersededError(SageMakerByocError):
    """Another deployment replaced the one that was waited for."""


class EndpointClaimError(SageMakerByocError):
    """The calls are not allowed by which deployments to one endpoint queue up behind each other."""


class NoWayBackError(SageMakerByocError):
    """An endpoint configuration, one of its models or an artifact of these was deleted."""


class RestoreError(SageMakerByocError):
    """The endpoint was told to serve its earlier configuration again, and does not."""


class LeftoverError(SageMakerByocError):
    """Something that nothing refers to could not be deleted; everything else that may go was."""

    permanent = False


class ProofError(SageMakerByocError):
    """A model that was deployed has not proven itself.

    :param put_back: the endpoint has what it served before again, or a later deployment's
    """

    def __init__(self, message: str, *, put_back: bool = False) -> None:
        super().__init__(message)
        self.put_back = put_back


class SmokeTestError(ProofError):
    """The endpoint's answers are wrong, too slow, not readable or not there."""


class TrafficShiftError(ProofError):
    """The candidate failed too many requests or was too slow, or nobody could watch it or give it the endpoint."""


class CheckerError(SageMakerByocError):
    """The function that was to judge the answers raised an error, or returned what nobody can read."""
