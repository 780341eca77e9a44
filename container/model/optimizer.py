"""AdamW on one flat vector.

``torch.optim`` would do the same, but building its first optimizer imports ``torch._dynamo``, which takes as long as
``import torch`` itself (1.7 s) and would be the largest part of a small job. Gradients are flat here anyway, so that
the hosts exchange them in a single call. Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class FlatAdamW:
    """Updates the parameters of a network from one vector that holds all of its gradients.

    :param parameters: what to update.
    :param learning_rate: step size.
    :param weight_decay: share of a weight, in units of the learning rate, that each step takes away.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], learning_rate: float, weight_decay: float) -> None:
        self._parameters = list(parameters)
        self._learning_rate = learning_rate
        self._weight_decay = weight_decay
        self._steps = 0
        self._mean = torch.zeros_like(parameters_to_vector(self._parameters).detach())
        self._variance = torch.zeros_like(self._mean)

    def gradient(self) -> torch.Tensor:
        """Return the gradients as one vector, zero where there is none yet."""
        return torch.cat([_gradient_of(parameter).reshape(-1) for parameter in self._parameters])

    @torch.no_grad()
    def step(self, gradient: torch.Tensor) -> None:
        """Move the parameters against the gradient."""
        self._steps += 1
        self._mean.lerp_(gradient, 1 - BETAS[0])
        self._variance.lerp_(gradient**2, 1 - BETAS[1])
        mean = self._mean / (1 - BETAS[0] ** self._steps)
        variance = self._variance / (1 - BETAS[1] ** self._steps)
        weights = parameters_to_vector(self._parameters)
        weights *= 1 - self._learning_rate * self._weight_decay
        vector_to_parameters(weights - self._learning_rate * mean / (variance.sqrt() + EPSILON), self._parameters)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs to go on."""
        return {"steps": self._steps, "mean": self._mean, "variance": self._variance}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._steps = state["steps"]
        self._mean.copy_(state["mean"])
        self._variance.copy_(state["variance"])


def _gradient_of(parameter: torch.nn.Parameter) -> torch.Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
