"""The README's table of what serves after a deployment that failed, and the tests that prove it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PROOFS = [
    *(CHECKOUT / "tests" / "integration" / "sagemaker_byoc").glob("test_*.py"),
    *(CHECKOUT / "tests" / "e2e").rglob("test_*.py"),
]


def rows_in_readme() -> list[str]:
    """Return the first column of the table."""
    section = (CHECKOUT / "README.md").read_text().split("## The way back")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (.+?) \|", section, re.MULTILINE)
    return cells[1:]


def rows_in_tests() -> set[str]:
    """Return what the marks ``way_back_row`` of test functions name; a row may have several proofs."""
    functions = [
        node
        for path in PROOFS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    marks = [mark for function in functions for mark in function.decorator_list if isinstance(mark, ast.Call)]
    return {ast.literal_eval(mark.args[0]) for mark in marks if ast.unparse(mark.func) == "pytest.mark.way_back_row"}


def test_every_row_is_proven_and_every_proof_is_told() -> None:
    """Whoever changes one of the two has to change the other."""
    assert len(rows_in_readme()) > 10
    assert len(set(rows_in_readme())) == len(rows_in_readme())
    assert set(rows_in_readme()) == rows_in_tests()
