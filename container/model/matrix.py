"""Turn rows of cells, as they come from CSV or JSON, into a matrix of finite numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


class CellError(ValueError):
    """One cell is not a finite number.

    :param row: position of the row, from 0.
    :param column: position of the column, from 0.
    :param reason: what is wrong with the cell, to follow the name of its place.
    """

    def __init__(self, row: int, column: int, reason: str) -> None:
        super().__init__(reason)
        self.row = row
        self.column = column
        self.reason = reason


def to_matrix(rows: Sequence[Sequence[Any]], width: int) -> Matrix:
    """Return the rows, each ``width`` cells long, as numbers, or raise ``CellError`` for the first bad cell."""
    if not rows:
        return np.empty((0, width))
    try:
        matrix = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        matrix = np.array([])
    if matrix.shape == (len(rows), width) and np.isfinite(matrix).all():
        return matrix
    # The array says that a cell is bad but not which one, so they are looked at one by one.
    return np.array([[_number(cell, r, c) for c, cell in enumerate(row)] for r, row in enumerate(rows)])


def _number(cell: Any, row: int, column: int) -> float:
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        raise CellError(row, column, "is empty")
    shown = repr(cell)[:40]
    try:
        value = float(cell)
    except (TypeError, ValueError, OverflowError) as error:
        raise CellError(row, column, f"is {shown}, not a number") from error
    if not np.isfinite(value):
        raise CellError(row, column, f"is {shown}, not a finite number")
    return value
