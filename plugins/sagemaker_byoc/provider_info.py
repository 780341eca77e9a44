"""What Airflow's provider manager learns about this distribution."""

from __future__ import annotations

from typing import Any

__all__ = ["get_provider_info"]

LINKS = ("TrainingJobLink", "ModelLink", "EndpointLink", "LogLink")


def get_provider_info() -> dict[str, Any]:
    """Return the description in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-sagemaker-byoc",
        "name": "SageMaker, bring your own container",
        "description": "Retrain a model of your own, in a container of your own, on AWS SageMaker.",
        "integrations": [
            {
                "integration-name": "Amazon SageMaker, bring your own container",
                "external-doc-url": "https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms.html",
                "tags": ["aws"],
            }
        ],
        "extra-links": [f"sagemaker_byoc.links.{name}" for name in LINKS],
    }
