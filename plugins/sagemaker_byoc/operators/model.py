"""Makes a SageMaker model from what a training job left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator

from sagemaker_byoc.console import model_url
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.model import ModelHook
from sagemaker_byoc.hooks.training_job_end import result_of
from sagemaker_byoc.links import ModelLink
from sagemaker_byoc.naming import content_name
from sagemaker_byoc.request import as_mapping
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.run import RunIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context, XComArg

__all__ = ["CreateModelOperator"]


class CreateModelOperator(BaseOperator):
    """Create the model of a completed training job, or find the one that an earlier try created.

    The model is named by its content (artifact, image, role, settings), so the same request gives the same model.

    Returns the model's name.

    :param training_job: what ``TrainingJobSensor`` returned, or the name of a completed job (templated)
    :param config: CreateModel request (templated). ``PrimaryContainer`` gets the job's artifact and image where it
        names none; with ``Containers``, or a ``ModelPackageName``, nothing is filled in
    :param image_uri: image to serve from; None is the one that the job trained in (templated)
    :param model_name_base: readable beginning of the name (templated); None takes ``config.ModelName``, or the dag id
        when there is none either
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = (
        "training_job",
        "config",
        "image_uri",
        "model_name_base",
        "aws_conn_id",
        "region_name",
    )
    template_fields_renderers = {"config": "json"}  # noqa: RUF012 - as Airflow declares it
    operator_extra_links = (ModelLink(),)
    ui_color = "#e1d5e7"

    def __init__(
        self,
        *,
        training_job: dict[str, Any] | str | XComArg,
        config: dict[str, Any],
        image_uri: str | XComArg | None = None,
        model_name_base: str | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.training_job = cast("dict[str, Any] | str", training_job)  # rendered before it is used
        self.config = config
        self.image_uri = cast("str | None", image_uri)
        self.model_name_base = model_name_base
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def execute(self, context: Context) -> str:
        """Check the request and see to it that the model is there."""
        with fail_fast():
            request = self._request(as_mapping(self.config, "config"), RunIdentity.of(context))
            name = str(request["ModelName"])
            ModelLink().push(context, model_url(self._connection.region, name))
            created = ModelHook(self._connection).ensure(request)
            self.log.info("Model %s %s.", name, "created" if created else "exists already")
            return name

    def _request(self, config: Mapping[str, Any], run: RunIdentity) -> dict[str, Any]:
        """Return the checked request, named by its content; ``config`` is left as it is."""
        content = {member: value for member, value in config.items() if member not in ("ModelName", "Tags")}
        if "Containers" not in content:
            content["PrimaryContainer"] = self._container(content.get("PrimaryContainer"))
        base = self.model_name_base or config.get("ModelName") or run.dag_id
        # checked before it is named, so that a number given as text does not make another name
        checked = self._conform({**content, "ModelName": config.get("ModelName") or content_name(base, content)})
        checked.pop("ModelName")
        tags = run.tags(config.get("Tags"))
        return self._conform({**checked, "ModelName": content_name(base, checked), "Tags": tags})

    def _conform(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return self._connection.conform("sagemaker", "CreateModel", request)

    def _container(self, given: Any) -> dict[str, Any]:
        """Return the container with the job's artifact and image where none is given."""
        container = dict(as_mapping(given or {}, "config.PrimaryContainer"))
        if container.get("ModelPackageName"):
            return container
        job = result_of(self._connection, self.training_job, "model_artifacts", "image_uri")
        if not container.get("ModelDataUrl") and not container.get("ModelDataSource"):
            container["ModelDataUrl"] = job["model_artifacts"]
        container["Image"] = container.get("Image") or self.image_uri or job["image_uri"]
        return container

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection.of(self)
