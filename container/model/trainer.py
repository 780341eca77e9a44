"""One epoch of training on one host, in step with the others."""

from collections.abc import Callable

import torch
from torch.nn import functional

from model.dataset import Dataset, Examples
from model.metrics import Metrics
from model.network import build_network
from model.optimizer import FlatAdamW
from model.settings import Settings
from sagemaker_container.cluster import Cluster
from sagemaker_container.errors import TrainingDivergedError

EVALUATION_ROWS = 65_536
"""Rows of one forward pass without gradients."""


WORTH_THREADS = 4_000_000
"""Multiplications in one step from which more than one thread helps."""


class StopRequestedError(Exception):
    """A host was asked to stop in the middle of an epoch."""


class Trainer:
    """Holds the network and its optimizer, the same on every host after every step.

    Every step is one sum over the hosts: gradients, loss, number of rows and the wish to stop travel together. Hosts
    may hold unequal numbers of rows, or none; each row counts the same.

    :param cluster: the hosts.
    :param stop_requested: whether this host was asked to stop.
    """

    def __init__(self, cluster: Cluster, settings: Settings, data: Dataset, stop_requested: Callable[[], bool]) -> None:
        torch.manual_seed(settings.seed)
        schema = data.schema
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = build_network(len(schema.features), settings.hidden_units, schema.outputs, settings.dropout).to(
            self._device
        )
        self.optimizer = FlatAdamW(self.network.parameters(), settings.learning_rate, settings.weight_decay)
        self._cluster, self._settings, self._schema = cluster, settings, schema
        self._stop_requested = stop_requested
        self._train, self._validation = self._moved(data.train), self._moved(data.validation)
        self._choose_threads()
        self._steps = max(-(-rows // settings.batch_size) for rows in cluster.gather(len(data.train)))

    def run_epoch(self, epoch: int) -> Metrics:
        """Train on every row once and measure, or raise ``StopRequestedError`` on all hosts alike."""
        # Seeded by epoch, so that a resumed job goes on exactly as it would have without the interruption.
        torch.manual_seed((self._settings.seed * 1_000_003 + epoch) * self._cluster.size + self._cluster.rank)
        self.network.train()
        order = torch.randperm(len(self._train), device=self._device)
        loss_sum, rows = 0.0, 0.0
        for step in range(self._steps):
            start = step * self._settings.batch_size
            loss, count = self._step(order[start : start + self._settings.batch_size])
            loss_sum, rows = loss_sum + loss, rows + count
        return self._measured(epoch, loss_sum / rows)

    def _choose_threads(self) -> None:
        """Compute small networks on one thread: waiting for the others costs more than they give.

        Two hosts on a machine of two cores took 12 seconds for Iris with torch's default and 3 with one thread.
        """
        weights = sum(parameter.numel() for parameter in self.network.parameters())
        if weights * self._settings.batch_size < WORTH_THREADS:
            torch.set_num_threads(1)

    def _step(self, chosen: torch.Tensor) -> tuple[float, float]:
        self.network.zero_grad()
        loss = torch.zeros((), device=self._device)
        if len(chosen):
            loss = self._loss(self.network(self._train.inputs[chosen]), self._train.labels[chosen])
            torch.autograd.backward(loss)
        notes = torch.tensor([loss.item(), len(chosen), self._stop_requested()])
        total = self._cluster.add(torch.cat([self.optimizer.gradient().cpu(), notes]))
        loss_sum, count, stops = total[-3:].tolist()
        if stops:
            raise StopRequestedError
        self.optimizer.step((total[:-3] / count).to(self._device))
        return loss_sum, count

    def _loss(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss summed over rows: the mean over all hosts is taken after the exchange."""
        if self._schema.classes:
            return functional.cross_entropy(outputs, labels, reduction="sum")
        return functional.mse_loss(outputs[:, 0], labels, reduction="sum")

    @torch.inference_mode()
    def _measured(self, epoch: int, train_loss: float) -> Metrics:
        self.network.eval()
        sums = torch.zeros(3, dtype=torch.float64)
        for start in range(0, len(self._validation), EVALUATION_ROWS):
            labels = self._validation.labels[start : start + EVALUATION_ROWS]
            outputs = self.network(self._validation.inputs[start : start + EVALUATION_ROWS])
            sums += torch.tensor([self._loss(outputs, labels).item(), self._hits(outputs, labels), len(labels)])
        loss, hits, rows = self._cluster.add(sums).tolist()
        metrics = self._metrics(epoch, train_loss, loss / rows, hits / rows)
        if not all(torch.isfinite(torch.tensor(list(metrics.values().values())))):
            message = f"Training diverged: {metrics.line()}. Lower learning_rate, or look for outliers in the data."
            raise TrainingDivergedError(message)
        return metrics

    def _hits(self, outputs: torch.Tensor, labels: torch.Tensor) -> float:
        """Return the number of right answers; a regression has its squared error in the loss already."""
        return float((outputs.argmax(dim=1) == labels).sum()) if self._schema.classes else 0.0

    def _metrics(self, epoch: int, train_loss: float, validation_loss: float, accuracy: float) -> Metrics:
        if self._schema.target is None:
            return Metrics(epoch, train_loss, validation_loss, accuracy, "validation_accuracy")
        rmse = validation_loss**0.5 * self._schema.target.deviation[0]
        return Metrics(epoch, train_loss, validation_loss, rmse, "validation_rmse")

    def _moved(self, examples: Examples) -> Examples:
        return Examples(examples.inputs.to(self._device), examples.labels.to(self._device))
