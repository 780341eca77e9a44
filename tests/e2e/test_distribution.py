"""The two ways to give Airflow the provider: the wheel and the plugins folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from typing import TYPE_CHECKING

import pytest

from local_stack.home import CHECKOUT
from tests.support.readme import command

if TYPE_CHECKING:
    from pathlib import Path

LINKS = ("TrainingJobLink", "ModelLink", "EndpointLink", "LogLink")


def run(command: list[str], **environment: str) -> str:
    """Return a command's output; its own words show when it fails."""
    ran = subprocess.run(
        command, cwd=CHECKOUT, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment that has Airflow and the freshly built wheel, and no checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(CHECKOUT)])
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "environment", with_pip=True)
    python = folder / "environment" / "bin" / "python"
    run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)])
    # Airflow itself is borrowed from this environment: installing it again would only test pip
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "environment" / "lib" / version / "site-packages"
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return python


def test_the_wheel_registers_provider_and_links(installed: Path, tmp_path: Path) -> None:
    """Airflow lists the installed provider and its console links, without any configuration."""
    script = (
        "import json; from airflow.providers_manager import ProvidersManager as P; p = P();"
        "print(json.dumps([sorted(p.providers), sorted(p.extra_links_class_names)]))"
    )
    output = run([str(installed), "-c", script], AIRFLOW_HOME=str(tmp_path), PYTHONPATH="")
    providers, links = json.loads(output.splitlines()[-1])
    assert "airflow-provider-sagemaker-byoc" in providers
    assert {f"sagemaker_byoc.links.{name}" for name in LINKS} <= set(links)


def test_the_wheel_holds_the_provider_and_nothing_else(installed: Path) -> None:
    """Local AWS, stack and tests stay in the repository."""
    script = "from importlib.metadata import files; print(*files('airflow-provider-sagemaker-byoc'), sep='\\n')"
    names = run([str(installed), "-c", script], PYTHONPATH="").splitlines()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"sagemaker_byoc"}


def test_the_wheel_in_plugins_zip_lies_where_mwaa_unpacks_it() -> None:
    """The README's two commands put the wheel at the top of the archive, under the name that its next line gives."""
    archive = CHECKOUT / "plugins.zip"
    try:
        for beginning in ("make wheel", "python3 -m zipfile"):
            run(["bash", "-c", command(beginning)])
        names = zipfile.ZipFile(archive).namelist()
    finally:
        archive.unlink(missing_ok=True)
    assert len(names) == 1
    assert f"/usr/local/airflow/plugins/{names[0]}`" in (CHECKOUT / "README.md").read_text()


def test_the_plugins_folder_loads_no_module_twice(tmp_path: Path) -> None:
    """Airflow's plugin loader leaves the package alone, and a DAG imports it under its one name."""
    script = """
import json, sys
from airflow import plugins_manager
plugins_manager.ensure_plugins_loaded()
import sagemaker_byoc.operators.image, sagemaker_byoc.errors
paths = {}
for name, module in sys.modules.items():
    path = getattr(module, "__file__", None) or ""
    if "/plugins/sagemaker_byoc/" in path:
        paths.setdefault(path, []).append(name)
print(json.dumps([plugins_manager.get_import_errors(), paths]))
"""
    environment = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
        "PYTHONPATH": "",
    }
    output = run([sys.executable, "-c", script], **environment)
    import_errors, paths = json.loads(output.splitlines()[-1])
    assert import_errors == {}
    assert paths
    assert all(len(names) == 1 for names in paths.values()), paths
