"""The README's table of kills and the tests that prove it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def rows_in_readme() -> list[str]:
    """Return the first column of the table."""
    section = (CHECKOUT / "README.md").read_text().split("## What a kill does")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (.+?) \|", section, re.MULTILINE)
    return cells[1:]


def rows_in_tests() -> list[str]:
    """Return what the marks ``kill_row`` name."""
    tree = ast.parse((CHECKOUT / "tests" / "e2e" / "test_kill.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return [ast.literal_eval(call.args[0]) for call in calls if ast.unparse(call.func) == "pytest.mark.kill_row"]


def test_every_row_is_proven_and_every_proof_is_told() -> None:
    """Whoever changes one of the two has to change the other."""
    assert len(rows_in_readme()) > 10
    assert sorted(rows_in_readme()) == sorted(rows_in_tests())
