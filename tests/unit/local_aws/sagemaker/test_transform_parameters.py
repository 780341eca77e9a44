"""How much a transform job sends at a time, and what its container is told."""

from __future__ import annotations

from typing import Any

import pytest

from local_aws.sagemaker.transform_parameters import TransformParameters, batch_environment

_REQUEST = {"MaxConcurrentTransforms": 4, "BatchStrategy": "SingleRecord", "MaxPayloadInMB": 2}
_ADVICE = {"MaxConcurrentTransforms": 8, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 12}


@pytest.mark.parametrize(
    ("request_", "advice", "expected"),
    [
        ({}, {}, (1, False, 6)),
        ({}, {**_ADVICE, "BatchStrategy": "SINGLE_RECORD"}, (8, True, 12)),
        (_REQUEST, _ADVICE, (4, True, 2)),
        ({"MaxConcurrentTransforms": 0}, _ADVICE, (8, False, 12)),
        ({"MaxConcurrentTransforms": 0}, {}, (1, False, 6)),
    ],
)
def test_the_request_goes_before_the_container_and_both_before_the_defaults(
    request_: dict[str, Any], advice: dict[str, Any], expected: tuple[int, bool, int]
) -> None:
    """Each of the three by itself; 0 transforms at a time say the same as none."""
    found = TransformParameters.of(request_, advice)

    assert (found.parallel, found.is_single, found.payload_mb) == expected


@pytest.mark.parametrize("nonsense", ["8", 0, -1, True, 2.5, None])
def test_advice_that_makes_no_sense_is_passed_over(nonsense: Any) -> None:
    """The container may answer anything; the job goes on with the defaults."""
    advice = {"MaxConcurrentTransforms": nonsense, "BatchStrategy": "SingleRecord", "MaxPayloadInMB": nonsense}

    assert TransformParameters.of({}, advice) == TransformParameters(1, is_single=False, payload_mb=6)


def test_they_read_as_in_the_log_of_aws() -> None:
    """The line that real jobs begin their data log with."""
    assert (
        str(TransformParameters.of({}, {})) == "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"
    )


def test_the_container_is_told_what_the_request_says_and_no_more() -> None:
    """SAGEMAKER_BATCH is always there, the others only if the request has them; the request cannot hide them."""
    assert batch_environment({}) == {"SAGEMAKER_BATCH": "true"}
    assert batch_environment({**_REQUEST, "Environment": {"COLOUR": "red", "SAGEMAKER_BATCH": "no"}}) == {
        "COLOUR": "red",
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "4",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "2",
    }
