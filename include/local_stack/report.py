"""The result of a run as a person wants to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["result_lines"]


def result_lines(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the result table and of what was made.

    :param results: return value of each task by task id
    """
    smoke_test = results.get("smoke_test")
    if smoke_test:
        yield from prediction_lines(smoke_test)
        yield ""
    yield from made_lines(results)


def prediction_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield label, prediction and verdict of each record, then the sums."""
    yield f"{'record':>6}  {'label':<14} {'prediction':<14} correct?"
    for number, answer in enumerate(report["predictions"], 1):
        verdict = "yes" if answer["correct"] else "NO"
        yield f"{number:>6}  {answer['label']!s:<14} {answer['prediction']!s:<14} {verdict}"
    times = ", ".join(f"{name} {value:.1f} ms" for name, value in report["latency_ms"].items())
    yield ""
    yield f"accuracy   {report['accuracy']:.1%}  ({report['correct']} of {report['records']} records)"
    yield f"latency    {times or 'not measured'}"


def made_lines(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield what stands on AWS now."""
    training, endpoint = results.get("wait_for_training") or {}, results.get("wait_for_endpoint") or {}
    facts = {
        "image": results.get("build_push_image"),
        "job": training.get("training_job_name"),
        "metrics": ", ".join(f"{name} {value:.4g}" for name, value in training.get("metrics", {}).items()),
        "model": results.get("create_model"),
        "package": version(results),
        "endpoint": endpoint.get("endpoint_name"),
        "config": endpoint.get("endpoint_config_name"),
    }
    for name, fact in facts.items():
        if fact:
            yield f"{name:<10} {fact}"


def version(results: Mapping[str, Any]) -> str:
    """Return the model's version in the registry and whether it is approved; empty when it was not registered."""
    registered = (results.get("register_model") or {}) | (results.get("approve_model") or {})
    if not registered:
        return ""
    return f"{registered['model_package_arn'].rpartition('model-package/')[2]}, {registered['approval_status']}"
