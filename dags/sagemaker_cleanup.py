"""Find what the retraining leaves behind on AWS, and delete it when asked to.

Each run of `sagemaker_retrain` makes a model and, if it deploys, an endpoint configuration; each change of `container/`
an image. Nothing of that is deleted by itself. This DAG tells what may go, and with the param *Delete* lets it go.

| task | what it does |
|---|---|
| `clean_up` | lists endpoint configurations, models, images and claims that nobody needs; deletes them if asked to |

**Dry run by default**, also every week: the table in the task's log says kind, name, age, USD per hour and why it may
go.

**What stays**: whatever an endpoint, a configuration or model of whoever, a running training job or an approved version
of the model registry refers to; the configurations that `sagemaker_restore` could go back to, with their models and
images; the newest image; all that is younger than the retention; all that lacks the tag `project=sagemaker-byoc`.
Artifacts and data in S3 are not touched. **Endpoints** stay, since they serve, unless a param says after how many days
they go.

**If something cannot be deleted**, the rest is deleted all the same, and the task fails; its retry finds what is left.

**Settings** are those of `sagemaker_retrain`, and `cleanup_aws_conn_id`, an Airflow connection with the policy
`include/iam/cleanup.json`: the role that retrains may not delete models and images. Without it, `aws_default` is taken.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, CronTriggerTimetable, Param

from sagemaker_byoc.operators.leftover import CleanUpLeftoversOperator

with DAG(
    dag_id="sagemaker_cleanup",
    doc_md=__doc__,
    description="Find what retraining left behind on AWS, and delete it when asked to",
    schedule=CronTriggerTimetable("0 6 * * 1", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "region_name": "{{ var.json.sagemaker_retrain.region_name }}",
    },
    tags=["sagemaker", "retraining"],
    params={
        "delete": Param(False, type="boolean", title="Delete", description="Off: only tell what may go."),
        "retention_days": Param(
            30,
            type="number",
            exclusiveMinimum=0,
            maximum=36500,
            title="Keep (days)",
            description="Nothing younger goes.",
        ),
        "keep_configs": Param(
            3,
            type="integer",
            minimum=1,
            maximum=1000,
            title="Keep to go back to",
            description="So many configurations of each endpoint stay, with their models and images.",
        ),
        "endpoints_older_than_days": Param(
            None,
            type=["null", "number"],
            exclusiveMinimum=0,
            maximum=36500,
            title="Endpoints unchanged for (days)",
            description="Delete them too, though they serve. Empty: never.",
        ),
        "hourly_prices": Param(
            {},
            type="object",
            additionalProperties={"type": "number", "minimum": 0},
            title="USD per instance and hour",
            description='By instance type, for example {"ml.m5.large": 0.1}. AWS\'s price list tells the others.',
        ),
        "storage_price": Param(
            None,
            type=["null", "number"],
            minimum=0,
            title="USD per GB and month in ECR",
            description="Empty: what images cost is unknown.",
        ),
        "maximum_leftovers": Param(
            200, type="integer", minimum=1, maximum=10000, title="At most", description="How many in one run."
        ),
    },
) as dag:
    clean_up = CleanUpLeftoversOperator(
        task_id="clean_up",
        aws_conn_id="{{ var.json.sagemaker_retrain.cleanup_aws_conn_id | default('aws_default') }}",
        delete="{{ params.delete }}",
        repositories=["{{ var.json.sagemaker_retrain.repository }}"],
        retention_days="{{ params.retention_days }}",
        keep_configs="{{ params.keep_configs }}",
        endpoints_older_than_days="{{ params.endpoints_older_than_days }}",
        hourly_prices="{{ params.hourly_prices | tojson }}",
        storage_price="{{ params.storage_price }}",
        maximum_leftovers="{{ params.maximum_leftovers }}",
    )
