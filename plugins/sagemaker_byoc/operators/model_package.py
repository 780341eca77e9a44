"""Puts what was trained into the model registry, approves what was proven and rejects what was not.

Owns the order of the steps. Which properties a version gets is decided in ``model_package`` and ``lineage``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from sagemaker_byoc.deployment import data_date
from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.lineage import LineageHook
from sagemaker_byoc.hooks.model_package import ModelPackageHook
from sagemaker_byoc.hooks.rejection import why_not_rejected
from sagemaker_byoc.hooks.training_job import TrainingJobHook
from sagemaker_byoc.hooks.training_job_end import result_of
from sagemaker_byoc.lineage import Lineage
from sagemaker_byoc.model_package import (
    APPROVED,
    PENDING,
    REJECTED,
    client_token,
    group_name,
    inference_specification,
    package_arn,
    properties,
)
from sagemaker_byoc.request import as_mapping
from sagemaker_byoc.restoration import Deployed
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.run import PROJECT, RunIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context, XComArg

__all__ = ["ApproveModelOperator", "RegisterModelOperator", "RejectModelOperator"]


class RegisterModelOperator(BaseOperator):
    """Register what a training job made as a version of a model package group, with its metrics and its lineage.

    A job is registered once in a group: a retry, or another task, finds the version that is there. The group is made
    if there is none. Metrics, job, image digest, commit, data date and a digest over the data's ETags become
    ``CustomerMetadataProperties`` of the version, as many as fit; the whole, with each object of the data, goes as JSON
    to S3 beside the model, as ``model_package.json``, and the version names it in its ``ModelMetrics``. ETags are those
    of the time of registration; objects that were written after the job began are counted.

    Returns ``{"model_package_arn", "version", "approval_status"}``.

    :param training_job: what ``TrainingJobSensor`` returned, or the name of a completed job (templated)
    :param model_package_group: name of the group, or the ARN of one that exists. Empty, as a setting that was left out,
        skips the task (templated)
    :param config: CreateModelPackage request (templated). ``InferenceSpecification`` gets the job's image and artifact
        where it names no container; a version of a group can have no tags
    :param group_config: CreateModelPackageGroup request, for a group that is made now (templated)
    :param approval_status: ``PendingManualApproval``, ``Approved`` or ``Rejected``. The champion of
        ``EvaluateChallengerOperator`` is an approved version, so leave it pending until the model is proven, and then
        let ``ApproveModelOperator`` approve it (templated)
    :param git_commit: commit of the code; empty is unknown (templated)
    :param data_date: of the data that the model was trained on, an ISO 8601 date or datetime. None is the begin of the
        run's data interval, else its logical date (templated)
    :param maximum_objects: of each channel; of a channel that has more, no object is recorded
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = (
        "training_job",
        "model_package_group",
        "config",
        "group_config",
        "approval_status",
        "git_commit",
        "data_date",
        "aws_conn_id",
        "region_name",
    )
    template_fields_renderers = {"config": "json", "group_config": "json"}  # noqa: RUF012 - as Airflow declares it
    ui_color = "#e1d5e7"

    def __init__(
        self,
        *,
        training_job: dict[str, Any] | str | XComArg,
        model_package_group: str | None,
        config: dict[str, Any] | None = None,
        group_config: dict[str, Any] | None = None,
        approval_status: str = PENDING,
        git_commit: str | None = None,
        data_date: str | None = None,
        maximum_objects: int = 10_000,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.training_job = cast("dict[str, Any] | str", training_job)  # rendered before it is used
        self.model_package_group = model_package_group
        self.config = config
        self.group_config = group_config
        self.approval_status = approval_status
        self.git_commit = git_commit
        self.data_date = data_date
        self.maximum_objects = maximum_objects
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def execute(self, context: Context) -> dict[str, Any]:
        """Check the request and see to it that the job is registered."""
        with fail_fast():
            group = group_name(self.model_package_group)
            if not group:
                raise AirflowSkipException("there is no model_package_group, so that nothing is registered")
            run = RunIdentity.of(context)
            date = data_date(self.data_date, run.data_date)
            needed = ("training_job_name", "model_artifacts", "image_uri")
            result = result_of(self._connection, self.training_job, *needed, with_metrics=True)
            request = self._request(group, result)
            group_request = self._group_request(group, run)
            hook, name = ModelPackageHook(self._connection), str(result["training_job_name"])
            job = self._described(name)
            package = hook.of_job(group, name, job["CreationTime"])
            if package is None:
                if group_request and hook.ensure_group(group_request):
                    self.log.info("Model package group %s created.", group)
                lineage = self._lineage(job, run, result["metrics"], date)
                package = hook.create(self._with_lineage(request, lineage, str(result["model_artifacts"])))
            self.log.info("Training job %s is %s, %s.", name, package.arn, package.approval_status)
            return package.result()

    def _described(self, name: str) -> dict[str, Any]:
        job = TrainingJobHook(self._connection).describe(name)
        if job is None:
            allowed = f"a training job that exists in {self._connection.region}"
            raise RequestError("training_job", name, allowed, "Was it deleted?")
        return job

    def _request(self, group: str, result: Mapping[str, Any]) -> dict[str, Any]:
        """Return the checked request, without what is known of the model; ``config`` is left as it is."""
        config = as_mapping(self.config or {}, "config")
        for member in ("Tags", "ModelPackageName"):
            if config.get(member):
                allowed = "nothing: a version has its group's tags, and a number for its name"
                raise RequestError(f"config.{member}", config[member], allowed, "Give tags in group_config.")
        given = as_mapping(config.get("InferenceSpecification") or {}, "config.InferenceSpecification")
        return self._conform(
            {
                "ModelApprovalStatus": self.approval_status,
                "ClientToken": client_token(group, str(result["training_job_name"])),
                **config,
                "ModelPackageGroupName": group,
                "InferenceSpecification": inference_specification(given, result),
            }
        )

    def _conform(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return self._connection.conform("sagemaker", "CreateModelPackage", request)

    def _group_request(self, group: str, run: RunIdentity) -> dict[str, Any] | None:
        """Return the checked request for the group; None for an ARN, by which no group can be made."""
        if group.startswith("arn:"):
            return None
        given = as_mapping(self.group_config or {}, "group_config")
        # Of the run and its task the group says nothing: it outlives both.
        own = [{"Key": "project", "Value": PROJECT}, {"Key": "airflow:dag_id", "Value": run.dag_id}]
        request = {"Tags": own, **given, "ModelPackageGroupName": group}
        return self._connection.conform("sagemaker", "CreateModelPackageGroup", request, field="group_config")

    def _lineage(
        self, job: Mapping[str, Any], run: RunIdentity, metrics: Mapping[str, float], date: str | None
    ) -> Lineage:
        hook = LineageHook(self._connection, maximum_objects=self.maximum_objects)
        commit = (self.git_commit or "").strip()
        lineage = Lineage(job, run, metrics, hook.channels(job), date, None if commit == "None" else commit or None)
        if lineage.changed_objects:
            self.log.warning(
                "%d objects of the data were written after the job began, so that it may have read others.",
                lineage.changed_objects,
            )
        return lineage

    def _with_lineage(self, request: Mapping[str, Any], lineage: Lineage, artifact: str) -> dict[str, Any]:
        """Write the record, and return the request with everything that is known of the model."""
        kept = properties(request.get("CustomerMetadataProperties", {}), lineage.facts(), lineage.metrics)
        origin = {"GeneratedBy": lineage.job["TrainingJobArn"]}
        if lineage.git_commit:
            origin["CommitId"] = lineage.git_commit
        told = {
            **request,
            "CustomerMetadataProperties": kept,
            "MetadataProperties": {**origin, **request.get("MetadataProperties", {})},
        }
        self._conform(told)
        written = LineageHook(self._connection, maximum_objects=self.maximum_objects).write(lineage.record(), artifact)
        metrics = {"ModelQuality": {"Statistics": written}, **request.get("ModelMetrics", {})}
        return self._conform({**told, "ModelMetrics": metrics})

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection.of(self)


class _JudgeModelOperator(BaseOperator):
    """Tell the registry what became of a version."""

    APPROVAL_STATUS: ClassVar[str]
    DESCRIPTION: ClassVar[str]

    template_fields: Sequence[str] = ("model_package", "description", "config", "aws_conn_id", "region_name")
    template_fields_renderers = {"config": "json"}  # noqa: RUF012 - as Airflow declares it
    ui_color = "#e1d5e7"

    def __init__(
        self,
        *,
        model_package: dict[str, Any] | str | XComArg | None,
        description: str | None = None,
        config: dict[str, Any] | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_package = cast("dict[str, Any] | str | None", model_package)  # rendered before it is used
        self.description = description
        self.config = config
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def execute(self, context: Context) -> dict[str, Any]:
        """Check the request and send it."""
        with fail_fast():
            if self.model_package in (None, "", "None"):
                raise AirflowSkipException("there is no model_package, so that the registry has nothing to be told")
            self._skip_if_it_stays()
            run = RunIdentity.of(context)
            config = as_mapping(self.config or {}, "config")
            ours = {
                "ModelPackageArn": package_arn(self.model_package),
                "ModelApprovalStatus": self.APPROVAL_STATUS,
                "ApprovalDescription": self.description
                or f"{self.DESCRIPTION} by run {run.run_id} of DAG {run.dag_id}",
            }
            for member in ours.keys() & config.keys():
                raise RequestError(f"config.{member}", config[member], "nothing: the operator fills this member in")
            connection = AwsConnection.of(self)
            request = connection.conform("sagemaker", "UpdateModelPackage", {**config, **ours})
            ModelPackageHook(connection).update(request)
            self.log.info("%s is %s.", request["ModelPackageArn"], self.APPROVAL_STATUS.lower())
            return {"model_package_arn": request["ModelPackageArn"], "approval_status": self.APPROVAL_STATUS}

    def _skip_if_it_stays(self) -> None:
        """End the task where the version is to stay as it is."""


class ApproveModelOperator(_JudgeModelOperator):
    """Approve a version of the model registry, which lets it be the champion of the runs that follow.

    Put it behind the smoke test, so that a version is approved because it was proven in production. Approving it again
    changes nothing.

    Returns ``{"model_package_arn", "approval_status"}``.

    :param model_package: the version, as ARN or as what ``RegisterModelOperator`` returned; empty, where there is no
        model registry, skips the task (templated)
    :param description: why; None names the run (templated)
    :param config: further members of the UpdateModelPackage request, such as ``ModelLifeCycle`` (templated)
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    APPROVAL_STATUS = APPROVED
    DESCRIPTION = "proven"


class RejectModelOperator(_JudgeModelOperator):
    """Reject a version of the model registry, so that it is no champion and nobody approves it by mistake.

    Put it behind what was to prove the model, and behind the way back, with the trigger rule ``all_done`` and a
    ``pre_execute`` that looks what failed: with ``one_failed`` it would look while the way back is under way. One that
    was approved before is rejected as well; ``ApproveModelOperator`` approves it again.

    With ``deployment``, the task is skipped, and says why, where the version still answers clients, such as a candidate
    that was promoted before its smoke test was cleared, or one that could not be taken away; and where another
    deployment came before this one was judged.

    Returns ``{"model_package_arn", "approval_status"}``.

    :param model_package: the version, as ARN or as what ``RegisterModelOperator`` returned; empty, where there is no
        model registry, skips the task (templated)
    :param deployment: the result of ``CreateEndpointOperator`` that put this version behind an endpoint, or its JSON;
        None, which is also what a task that pushed nothing gives, rejects whatever serves (templated)
    :param description: why; None names the run (templated)
    :param config: further members of the UpdateModelPackage request, such as ``ModelLifeCycle`` (templated)
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    APPROVAL_STATUS = REJECTED
    DESCRIPTION = "not proven"

    template_fields: Sequence[str] = (*_JudgeModelOperator.template_fields, "deployment")
    template_fields_renderers = {"config": "json", "deployment": "json"}  # noqa: RUF012 - as Airflow declares it

    def __init__(self, *, deployment: dict[str, Any] | str | XComArg | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deployment = deployment

    def _skip_if_it_stays(self) -> None:
        deployed = Deployed.of(self.deployment)
        why = why_not_rejected(AwsConnection.of(self), deployed) if deployed else ""
        if why:
            raise AirflowSkipException(f"The version stays as it is: {why}.")
