"""The table at the end of a run."""

from __future__ import annotations

from local_stack.report import result_lines

REPORT = {
    "records": 2,
    "correct": 1,
    "accuracy": 0.5,
    "latency_ms": {"p50": 1.0, "p95": 2.0, "max": 3.0},
    "predictions": [
        {"label": "setosa", "prediction": "setosa", "correct": True},
        {"label": "setosa", "prediction": "virginica", "correct": False},
    ],
}


def test_wrong_answers_stand_out() -> None:
    """Label and prediction stand side by side, and a wrong one says NO."""
    lines = list(result_lines({"smoke_test": REPORT}))
    assert [line.split()[1:] for line in lines[1:3]] == [["setosa", "setosa", "yes"], ["setosa", "virginica", "NO"]]
    assert lines[-3:-1] == [
        "accuracy   50.0%  (1 of 2 records)",
        "latency    p50 1.0 ms, p95 2.0 ms, max 3.0 ms",
    ]


def test_an_endpoint_that_did_not_answer_has_no_times() -> None:
    """The report of a test that failed at its first request holds no answer either."""
    silent = {**REPORT, "latency_ms": {}, "predictions": [], "correct": 0, "accuracy": 0.0}
    assert list(result_lines({"smoke_test": silent}))[-2] == "latency    not measured"


def test_a_run_that_did_not_deploy_has_no_table() -> None:
    """What was made is still listed."""
    assert list(result_lines({"create_model": "iris-1", "smoke_test": None})) == ["model      iris-1"]


def test_the_version_in_the_registry_says_whether_it_was_approved() -> None:
    """A model that was proven is approved, one that was not deployed waits."""
    registered = {"model_package_arn": "arn:aws:sagemaker:x:1:model-package/iris/3", "approval_status": "Pending"}
    assert list(result_lines({"register_model": registered})) == ["package    iris/3, Pending"]
    approved = {**registered, "approval_status": "Approved"}
    lines = list(result_lines({"register_model": registered, "approve_model": approved}))
    assert lines == ["package    iris/3, Approved"]
