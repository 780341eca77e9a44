"""Errors that the container explains to the person who caused them.

::

    ContainerError
    ├── JobError                      the training job ends Failed with this text as its reason
    │   ├── ConfigurationError        hyperparameters, channels or hosts are not usable
    │   ├── TrainingDataError         the files of a channel are not usable
    │   ├── TrainingDivergedError     the loss is no longer a finite number
    │   └── PeerLostError             another host of the job is gone
    ├── ModelLoadError                the artifact is not usable, so ``serve`` does not start
    └── RequestError                  answered with its HTTP status and this text
        ├── BadRequestError           400
        ├── NotAcceptableError        406
        ├── PayloadTooLargeError      413
        └── UnsupportedMediaTypeError 415
"""


class ContainerError(Exception):
    """An error whose text is written for the user; anything else is a defect."""


class JobError(ContainerError):
    """The training job cannot go on."""


class ConfigurationError(JobError):
    """A hyperparameter, channel or host list is not usable."""


class TrainingDataError(JobError):
    """The files of a channel are not usable."""


class TrainingDivergedError(JobError):
    """The loss is no longer a finite number."""


class PeerLostError(JobError):
    """Another host of the training job ended or cannot be reached."""


class ModelLoadError(ContainerError):
    """The model artifact is missing, incomplete or of another format."""


class RequestError(ContainerError):
    """The request is answered with ``status`` and the error's text."""

    status = 400


class BadRequestError(RequestError):
    """The body is not what the model takes."""


class NotAcceptableError(RequestError):
    """None of the media types in ``Accept`` can be produced."""

    status = 406


class PayloadTooLargeError(RequestError):
    """The body is larger than SageMaker's limit."""

    status = 413


class UnsupportedMediaTypeError(RequestError):
    """The ``Content-Type`` is not one that the model reads."""

    status = 415
