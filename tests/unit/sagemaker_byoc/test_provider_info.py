"""What Airflow learns about this distribution."""

from __future__ import annotations

import importlib
import json
import re
from importlib.resources import files
from pathlib import Path

from airflow.sdk import BaseOperatorLink
from jsonschema.validators import validator_for  # type: ignore[import-untyped]

from sagemaker_byoc.provider_info import get_provider_info

PYPROJECT = (Path(__file__).parents[3] / "pyproject.toml").read_text()


def test_the_description_is_one_that_airflow_takes() -> None:
    """It fulfils Airflow's own schema, and says nothing that the schema does not know."""
    schema = json.loads((files("airflow") / "provider_info.schema.json").read_text())
    # as Airflow does it: the schema itself is not quite valid
    validator_for(schema)(schema).validate(get_provider_info())
    assert get_provider_info().keys() <= schema["properties"].keys()


def test_the_distribution_is_named_as_it_is_packaged() -> None:
    """Airflow ignores a provider whose package-name is not that of the distribution."""
    assert f'name = "{get_provider_info()["package-name"]}"' in PYPROJECT


def test_pyproject_leads_airflow_to_the_description() -> None:
    """The entry point that Airflow looks for names this function."""
    [path] = re.findall(r'apache_airflow_provider\]\nprovider_info = "(.+)"', PYPROJECT)
    module, _, name = path.partition(":")
    assert getattr(importlib.import_module(module), name) is get_provider_info


def test_every_link_is_registered() -> None:
    """Each button class that the package exports is in the list, and each name in the list is a button."""
    links = importlib.import_module("sagemaker_byoc.links")
    registered = set(get_provider_info()["extra-links"])
    exported = {name for name in links.__all__ if isinstance(getattr(links, name), type)} - {"ConsoleLink"}
    assert registered == {f"sagemaker_byoc.links.{name}" for name in exported}
    for path in registered:
        assert issubclass(getattr(links, path.rpartition(".")[2]), BaseOperatorLink)
