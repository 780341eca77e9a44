"""What one epoch achieved, and the line that says so.

The lines are an interface: ``MetricDefinitions`` such as ``validation_accuracy=([0-9.eE+-]+)`` read them.
"""

from dataclasses import asdict, dataclass
from typing import Any

SMALLEST_FIXED = 0.001
"""Below this, four decimals would hide the value, so it is written with an exponent."""


@dataclass(frozen=True)
class Metrics:
    """The measurements of one epoch over all hosts.

    :param score: the accuracy of a classification, or the root mean squared error of a regression in the label's units.
    :param score_name: ``validation_accuracy`` or ``validation_rmse``.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    score: float
    score_name: str

    def line(self) -> str:
        """Return ``epoch=3 train_loss=0.1234 validation_loss=0.2345 validation_accuracy=0.9333``."""
        return " ".join([f"epoch={self.epoch}", *(f"{name}={_shown(value)}" for name, value in self.values().items())])

    def values(self) -> dict[str, float]:
        """Return the measurements by name."""
        losses = {"train_loss": self.train_loss, "validation_loss": self.validation_loss}
        return {**losses, self.score_name: self.score}

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs to build the same metrics again."""
        return asdict(self)


def _shown(value: float) -> str:
    return f"{value:.4f}" if value == 0 or abs(value) >= SMALLEST_FIXED else f"{value:.3e}"
