"""What endpoint configurations tell about the deployments of an endpoint.

Owns the tags that are written for that, the table of configurations, which of them is the one before the live one, and
whose model a candidate stands beside. Makes no call. Knows neither Airflow nor boto3.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timezone
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.candidate import CANDIDATE_FOR
from sagemaker_byoc.text_table import aligned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

__all__ = [
    "CANDIDATE_PACKAGE",
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
    "line_of",
    "table",
    "without_candidate",
]

CANDIDATE_PACKAGE = "candidate_package"
"""Tag of a combined configuration: ARN of the candidate's version in the model registry, where there is one.

Not ``model_package``, by which the candidate would pass for what is live.
"""
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
"""Tag of a combined configuration whose candidate the endpoint was told to give what it will have to itself: when the
endpoint had been changed last before, ISO 8601. Empty otherwise."""


@dataclass(frozen=True)
class KnownConfig:
    """An endpoint configuration that was deployed to an endpoint.

    :param created: ISO 8601, UTC
    :param endpoint: what it was deployed to; empty when this package did not do that, and for a combined one
    :param data_date: ISO 8601; empty when it is not known
    :param replaced: what was live before; empty when there was nothing, or it is not known
    :param model_package: ARN of the model's version in the registry; empty when there is none
    :param candidate_for: of a combined one, the configuration that its candidate will have to itself; empty otherwise
    :param candidate_package: of a combined one, ARN of the candidate's version; empty when there is none
    """

    name: str
    created: str
    endpoint: str = ""
    data_date: str = ""
    models: tuple[str, ...] = ()
    run_id: str = ""
    replaced: str = ""
    smoke_test: str = ""
    model_package: str = ""
    candidate_for: str = ""
    candidate_package: str = ""

    @classmethod
    def of(cls, name: str, created: datetime, models: Sequence[str], tags: Mapping[str, str]) -> KnownConfig:
        """Read it off AWS's answers."""
        return cls(
            name=name,
            created=created.astimezone(timezone.utc).isoformat(),
            endpoint=tags.get(ENDPOINT, ""),
            data_date=tags.get(DATA_DATE, ""),
            models=tuple(models),
            run_id=tags.get("airflow:run_id", ""),
            replaced=tags.get(REPLACED, ""),
            smoke_test=tags.get(SMOKE_TEST, ""),
            model_package=tags.get(MODEL_PACKAGE, ""),
            candidate_for=tags.get(CANDIDATE_FOR, ""),
            candidate_package=tags.get(CANDIDATE_PACKAGE, ""),
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


def before(
    live: str | None, known: Sequence[KnownConfig], look: Callable[[str], KnownConfig | None] = lambda _: None
) -> str | None:
    """Return the configuration to go back to: what the live one replaced, else the newest one made before it.

    Where the choice is by age, those that passed a smoke test come first: the tags of others do not tell whether they
    were ever live. One that failed is passed over, unless it is the one that clients have beside the live candidate.
    What held a candidate before is no way back.

    :param live: the live configuration; None when the endpoint does not exist
    :param known: newest first
    :param look: describes a configuration that is not among them; None when it does not exist (any more)
    """
    listed = {config.name: config for config in known}

    def find(name: str) -> KnownConfig | None:
        return listed.get(name) or look(name)

    good = [config for config in known if not (config.failed or config.candidate_for or config.name == live)]
    now = find(live) if live else None
    if now is not None:
        replaced = without_candidate(now.replaced, find)
        if replaced is not None and replaced.name != live and (now.candidate_for or not replaced.failed):
            return replaced.name
        good = [config for config in good if config.created < now.created and config.name != now.candidate_for]
    best = next((config for config in good if config.passed), None) or next(iter(good), None)
    return best.name if best else None


def without_candidate(name: str, look: Callable[[str], KnownConfig | None]) -> KnownConfig | None:
    """Return a configuration; in the place of a combined one, that of the model which its candidate was put beside.

    :param name: empty for none
    :param look: describes a configuration; None when it does not exist (any more)
    :return: None when it does not exist (any more), or nobody knows which one that is
    """
    line = list(line_of(name, look))
    return line[-1] if line and not line[-1].candidate_for else None


def line_of(name: str, look: Callable[[str], KnownConfig | None]) -> Iterator[KnownConfig]:
    """Yield a configuration, and behind each combined one what that replaced, as far as the first without a candidate.

    A candidate that was left behind may have another one put beside it.
    """
    seen: set[str] = set()
    while name and name not in seen and (config := look(name)) is not None:
        yield config
        seen.add(name)
        name = config.replaced if config.candidate_for else ""


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
