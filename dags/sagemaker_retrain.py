"""Retrain, deploy and prove a model of your own.

Builds the image from `container/`, trains it on SageMaker on the partition of the run's day, puts the new model
behind the endpoint, and asks the endpoint questions whose answers are known.

| task | what it does | costs |
|---|---|---|
| `check_smoke_test` | reads the smoke test's records, so that a fault in them is told before anything is paid | |
| `check_challenge` | does the same for the comparison and its held-out set | |
| `build_push_image` | builds the image unless ECR holds this very content already | CodeBuild minutes |
| `create_training_job` | starts the training job, or adopts the one that an earlier try started | the job |
| `wait_for_training` | waits without holding a worker; killing it stops the job | |
| `create_model` | makes the SageMaker model from the job's artifact | |
| `register_model` | registers the model with its metrics and lineage, pending approval | |
| `evaluate_challenger` | skips the deployment unless the model wins against the live one | a held-out set's jobs |
| `ask_for_approval` | waits for a person, if the run was asked to | |
| `create_endpoint` | creates the endpoint or updates it to the new model | the instances |
| `wait_for_endpoint` | waits until the new model, and no other, is live | |
| `smoke_test` | compares answers with labels, reports beside the artifact, puts the earlier model back if need be | |
| `shift_traffic` | gives a candidate the traffic step by step; does nothing after a direct deployment | |
| `approve_model` | approves the model in the registry, now that it was proven | |
| `restore_endpoint` | if `wait_for_endpoint` or `smoke_test` failed: brings back what the endpoint served before | |
| `reject_model` | if the deployment, its test or the shift failed: rejects the version, unless it serves still | |

**Schedule**: daily, on the data of the day before. **Manual trigger**: the form takes any partition. **Backfill**: each
run trains on the partition of its own day, and as many at once as you like: at the endpoint they queue up, newest data
first, each until its smoke test is over. A run on older data than the live model's makes its model and skips the
deployment, unless the param says otherwise.

**Champion and challenger**: with `model_package_group` in the settings, a model is deployed only if its metrics win
against those of the champion: the version of that group that is live, else the newest approved one. What was deployed
and passed the smoke test becomes the next champion, and a run that waited for the endpoint meanwhile has to win against
that one as well. Without the setting the tasks of the registry are skipped, and every model is deployed. With
`held_out_records`, both models are asked these records, too, by batch transform jobs, and the share of right answers
counts like a metric.

**Strategy**: `direct` replaces the live model, then tests the new one. `candidate` puts it beside the live one, where
no client sees it before it has passed the smoke test; then `shift_traffic` moves the traffic in the steps of the param,
and back at the first sign of failures.

**Failures**: a training job that failed or was stopped fails `wait_for_training` for good, with the reason; clear
`create_training_job` to train again. Faults of the platform are retried by SageMaker within the job. A deployment whose
earlier model could not be put back is refused. Whatever goes wrong after that, the earlier model serves in the end, and
the failed task says what is live. Only a person who stops a shift of traffic, or a permission without which the way
back cannot be taken either, leaves the traffic where it is; `sagemaker_restore` goes back by hand.

**Settings** are in the Airflow Variable `sagemaker_retrain`, a JSON object with `region_name`, `bucket`, `data_prefix`,
`smoke_test_records`, `label_column`, `role_arn`, `repository`, `codebuild_project`, `endpoint_name` and, if there is a
queue with news of state changes (see `include/events`), `event_queue_url`; for the model registry
`model_package_group`, `held_out_records` if there is a held-out set, and `git_commit` if the deployment knows it.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, CronDataIntervalTimetable, Param
from airflow.sdk.exceptions import AirflowSkipException

from sagemaker_byoc.operators.challenge import EvaluateChallengerOperator
from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from sagemaker_byoc.operators.image import BuildPushImageOperator
from sagemaker_byoc.operators.model import CreateModelOperator
from sagemaker_byoc.operators.model_package import (
    ApproveModelOperator,
    RegisterModelOperator,
    RejectModelOperator,
)
from sagemaker_byoc.operators.restore import RestoreEndpointOperator
from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from sagemaker_byoc.operators.traffic_shift import ShiftTrafficOperator
from sagemaker_byoc.operators.training_job import CreateTrainingJobOperator
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.sensors.endpoint import EndpointSensor
from sagemaker_byoc.sensors.training_job import TrainingJobSensor
from sagemaker_byoc.traffic_shift import read_steps

if TYPE_CHECKING:
    from airflow.sdk import Context

CONTAINER = Path(__file__).resolve().parents[1] / "container"


def setting(name: str) -> str:
    """Return the template of one setting of the Airflow Variable, read when a task runs and not at import."""
    return "{{ var.json.sagemaker_retrain." + name + " }}"


# Empty where the Variable has none: the waits then look every few seconds.
EVENT_QUEUE_URL = "{{ var.json.sagemaker_retrain.event_queue_url | default('') }}"

# Empty where the Variable has none: the tasks of the model registry are then skipped.
MODEL_PACKAGE_GROUP = "{{ var.json.sagemaker_retrain.model_package_group | default('') }}"

# Empty where the Variable has none, and in a run that does not deploy: models are then compared by the metrics of their
# training jobs alone, which costs nothing.
HELD_OUT_RECORDS = "{{ (var.json.sagemaker_retrain.held_out_records | default('')) if params.deploy else '' }}"

# Of the run's version. No XComArg, which would skip what follows a smoke test together with the registry's own tasks: a
# run without a registry whose test failed would then have no failed task at its end, and succeed.
MODEL_PACKAGE = "{{ (ti.xcom_pull(task_ids='register_model') or {}).get('model_package_arn', '') }}"
GIT_COMMIT = "{{ var.json.sagemaker_retrain.git_commit | default('') }}"


def skip_unless_deploying(context: Context) -> None:
    """End the deployment part of a run that was asked to train only."""
    if not context["params"]["deploy"]:
        raise AirflowSkipException("the param deploy is off: the model is made, the endpoint stays as it is")
    skip_unless_won(context)


def check_before_paying(context: Context) -> None:
    """Refuse what would fail after the training, in a run that deploys."""
    if not context["params"]["deploy"]:
        raise AirflowSkipException("the param deploy is off: nothing will be tested")
    with fail_fast():
        read_steps(context["params"]["traffic_steps"])


def skip_unless_asking(context: Context) -> None:
    """Ask a person only in a run that was asked to, and only about a model that would be deployed."""
    if not context["params"]["require_approval"]:
        raise AirflowSkipException("the param require_approval is off: nobody is asked")
    skip_unless_deploying(context)


def skip_unless_won(context: Context) -> None:
    """End the deployment part of a run whose registered model did not win.

    A trigger rule cannot tell: a run without a model registry skips the same tasks, and deploys.
    """
    registered = context["ti"].xcom_pull(task_ids="register_model")
    verdict = context["ti"].xcom_pull(task_ids="evaluate_challenger") or {}
    if registered and not verdict.get("passed"):
        raise AirflowSkipException("the model did not win: evaluate_challenger says why")


def skip_unless_deployment_failed(context: Context) -> None:
    """End the task that brings the earlier model back where neither the wait for the deployment nor its test failed.

    Its trigger rule also lets it run when an earlier task failed, and a deployment of the run before a clear may still
    be there to be read.
    """
    if not has_failed(context, "wait_for_endpoint", "smoke_test"):
        raise AirflowSkipException("no deployment of this run failed: the endpoint stays as it is")


def skip_unless_not_proven(context: Context) -> None:
    """End the task that rejects the model where none of those failed that were to prove it.

    Its trigger rule lets it run whatever has happened: it has to come after the way back, since a version that serves
    is not rejected. A deployment that was ended by a person proved nothing either; clearing and passing it approves the
    model.
    """
    if not has_failed(context, "wait_for_endpoint", "smoke_test", "shift_traffic"):
        raise AirflowSkipException("no deployment of this run failed: the version stays as it is")


def has_failed(context: Context, *task_ids: str) -> bool:
    """Say whether one of these tasks of the run has failed by itself, and not only because of one before it."""
    ti = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=list(task_ids), run_ids=[ti.run_id])
    return "failed" in states.get(ti.run_id, {}).values()


# The day whose data the run trains on: the param if given, else the run's own data interval; a run that was
# triggered without a logical date has none, and takes the day it was triggered on.
PARTITION = "{{ params.partition or (dag_run.data_interval_start or dag_run.run_after) | ds }}"
PARTITION_URI = f"s3://{setting('bucket')}/{setting('data_prefix')}/{PARTITION}"

# Where the training job put the model: s3://<bucket>/models/<job>/output.
ARTIFACT_FOLDER = "{{ ti.xcom_pull(task_ids='wait_for_training')['model_artifacts'].rpartition('/')[0] }}"


def channel(name: str) -> dict[str, object]:
    """Return the input channel that reads the partition's folder of the same name."""
    return {
        "ChannelName": name,
        "ContentType": "text/csv",
        "InputMode": "File",
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": f"{PARTITION_URI}/{name}/",
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }


with DAG(
    dag_id="sagemaker_retrain",
    doc_md=__doc__,
    description="Build, train, deploy and prove a model of your own on SageMaker",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    # One scheduled run at a time, since each pays for a job; backfills have a limit of their own, which may be any.
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30), "region_name": setting("region_name")},
    tags=["sagemaker", "retraining"],
    params={
        "partition": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Data partition",
            description="Train on the data of this day. Empty: the day of the run's own data interval.",
        ),
        "instance_type": Param(
            "ml.m5.2xlarge",
            type="string",
            pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$",
            title="Training instance type",
            description="For example ml.m5.2xlarge (CPU) or ml.g5.xlarge (GPU).",
        ),
        "instance_count": Param(
            1,
            type="integer",
            minimum=1,
            maximum=100,
            title="Training instances",
            description="More than one trains distributed.",
        ),
        "volume_size_gb": Param(75, type="integer", minimum=1, maximum=16384, title="Training volume (GB)"),
        "max_runtime_seconds": Param(
            86400,
            type="integer",
            minimum=60,
            maximum=2419200,
            title="Longest training (s)",
            description="SageMaker stops the job after this long.",
        ),
        "epochs": Param(100, type="integer", minimum=1, maximum=100000, title="Epochs"),
        "learning_rate": Param(0.005, type="number", exclusiveMinimum=0, maximum=1, title="Learning rate"),
        "deploy": Param(
            True,
            type="boolean",
            title="Deploy",
            description="Off: train and make the model, leave the endpoint as it is.",
        ),
        "deploy_older": Param(
            False,
            type="boolean",
            title="Deploy older data",
            description="Deploy even if the endpoint serves a model of newer data than this run's.",
        ),
        "minimum_gain": Param(
            0,
            type="number",
            minimum=-1,
            maximum=1,
            title="Champion: least gain in accuracy",
            description="0: as good as the champion is enough. Less than 0: so much worse is, too.",
        ),
        "transform_instance_type": Param(
            "ml.m5.large",
            type="string",
            pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$",
            title="Held-out set: instance type",
            description="Of the jobs that ask champion and challenger.",
        ),
        "require_approval": Param(
            False,
            type="boolean",
            title="Ask before deploying",
            description="Wait until a person approves the deployment in Airflow.",
        ),
        "strategy": Param(
            "direct",
            type="string",
            enum=["direct", "candidate"],
            title="Deployment strategy",
            description="candidate: test the model beside the live one, before any client sees it.",
        ),
        "traffic_steps": Param(
            [100],
            type="array",
            items={"type": "number"},
            minItems=1,
            title="Candidate: steps of traffic (%)",
            description="Ascending to 100, for example 10, 50, 100. Each is watched before the next.",
        ),
        "bake_seconds": Param(
            300,
            type="number",
            minimum=0,
            title="Candidate: time of a step (s)",
            description="How long CloudWatch is watched at each step.",
        ),
        "endpoint_instance_type": Param(
            "ml.m5.large", type="string", pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$", title="Endpoint instance type"
        ),
        "endpoint_instance_count": Param(1, type="integer", minimum=1, maximum=100, title="Endpoint instances"),
        "minimum_accuracy": Param(
            0.9,
            type="number",
            minimum=0,
            maximum=1,
            title="Smoke test: lowest accuracy",
            description="Share of right answers, 0 to 1.",
        ),
        "maximum_latency_ms": Param(
            1000,
            type="number",
            exclusiveMinimum=0,
            title="Smoke test: longest latency (ms)",
            description="95th percentile of one request; of a candidate under traffic, the average.",
        ),
    },
) as dag:
    known_records: dict[str, Any] = {
        "records": setting("smoke_test_records"),
        "label_column": setting("label_column"),
        "minimum_accuracy": "{{ params.minimum_accuracy }}",
        "maximum_latency_ms": "{{ params.maximum_latency_ms }}",
    }

    check_smoke_test = InvokeSmokeTestOperator(
        task_id="check_smoke_test",
        pre_execute=check_before_paying,
        endpoint_name=setting("endpoint_name"),
        only_check=True,
        **known_records,
    )

    comparison: dict[str, Any] = {
        "model_package_group": MODEL_PACKAGE_GROUP,
        "criteria": {"validation:accuracy": {"goal": "maximize", "margin": "{{ params.minimum_gain }}"}},
        "records": HELD_OUT_RECORDS,
        "label_column": setting("label_column"),
        "held_out_criteria": {"held_out:accuracy": {"goal": "maximize", "margin": "{{ params.minimum_gain }}"}},
        "transform_uri": f"s3://{setting('bucket')}/held-out",
        "transform_config": {
            "TransformResources": {"InstanceType": "{{ params.transform_instance_type }}", "InstanceCount": 1}
        },
    }

    check_challenge = EvaluateChallengerOperator(task_id="check_challenge", only_check=True, **comparison)

    build_push_image = BuildPushImageOperator(
        task_id="build_push_image",
        # A run that only trains checks no smoke test, and one without a model registry no comparison.
        trigger_rule="none_failed",
        context_path=str(CONTAINER),
        repository=setting("repository"),
        builder="codebuild",
        project_name=setting("codebuild_project"),
        source_bucket=setting("bucket"),
    )

    create_training_job = CreateTrainingJobOperator(
        task_id="create_training_job",
        image_uri=build_push_image.output,
        config={
            "RoleArn": setting("role_arn"),
            "AlgorithmSpecification": {
                "TrainingInputMode": "File",
                "MetricDefinitions": [
                    {"Name": "train:loss", "Regex": r"train_loss=([0-9.eE+-]+)"},
                    {"Name": "validation:loss", "Regex": r"validation_loss=([0-9.eE+-]+)"},
                    {"Name": "validation:accuracy", "Regex": r"validation_accuracy=([0-9.eE+-]+)"},
                ],
            },
            "HyperParameters": {
                "label_column": setting("label_column"),
                "epochs": "{{ params.epochs }}",
                "learning_rate": "{{ params.learning_rate }}",
            },
            "InputDataConfig": [channel("train"), channel("validation")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{setting('bucket')}/models"},
            "ResourceConfig": {
                "InstanceType": "{{ params.instance_type }}",
                "InstanceCount": "{{ params.instance_count }}",
                "VolumeSizeInGB": "{{ params.volume_size_gb }}",
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": "{{ params.max_runtime_seconds }}"},
            # A fault of the platform is SageMaker's to repair: the waiting task cannot start another job.
            "RetryStrategy": {"MaximumRetryAttempts": 2},
        },
    )

    wait_for_training = TrainingJobSensor(
        task_id="wait_for_training",
        training_job_name=create_training_job.output,
        event_queue_url=EVENT_QUEUE_URL,
    )

    create_model = CreateModelOperator(
        task_id="create_model",
        training_job=wait_for_training.output,
        config={"ExecutionRoleArn": setting("role_arn")},
    )

    register_model = RegisterModelOperator(
        task_id="register_model",
        training_job=wait_for_training.output,
        model_package_group=MODEL_PACKAGE_GROUP,
        git_commit=GIT_COMMIT,
        data_date=PARTITION,
    )

    evaluate_challenger = EvaluateChallengerOperator(
        task_id="evaluate_challenger",
        training_job=wait_for_training.output,
        model_name=create_model.output,
        model_package=register_model.output,
        endpoint_name=setting("endpoint_name"),
        **comparison,
    )

    ask_for_approval = ApprovalOperator(
        task_id="ask_for_approval",
        trigger_rule="none_failed",
        pre_execute=skip_unless_asking,
        subject=f"Deploy the model of {PARTITION} to {setting('endpoint_name')}?",
        body=(
            "Its metrics: {{ ti.xcom_pull(task_ids='wait_for_training')['metrics'] }}\n\n"
            "```\n{{ (ti.xcom_pull(task_ids='evaluate_challenger') or {}).get('table', 'There is no champion.') }}\n```"
        ),
    )

    create_endpoint = CreateEndpointOperator(
        task_id="create_endpoint",
        trigger_rule="none_failed",
        pre_execute=skip_unless_deploying,
        endpoint_name=setting("endpoint_name"),
        model_name=create_model.output,
        data_date=PARTITION,
        challenge=evaluate_challenger.output,
        deploy_older="{{ params.deploy_older }}",
        strategy="{{ params.strategy }}",
        config={
            "ProductionVariants": [
                {
                    "VariantName": "AllTraffic",
                    "InstanceType": "{{ params.endpoint_instance_type }}",
                    "InitialInstanceCount": "{{ params.endpoint_instance_count }}",
                }
            ]
        },
    )

    wait_for_endpoint = EndpointSensor(
        task_id="wait_for_endpoint",
        endpoint=create_endpoint.output,
        event_queue_url=EVENT_QUEUE_URL,
    )

    smoke_test = InvokeSmokeTestOperator(
        task_id="smoke_test",
        deployment=create_endpoint.output,
        report_uri=f"{ARTIFACT_FOLDER}/smoke-test.json",
        **known_records,
    )

    shift_traffic = ShiftTrafficOperator(
        task_id="shift_traffic",
        deployment=create_endpoint.output,
        steps="{{ params.traffic_steps | tojson }}",
        bake_seconds="{{ params.bake_seconds }}",
        maximum_latency_ms="{{ params.maximum_latency_ms }}",
    )

    approve_model = ApproveModelOperator(task_id="approve_model", model_package=MODEL_PACKAGE)

    reject_model = RejectModelOperator(
        task_id="reject_model",
        trigger_rule="all_done",
        pre_execute=skip_unless_not_proven,
        model_package=MODEL_PACKAGE,
        deployment=create_endpoint.output,
    )

    restore_endpoint = RestoreEndpointOperator(
        task_id="restore_endpoint",
        trigger_rule="one_failed",
        pre_execute=skip_unless_deployment_failed,
        deployment=create_endpoint.output,
    )

    (
        [check_smoke_test, check_challenge]
        >> build_push_image
        >> create_training_job
        >> wait_for_training
        >> create_model
        >> register_model
        >> evaluate_challenger
        >> ask_for_approval
        >> create_endpoint
        >> wait_for_endpoint
        >> [smoke_test, restore_endpoint]
    )

    smoke_test >> shift_traffic >> approve_model

    # The test brings the earlier model back itself; behind it this is for what kept it from that, such as a busy AWS.
    smoke_test >> restore_endpoint
    [wait_for_endpoint, smoke_test, shift_traffic, restore_endpoint] >> reject_model
