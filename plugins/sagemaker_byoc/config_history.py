"""What endpoint configurations tell about the deployments of an endpoint.

Owns the tags that are written for that, the table of configurations, and which of them is the one before the live one.
Makes no call. Knows neither Airflow nor boto3.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.text_table import aligned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

__all__ = [
    "DATA_DATE",
    "ENDPOINT",
    "FAILED",
    "MODEL_PACKAGE",
    "PASSED",
    "PROMOTION",
    "REPLACED",
    "SMOKE_TEST",
    "KnownConfig",
    "before",
    "table",
]

DATA_DATE = "data_date"
"""Tag: the date of the data that the model was trained on, for later runs to compare with theirs."""
ENDPOINT = "endpoint"
"""Tag: the endpoint that the configuration was deployed to."""
MODEL_PACKAGE = "model_package"
"""Tag: ARN of the model's version in the model registry, where there is one."""
REPLACED = "replaced_config"
"""Tag: the configuration that was live when this one was deployed; empty when there was none."""
SMOKE_TEST = "smoke_test"
"""Tag: how the last smoke test of this configuration ended, ``passed`` or ``failed: <why>``.

One that AWS could not make live has failed without a test.
"""
PASSED, FAILED = "passed", "failed"
PROMOTION = "promotion"
"""Tag of a combined configuration: ``begun`` once the endpoint was told to give its candidate what it will have to
itself."""


@dataclass(frozen=True)
class KnownConfig:
    """An endpoint configuration that was deployed to an endpoint.

    :param created: ISO 8601
    :param data_date: ISO 8601; empty when it is not known
    :param replaced: what was live before; empty when there was nothing, or it is not known
    :param model_package: ARN of the model's version in the registry; empty when there is none
    """

    name: str
    created: str
    data_date: str = ""
    models: tuple[str, ...] = ()
    run_id: str = ""
    replaced: str = ""
    smoke_test: str = ""
    model_package: str = ""

    @classmethod
    def of(cls, name: str, created: datetime, models: Sequence[str], tags: Mapping[str, str]) -> KnownConfig:
        """Read it off AWS's answers."""
        return cls(
            name=name,
            created=created.isoformat(),
            data_date=tags.get(DATA_DATE, ""),
            models=tuple(models),
            run_id=tags.get("airflow:run_id", ""),
            replaced=tags.get(REPLACED, ""),
            smoke_test=tags.get(SMOKE_TEST, ""),
            model_package=tags.get(MODEL_PACKAGE, ""),
        )

    @property
    def failed(self) -> bool:
        """Say whether its smoke test failed, or it never became live."""
        return self.smoke_test.startswith(FAILED)

    @property
    def passed(self) -> bool:
        """Say whether it was live and passed its smoke test."""
        return self.smoke_test == PASSED

    def as_json(self) -> dict[str, Any]:
        """Return it as an XCom holds it."""
        return {**asdict(self), "models": list(self.models)}


def before(live: str | None, known: Sequence[KnownConfig]) -> str | None:
    """Return the configuration to go back to: what the live one replaced, else the newest one made before it.

    Where the choice is by age, those that passed a smoke test come first: the tags of others do not tell whether they
    were ever live. One that failed is passed over.

    :param live: the live configuration; None when the endpoint does not exist
    :param known: newest first
    """
    good = [config for config in known if not config.failed and config.name != live]
    now = next((config for config in known if config.name == live), None)
    if now is not None:
        if any(config.name == now.replaced for config in good):
            return now.replaced
        good = [config for config in good if config.created < now.created]
    best = next((config for config in good if config.passed), None) or next(iter(good), None)
    return best.name if best else None


def table(known: Sequence[KnownConfig], live: str | None) -> str:
    """Return the configurations as aligned text, the live one marked."""
    rows = [("", "configuration", "created", "data", "model", "run", "smoke test")]
    rows += [
        (
            "live" if config.name == live else "",
            config.name,
            config.created[:19],
            config.data_date[:10] or "?",
            ", ".join(config.models),
            config.run_id,
            config.smoke_test.split(":")[0],
        )
        for config in known
    ]
    return "\n".join(aligned(rows))
