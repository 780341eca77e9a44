"""The decisions of a deployment."""

from __future__ import annotations

import pytest

from sagemaker_byoc.deployment import Step, data_date, fill_in_variants, is_older, next_step
from sagemaker_byoc.endpoint_status import EndpointLook
from sagemaker_byoc.errors import RequestError

STEPS = [
    ("InService", "new", None, Step.NONE),
    ("InService", "old", None, Step.UPDATE),
    ("Creating", "new", None, Step.ADOPT),
    ("Creating", "old", None, Step.WAIT),
    ("Updating", "old", "new", Step.ADOPT),
    ("Updating", "old", "other", Step.WAIT),
    ("Updating", "new", "other", Step.WAIT),
    ("RollingBack", "old", "new", Step.WAIT),
    ("SystemUpdating", "new", None, Step.WAIT),
    ("Deleting", "new", None, Step.WAIT),
    ("Failed", "new", None, Step.DELETE),
    ("OutOfService", "new", None, Step.DELETE),
    ("OutOfService", "old", None, Step.UPDATE),
    ("UpdateRollbackFailed", "new", None, Step.UPDATE),
]


@pytest.mark.parametrize(("status", "live", "pending", "step"), STEPS)
def test_every_state_has_its_next_step(status: str, live: str, pending: str | None, step: Step) -> None:
    """A deployment never fails because the endpoint exists or is busy."""
    assert next_step(EndpointLook("iris", status, live, pending), "new") is step


def test_a_missing_endpoint_is_created() -> None:
    """The first deployment needs no preparation."""
    assert next_step(None, "new") is Step.CREATE


def test_a_single_variant_needs_only_what_decides_the_bill() -> None:
    """Model and variant name are filled in, instances are not."""
    filled = fill_in_variants({"ProductionVariants": [{"InstanceType": "ml.m5.large"}], "KmsKeyId": "k"}, "model-1")
    variant = {"ModelName": "model-1", "VariantName": "AllTraffic", "InstanceType": "ml.m5.large"}
    assert filled == {"ProductionVariants": [variant], "KmsKeyId": "k"}


def test_what_the_user_wrote_wins() -> None:
    """A variant that names its model and itself is left as it is."""
    variants = [{"VariantName": "old", "ModelName": "model-0"}, {"VariantName": "new"}]
    filled = fill_in_variants({"ProductionVariants": variants}, "model-1")["ProductionVariants"]
    assert [variant["ModelName"] for variant in filled] == ["model-0", "model-1"]


def test_the_config_itself_is_not_changed() -> None:
    """A retry renders and fills in the same config again."""
    config = {"ProductionVariants": [{"VariantName": "a"}]}
    fill_in_variants(config, "model-1")
    assert config == {"ProductionVariants": [{"VariantName": "a"}]}


@pytest.mark.parametrize("variants", [None, [], {}])
def test_without_variants_the_message_shows_one(variants: object) -> None:
    """The instance type is the user's to choose, so nothing is invented."""
    with pytest.raises(RequestError, match="InstanceType"):
        fill_in_variants({"ProductionVariants": variants}, "model-1")


@pytest.mark.parametrize(("production", "shadows"), [(2, 1), (1, 2)])
def test_one_production_variant_has_one_shadow(production: int, shadows: int) -> None:
    """AWS has no more than that, which its service model does not say."""
    variants = [{"VariantName": name} for name in "ab"]
    config = {"ProductionVariants": variants[:production], "ShadowProductionVariants": variants[:shadows]}
    with pytest.raises(RequestError, match=f"config.ShadowProductionVariants: got '{shadows} beside {production}'"):
        fill_in_variants(config, "model-1")
    fill_in_variants({**config, "ProductionVariants": variants[:1], "ShadowProductionVariants": variants[1:]}, "m")


@pytest.mark.parametrize(
    ("mine", "live", "older"),
    [
        ("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00", True),
        ("2026-01-02T00:00:00+00:00", "2026-01-01T00:00:00+00:00", False),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00", False),
        ("2026-01-01T00:00:00+02:00", "2026-01-01T00:00:00Z", True),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:01Z", True),
        (None, "2026-01-02T00:00:00Z", False),
        ("2026-01-01T00:00:00Z", None, False),
        ("2026-01-01T00:00:00Z", "not a date", False),
    ],
)
def test_a_run_is_older_only_when_both_dates_say_so(mine: str | None, live: str | None, older: bool) -> None:
    """A backfill of last year must not replace this year's model; an unknown date holds nobody up."""
    assert is_older(mine, live) is older


@pytest.mark.parametrize(
    ("given", "date"),
    [
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("2026-01-31T06:00:00+02:00", "2026-01-31T06:00:00+02:00"),
        ("2026-01-31T06:00:00Z", "2026-01-31T06:00:00+00:00"),
        (None, "of the run"),
        ("", "of the run"),
        ("None", "of the run"),
    ],
)
def test_the_date_of_the_data_is_the_users_or_the_runs(given: str | None, date: str) -> None:
    """A bare date is midnight UTC; an empty template stands for the run's own date."""
    assert data_date(given, "of the run") == date


def test_a_date_that_is_none_is_refused() -> None:
    """A date that cannot be compared would switch the guard off."""
    with pytest.raises(RequestError, match=r"data_date: got 'yesterday'.*2026-01-31"):
        data_date("yesterday", None)
