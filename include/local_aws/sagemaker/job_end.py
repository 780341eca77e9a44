"""How a job of any kind ends before its work is done.

Owns the signals that lead there, and what of them is the same for all kinds. Must not know any kind's statuses.
"""

from __future__ import annotations

__all__ = ["CLOSE_GRACE_SECONDS", "INTERNAL_ERROR", "JobClosedError", "JobFailedError", "StopRequestedError"]

INTERNAL_ERROR = "InternalServerError: We encountered an internal error. Please try again."
"""FailureReason where not the job is to blame."""

CLOSE_GRACE_SECONDS = 2.0
"""Grace for containers when the local AWS itself goes down."""


class JobFailedError(Exception):
    """The job fails; the text is its FailureReason."""


class JobClosedError(Exception):
    """The local AWS goes down, and the job ends without an end."""


class StopRequestedError(Exception):
    """Somebody stopped the job, so that it must not go on, nor keep what it has made so far."""
