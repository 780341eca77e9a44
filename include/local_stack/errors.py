"""What can go wrong with the stack, each as the one line that a person needs."""

from __future__ import annotations

__all__ = ["AlreadyRunningError", "PartFailedError", "RunFailedError", "StackError"]


class StackError(Exception):
    """The stack cannot do what was asked; the text is the whole message."""


class AlreadyRunningError(StackError):
    """Another stack uses this checkout's home."""


class PartFailedError(StackError):
    """A part of the stack did not come up, or ended by itself."""


class RunFailedError(StackError):
    """The stack works, the DAG run failed."""
