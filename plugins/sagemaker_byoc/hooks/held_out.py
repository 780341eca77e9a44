"""Asks models a held-out set by batch transform jobs, and keeps with each version what its answers were worth.

Owns the requests, the objects that hold the questions, and which models need no job. What answers are worth stands in
``held_out``. Knows nothing of tasks or templates.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from sagemaker_byoc.console import transform_job_url
from sagemaker_byoc.errors import RequestError, SmokeTestError, TransformJobError
from sagemaker_byoc.held_out import METRICS
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.hooks.job_stop import stop_patiently
from sagemaker_byoc.hooks.model import ModelHook
from sagemaker_byoc.hooks.model_package import ModelPackageHook
from sagemaker_byoc.hooks.transform_job import TransformJobHook, paid_job
from sagemaker_byoc.naming import content_name
from sagemaker_byoc.prediction import read_predictions
from sagemaker_byoc.request import as_mapping
from sagemaker_byoc.retry import aws_code, is_denied, is_permanent
from sagemaker_byoc.s3_location import S3Location

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from airflow.sdk.types import Logger

    from sagemaker_byoc.held_out import HeldOutSet
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.model_package import ModelPackage
    from sagemaker_byoc.prediction import Prediction
    from sagemaker_byoc.run import RunIdentity
    from sagemaker_byoc.transform_job_status import TransformJobLook

__all__ = ["HeldOutTest", "RunningJob", "Scores"]

_DEFAULT_PAYLOAD_MB = 6
"""MaxPayloadInMB where the configuration has none: what AWS takes then. Source: botocore's sagemaker model.

It is said in the request, since AWS would ask the container for its own limit otherwise.
"""

_MEGABYTE = 1024 * 1024
_FILLED_IN = ("TransformJobName", "ModelName", "TransformInput", "BatchStrategy", "DataProcessing")
_FIELD = "transform_config"
_PLACEHOLDER = "model"


class RunningJob(NamedTuple):
    """A job that has yet to end.

    :param own: whether this run made it, so that a kill of this run may stop it
    """

    name: str
    own: bool


class Scores(NamedTuple):
    """What both models are worth on a held-out set, as far as it is known.

    :param champion: empty without a champion
    :param running: the jobs whose answers are missing
    """

    challenger: Mapping[str, float]
    champion: Mapping[str, float]
    running: Sequence[RunningJob]


class HeldOutTest:
    """One held-out set, and how models are asked it.

    Everything that can be wrong is found when this is made, before anything is paid for.

    :param questions: the set
    :param uri: S3 folder in which questions and answers are kept
    :param config: further members of CreateTransformJob
    :param content_type: of the questions
    :param accept: content type asked for in the answers
    :param waited: names of the jobs that the task waited for already
    :raises RequestError: what is not allowed
    """

    def __init__(
        self,
        connection: AwsConnection,
        questions: HeldOutSet,
        run: RunIdentity,
        log: Logger,
        *,
        uri: Any,
        config: Any,
        content_type: str,
        accept: str,
        waited: Collection[str] = (),
    ) -> None:
        self.questions = questions
        self._connection = connection
        self._run = run
        self._log = log
        self._waited = waited
        self._accept = accept
        self._content_type = content_type
        self._folder = S3Location.parse(uri, "transform_uri")
        self._jobs = TransformJobHook(connection)
        self._config = as_mapping(config or {}, _FIELD)
        megabytes = self._request(_PLACEHOLDER, self._folder.uri)["MaxPayloadInMB"]
        self._bodies = questions.bodies(content_type, megabytes * _MEGABYTE or float("inf"))

    def scores(
        self,
        own: ModelPackage | None,
        model_name: str,
        champion: ModelPackage | None,
        live_model: Callable[[], str | None],
    ) -> Scores:
        """Return what challenger and champion are worth, and keep it with their versions, once both have answered.

        The challenger is always asked, since its version may have been registered before its model was made anew; an
        equal model has an equal job, which is found.

        :param own: the challenger's version; None keeps nothing of it
        :param model_name: the challenger's model
        :param live_model: looks up the model by which the champion serves, where that is needed; without one, a model
            is made of its version
        :raises TransformJobError: a job that was waited for left no answers that can be used
        """
        known = self._known(champion) if champion else {}
        # Before any job, so that what cannot be made a model costs nothing.
        champion_model = ""
        if champion and known is None:
            champion_model = live_model() or self._model_of(champion, model_name)
        answers = self._ask_each([(None, model_name), (known, champion_model)])
        running = [answer for answer in answers if isinstance(answer, RunningJob)]
        if running:
            return Scores({}, {}, running)
        challenger, opponent = (answer for answer in answers if not isinstance(answer, RunningJob))
        self._keep(own, challenger)
        self._keep(champion, opponent)
        return Scores(challenger, opponent, ())

    def _ask_each(self, models: Sequence[tuple[dict[str, float] | None, str]]) -> list[dict[str, float] | RunningJob]:
        """Ask each model whose metrics are not known; what goes wrong with one stops the jobs made for those before.

        Where the account's quota allows one job at a time, the second model is asked when the first has answered.

        :param models: metrics, and name of the model
        """
        answers: list[dict[str, float] | RunningJob] = []
        for known, name in models:
            try:
                answers.append(self._ask(name) if known is None else known)
            except Exception as error:
                if aws_code(error) == "ResourceLimitExceeded" and any(isinstance(job, RunningJob) for job in answers):
                    self._log.info("%s is asked when the other model has answered: %s", name, error)
                    break
                if is_permanent(error):
                    for job in answers:
                        if isinstance(job, RunningJob) and job.own:
                            stop_patiently(paid_job(self._connection, job.name), log=self._log)
                raise
        return answers

    def _known(self, package: ModelPackage) -> dict[str, float] | None:
        """Return the metrics that the registry keeps of a version for this set; None if it was never asked."""
        kept = package.metrics_as(METRICS, self.questions.digest)
        return {name: kept[name] for name in METRICS if name in kept} or None

    def _model_of(self, package: ModelPackage, like: str) -> str:
        """Return the name of a model for a version, which is made if there is none yet.

        :param like: name of the model whose role and settings it has
        :raises RequestError: there is no such model, or the version cannot be made one
        """
        hook = ModelHook(self._connection)
        other = hook.describe(like)
        if other is None:
            raise RequestError("model_name", like, f"a model that exists in {self._connection.region}")
        content = package.model_like(other)
        name = content_name(f"{self._run.dag_id}-champion", content)
        request = {**content, "ModelName": name, "Tags": self._run.tags()}
        created = hook.ensure(self._connection.conform("sagemaker", "CreateModel", request, field="champion"))
        self._log.info("Model %s of %s %s.", name, package.arn, "created" if created else "exists already")
        return name

    def _ask(self, model_name: str) -> dict[str, float] | RunningJob:
        """Return the metrics of a model, or the job that asks it, which is made if there is none yet."""
        attempt = self._jobs.adopt_or_create(
            self._request(model_name, self._questions_uri),
            f"{self._run.dag_id}-held-out",
            self._run.tags(self._config.get("Tags")),
            before_create=self._put_questions,
            waited=self._waited,
        )
        look = attempt.look
        if look.name not in self._waited:
            page = transform_job_url(self._connection.region, look.name)
            did = "created" if attempt.created else f"found ({look.status})"
            self._log.info("Transform job %s, which asks %s, %s: %s", look.name, model_name, did, page)
        if not look.ended:
            return RunningJob(look.name, attempt.created or self._is_own(look))
        if look.status != "Completed":
            # Who stopped another run's job did not mean this one.
            stopped_elsewhere = look.status == "Stopped" and not self._is_own(look)
            raise TransformJobError(self._jobs.story(look), transient=look.is_platform_fault or stopped_elsewhere)
        return self.questions.measure(self._predictions(look))

    def _keep(self, package: ModelPackage | None, metrics: Mapping[str, float]) -> None:
        """Keep the metrics with a version, so that nobody has to ask its model this set again.

        Without the permission, or without room, a warning says so: the next run then finds the job.
        """
        if package is None or self._known(package) == metrics:
            return
        request = package.with_held_out(self.questions.digest, metrics)
        if request is None:
            self._log.warning("%s has no room for the metrics of the held-out set.", package.arn)
            return
        try:
            ModelPackageHook(self._connection).update(request)
        except Exception as error:
            if not is_denied(error):
                raise
            self._log.warning("The metrics of the held-out set could not be kept with %s: %s", package.arn, error)

    @property
    def _questions_uri(self) -> str:
        digest = hashlib.sha256(b"\0".join(self._bodies)).hexdigest()[:16]
        return f"{self._folder.uri.rstrip('/')}/questions/{digest}/"

    @property
    def _parts(self) -> list[str]:
        ending = "json" if "json" in self._content_type else "csv"
        return [f"part-{number:05d}.{ending}" for number in range(len(self._bodies))]

    def _request(self, model_name: str, questions_uri: str) -> dict[str, Any]:
        """Return the checked request, without tags; one request to the container for each object."""
        for member in _FILLED_IN:
            if self._config.get(member):
                raise RequestError(f"{_FIELD}.{member}", self._config[member], "nothing: the operator fills it in")
        output = as_mapping(self._config.get("TransformOutput") or {}, f"{_FIELD}.TransformOutput")
        for member in output.keys() - {"KmsKeyId"}:
            raise RequestError(f"{_FIELD}.TransformOutput.{member}", output[member], "KmsKeyId alone")
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": questions_uri}}
        request = {
            "MaxPayloadInMB": _DEFAULT_PAYLOAD_MB,
            **{member: value for member, value in self._config.items() if member != "Tags"},
            "TransformJobName": _PLACEHOLDER,
            "ModelName": model_name,
            "TransformInput": {"DataSource": source, "ContentType": self._content_type},
            "TransformOutput": {**output, "S3OutputPath": self._folder.uri.rstrip("/"), "Accept": self._accept},
        }
        return self._connection.conform("sagemaker", "CreateTransformJob", request, field=_FIELD)

    def _put_questions(self) -> None:
        """Write the questions, in the place of equal ones.

        :raises RequestError: there is no such bucket, or it may not be written
        """
        place = S3Location.parse(self._questions_uri, "transform_uri")
        client = self._connection.client("s3")
        for name, body in zip(self._parts, self._bodies, strict=True):
            try:
                client.put_object(Bucket=place.bucket, Key=f"{place.key}{name}", Body=body)
            except client.exceptions.ClientError as error:
                if not is_denied(error) and error.response["Error"].get("Code") != "NoSuchBucket":
                    raise
                allowed = "a folder in a bucket that exists and that this role may write to (s3:PutObject)"
                raise RequestError("transform_uri", self._folder.uri, allowed, f"AWS says: {error}") from error

    def _is_own(self, look: TransformJobLook) -> bool:
        """Say whether this task of this run made a job, at whichever try."""
        tags = EndpointConfigHook(self._connection).tags_of(look.arn)
        own = {tag["Key"]: tag["Value"] for tag in self._run.tags()}
        return all(tags.get(name) == own[name] for name in ("airflow:dag_id", "airflow:run_id", "airflow:task_id"))

    def _predictions(self, look: TransformJobLook) -> list[Prediction]:
        """Return one prediction for each record.

        :raises TransformJobError: there are more or fewer, or they cannot be read
        """
        answers = self._jobs.answers(look, self._parts)
        where = f"Transform job {look.name} of model {look.model_name} completed, but its answers are of no use"
        remedy = (
            f"They are below {look.output_path}/. To ask the model the same again, delete them and clear this task."
        )
        try:
            found = [prediction for body in answers for prediction in read_predictions(body, self._accept)]
        except SmokeTestError as error:
            raise TransformJobError(f"{where}: {error}\n{remedy}") from error
        asked = len(self.questions.records)
        if len(found) != asked:
            counts = f"{len(found)} predictions to {asked} records, in {len(answers)} of {len(self._bodies)} answers"
            raise TransformJobError(f"{where}: {counts}.\n{remedy}")
        return found
