"""What importing the package costs a DAG processor."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[3] / "plugins" / "sagemaker_byoc"
HEAVY = ("airflow.providers.amazon", "asgiref", "boto3", "botocore", "docker", "requests")
SCRIPT = """
import importlib, json, sys
import airflow.sdk.bases.sensor, airflow.triggers.base
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def modules() -> list[str]:
    """Return the dotted name of every module of the package."""
    paths = [path.relative_to(PACKAGE.parent).with_suffix("") for path in PACKAGE.rglob("*.py")]
    return [".".join(path.parts).removesuffix(".__init__") for path in paths]


def test_no_module_imports_a_client_of_aws_or_docker() -> None:
    """A DAG processor parses every file again and again; what tasks need is imported when they run."""
    command = [sys.executable, "-c", SCRIPT, *modules()]
    ran = subprocess.run(command, env={"PYTHONPATH": str(PACKAGE.parent)}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    imported = json.loads(ran.stdout.splitlines()[-1])
    assert "sagemaker_byoc.operators.training_job" in imported
    assert [name for name in imported if name.startswith(HEAVY)] == []


def test_no_module_hides_one_of_the_standard_library() -> None:
    """Airflow may load a plugin's files by their bare names, where ``types.py`` would replace Python's own."""
    assert {name.rpartition(".")[2] for name in modules()}.isdisjoint(sys.stdlib_module_names)


def test_airflows_plugin_loader_is_kept_out() -> None:
    """It would load every file a second time under another name, and ``except`` would miss its errors."""
    assert (PACKAGE.parent / ".airflowignore").read_text().split() == ["sagemaker_byoc/"]
