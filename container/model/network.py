"""The network itself; start here to change the architecture."""

from collections.abc import Sequence

from torch import nn


def build_network(inputs: int, hidden_units: Sequence[int], outputs: int, dropout: float = 0.0) -> nn.Sequential:
    """Return a feed-forward network with ReLU, and dropout after every hidden layer."""
    layers: list[nn.Module] = []
    for width in hidden_units:
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))
