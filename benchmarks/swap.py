"""Compare what clients lose when a model is replaced, and how long they get the answers of a bad one.

A real local AWS with real serving processes; clients ask from several threads all the time, and retry nothing. First,
good models replace each other, directly, with a canary of AWS's guardrails, and as a candidate: requests that failed
are lost. Then a model that answers wrongly replaces a good one: by the stock provider's operator, which tests nothing
and goes back to nothing, and by ours, whose smoke test takes it back. Run by ``make bench``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerEndpointOperator
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from sagemaker_byoc.operators.traffic_shift import ShiftTrafficOperator
from tests.support.classifier_account import REACHED, RECORDS, ClassifierAccount, create, wait
from tests.support.operator_cloud import operator_cloud
from tests.support.task_run import TaskRun
from tests.support.traffic import Traffic, traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOOD, AS_GOOD, WRONG = 5, 4.5, 0
"""Thresholds of models; the last one calls everything long."""

WRONG_ANSWER = json.dumps({"predictions": [{"label": "long"}]})
CANARY = {
    "DeploymentConfig": {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 2,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
            }
        }
    }
}
STRATEGIES: dict[str, dict[str, Any]] = {
    "direct": {},
    "canary": {"update_config": CANARY},
    "candidate": {"strategy": "candidate"},
}
STEPS = [10, 50, 100]
BAKE_SECONDS = 1
OBSERVED_SECONDS = 10.0


@dataclass
class Swaps:
    """What swaps by one strategy cost.

    :param seconds: of each swap, until the new model had the endpoint to itself
    """

    strategy: str
    requests: int = 0
    lost: int = 0
    seconds: list[float] = field(default_factory=list)


@dataclass
class Mistake:
    """What a bad model cost.

    :param wrong: answers of it that clients got
    :param requests: that clients sent meanwhile
    :param seconds: from the begin of the smoke test to the last wrong answer; None when there was none, or no end
    :param restored: from the begin of the smoke test until the endpoint was as before; None when it never was
    """

    wrong: int
    requests: int
    lost: int
    seconds: float | None
    restored: float | None


def main() -> None:
    """Measure and print the tables."""
    options = parser().parse_args()
    if options.quick:
        options.requests, options.rounds, options.observed_seconds = 50, 1, 1.0
    # The tasks tell a lot, of which the tables are to be free.
    silence = contextlib.redirect_stdout(io.StringIO())
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as directory, silence, operator_cloud(Path(directory)) as cloud:
        account = ClassifierAccount(cloud)
        swaps = [swap(account, strategy, options.requests) for strategy in STRATEGIES]
        mistakes = {
            way: [MISTAKES[way](account, options.observed_seconds) for _ in range(options.rounds)] for way in MISTAKES
        }
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    report_swaps(swaps)
    report_mistakes(mistakes, options.observed_seconds)


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    grammar = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    grammar.add_argument("--requests", type=int, default=7000, help="of each strategy, at least (%(default)s)")
    grammar.add_argument("--rounds", type=int, default=5, help="of bad models (%(default)s)")
    grammar.add_argument("--quick", action="store_true", help="a size that shows that it works, and measures nothing")
    grammar.set_defaults(observed_seconds=OBSERVED_SECONDS)
    return grammar


@contextlib.contextmanager
def asked(account: ClassifierAccount, name: str) -> Iterator[Traffic]:
    """Let clients ask an endpoint until the block ends."""
    with traffic(lambda: account.cloud.client("sagemaker-runtime"), name, threads=4) as seen:
        seen.wait_for(10)
        yield seen
        seen.wait_for(10)


def served(account: ClassifierAccount) -> str:
    """Make an endpoint that serves a good model; return its name."""
    name = account.name()
    wait(create(name, account.model(GOOD)))
    return name


def swap(account: ClassifierAccount, strategy: str, requests: int) -> Swaps:
    """Replace good models by others as good, until clients have sent so many requests."""
    swaps, name = Swaps(strategy), served(account)
    with asked(account, name) as seen:
        while seen.sent < requests:
            begin = time.monotonic()
            deployed = create(name, account.model(AS_GOOD), **STRATEGIES[strategy])
            wait(deployed)
            TaskRun().of(smoke_test(deployed))
            shift = ShiftTrafficOperator(
                task_id="shift_traffic", deployment=deployed, steps=STEPS, bake_seconds=BAKE_SECONDS, **REACHED
            )
            TaskRun().of(shift)
            swaps.seconds.append(time.monotonic() - begin)
    swaps.requests, swaps.lost = seen.sent, len(seen.failures)
    account.sagemaker.delete_endpoint(EndpointName=name)
    return swaps


def smoke_test(deployed: dict[str, Any]) -> InvokeSmokeTestOperator:
    """Make the smoke test of a deployment."""
    return InvokeSmokeTestOperator(
        task_id="smoke_test", deployment=deployed, records=RECORDS, label_column="kind", **REACHED
    )


def mistake_of_ours(account: ClassifierAccount, strategy: str) -> Mistake:
    """Deploy a bad model, and let the smoke test take it back."""
    name = served(account)
    with asked(account, name) as seen:
        before = seen.sent
        deployed = create(name, account.model(WRONG), **STRATEGIES[strategy])
        wait(deployed)
        begin = time.monotonic()
        with contextlib.suppress(AirflowFailException):
            TaskRun().of(smoke_test(deployed))
        restored = time.monotonic() - begin
    account.sagemaker.delete_endpoint(EndpointName=name)
    last = seen.last.get(WRONG_ANSWER)
    seconds = max(0.0, last - begin) if last is not None else None
    return Mistake(wrong_answers(seen), seen.sent - before, len(seen.failures), seconds, restored)


def mistake_of_stock(account: ClassifierAccount, observed_seconds: float) -> Mistake:
    """Deploy a bad model with the stock provider's operator, which succeeds, and look on for a while."""
    name = served(account)
    config = {
        "EndpointConfigName": f"{name}-stock",
        "ProductionVariants": [
            {
                "VariantName": "AllTraffic",
                "ModelName": account.model(WRONG),
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
    }
    endpoint = {"EndpointName": name, "EndpointConfigName": config["EndpointConfigName"]}
    operator = SageMakerEndpointOperator(
        task_id="endpoint",
        config={"EndpointConfig": config, "Endpoint": endpoint},
        operation="update",
        check_interval=1,
        aws_conn_id=None,
    )
    with asked(account, name) as seen:
        before = seen.sent
        operator.execute(TaskRun().context)
        time.sleep(observed_seconds)
    account.sagemaker.delete_endpoint(EndpointName=name)
    return Mistake(wrong_answers(seen), seen.sent - before, len(seen.failures), None, None)


MISTAKES: dict[str, Callable[[ClassifierAccount, float], Mistake]] = {
    "stock": mistake_of_stock,
    "direct": lambda account, _: mistake_of_ours(account, "direct"),
    "candidate": lambda account, _: mistake_of_ours(account, "candidate"),
}


def wrong_answers(seen: Traffic) -> int:
    """Count the answers that only the bad model gives."""
    return sum(count for (_, body), count in seen.answers.items() if body == WRONG_ANSWER)


def report_swaps(swaps: list[Swaps]) -> None:
    """Print what was lost."""
    print("good models that replace each other while clients ask")
    print(f"{'':<12} {'swaps':>6} {'requests':>9} {'lost':>5} {'s a swap':>9}")
    for each in swaps:
        seconds = statistics.median(each.seconds)
        print(f"{each.strategy:<12} {len(each.seconds):>6} {each.requests:>9} {each.lost:>5} {seconds:>9.1f}")
    total, lost = sum(each.requests for each in swaps), sum(each.lost for each in swaps)
    print(f"{'all':<12} {sum(len(each.seconds) for each in swaps):>6} {total:>9} {lost:>5}")


def report_mistakes(mistakes: dict[str, list[Mistake]], observed_seconds: float) -> None:
    """Print what a bad model cost, as medians."""
    print(
        "\na bad model; seconds from the begin of the smoke test to the last wrong answer, and until all is as before"
    )
    print(f"{'':<12} {'wrong answers':>14} {'of':>6} {'lost':>5} {'last wrong s':>13} {'restored s':>11}")
    for way, rounds in mistakes.items():
        wrong, requests = (statistics.median(getattr(each, name) for each in rounds) for name in ("wrong", "requests"))
        lost = sum(each.lost for each in rounds)
        print(
            f"{way:<12} {wrong:>14.0f} {requests:>6.0f} {lost:>5} "
            f"{median([each.seconds for each in rounds]):>13} {median([each.restored for each in rounds]):>11}"
        )
    print(f"stock has no smoke test and no way back: it was observed for {observed_seconds:g} s after its success")


def median(seconds: list[float | None]) -> str:
    """Return the median, or that there is none."""
    known = [each for each in seconds if each is not None]
    return f"{statistics.median(known):.2f}" if known else "none"


if __name__ == "__main__":
    main()
