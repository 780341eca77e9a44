"""The one way to write a line for the user: standard output, which SageMaker ships to CloudWatch Logs."""

import sys


def report(line: str) -> None:
    """Write one whole line at once, so that ``MetricDefinitions`` never see half a number."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
