"""What a loaded model offers to the server."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

Decoder = Callable[[bytes, Mapping[str, str]], Any]
"""Turns a request body and the parameters of its ``Content-Type`` into a batch, or raises ``BadRequestError``."""

Prediction = Mapping[str, Any]
"""One answer, ready for JSON. A CSV answer shows its first field only."""


class Predictor(Protocol):
    """A model that answers; ``model.load(model_dir)`` returns one."""

    @property
    def decoders(self) -> Mapping[str, Decoder]:
        """How to read a body, by media type; any other media type is answered with 415."""

    def predict(self, batch: Any) -> list[Prediction]:
        """Answer a decoded batch, one prediction for each of its rows."""

    def sample(self) -> Any:
        """Return a batch to try the model with: ``/ping`` predicts it."""
