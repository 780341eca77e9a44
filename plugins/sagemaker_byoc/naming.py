"""Names of what is made on AWS, computed before the call and the same on every retry.

SageMaker's names are its only idempotency token. Knows no AWS calls.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_byoc.run import RunIdentity

__all__ = ["NAME_LENGTH", "attempt_name", "content_name", "job_name", "safe_base"]

NAME_LENGTH = 63
"""Longest name of a training job, model, endpoint config or endpoint (botocore's sagemaker model)."""

HASH_LENGTH = 10
NOT_A_NAME_CHARACTER = re.compile(r"[^a-zA-Z0-9]+")


def job_name(base: str, run: RunIdentity, ordinal: int) -> str:
    """Return the name of a run's training job, at most 63 characters.

    A generation is told by ``max_tries`` alone, which automatic retries leave and clearing sets to the tries so far
    plus the task's ``retries``: who lowers ``retries`` by just those tries before clearing gets the name of the
    generation before. Nothing else that Airflow tells a task would do better: the run's ``clear_number`` also rises
    when another task of the run is cleared, and a retry would then miss its job. So the hook that adopts a completed
    job says it as a warning; clearing once more makes a new name.

    :param base: readable beginning; cut where it does not fit
    :param ordinal: 1 for the first job of this task's generation, one more past each job that ended Failed or Stopped
    """
    return joined(base, f"{short_hash(run.key)}-{ordinal}")


def content_name(base: str, request: Mapping[str, Any]) -> str:
    """Return a name that is the same for the same request and another for any other, at most 63 characters.

    :param request: what the resource is made from, without its name and without tags
    """
    return joined(base, short_hash(canonical(request)))


def attempt_name(base: str, request: Mapping[str, Any], ordinal: int) -> str:
    """Return the name of a job that is the same for the same request, at most 63 characters.

    :param request: what the job is made from, without its name and without tags
    :param ordinal: 1 for the first attempt, one more past each that left nothing behind
    """
    return joined(base, f"{short_hash(canonical(request))}-{ordinal}")


def canonical(request: Mapping[str, Any]) -> str:
    """Return the request as text that does not depend on the order of its members."""
    return json.dumps(request, sort_keys=True, separators=(",", ":"), default=str)


def safe_base(text: str) -> str:
    """Return the text with every run of characters that a name may not hold as one ``-``.

    Dag ids hold ``_`` and ``.``, which SageMaker's names may not; an empty result becomes ``job``.
    """
    return NOT_A_NAME_CHARACTER.sub("-", text).strip("-") or "job"


def joined(base: str, ending: str) -> str:
    """Put base and ending together, cutting the base so that both fit."""
    room = NAME_LENGTH - len(ending) - 1
    return f"{safe_base(safe_base(base)[:room])}-{ending}"


def short_hash(text: str) -> str:
    """Return 40 bits of the text's SHA-256 as hexadecimal: enough that two runs of one base never meet."""
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]
