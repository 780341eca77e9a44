"""SIGTERM during training: a request to save and leave within 120 seconds."""

import signal
from types import FrameType


class StopSignal:
    """Remembers that SageMaker asked the job to stop; training asks for it at its next safe point."""

    def __init__(self) -> None:
        self._requested = False

    def listen(self) -> None:
        """Start to notice SIGTERM, which without a handler would be lost on process 1 of a container."""
        signal.signal(signal.SIGTERM, self._note)

    def requested(self) -> bool:
        """Tell whether the job has been asked to stop."""
        return self._requested

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._requested = True
