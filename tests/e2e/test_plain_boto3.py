"""The flow of a boto3 user who knows neither Airflow nor this project, on the image that the project builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_stack.home import CHECKOUT
from tests.e2e.probe import Run, aws, until

if TYPE_CHECKING:
    from local_stack.stack import Stack

TEST_FILE = CHECKOUT / "include" / "data" / "iris" / "test" / "test.csv"


def test_train_deploy_and_invoke_with_boto3_alone(stack: Stack) -> None:
    """One channel of CSV files, an ``ml.m5.2xlarge``, a model, an endpoint, and a CSV file that it answers."""
    run = Run.start(stack, "sagemaker_retrain", partition="2026-01-03", deploy=False)
    assert run.wait() == "success"
    settings = stack.account.settings
    bucket, role_arn = settings["bucket"], settings["role_arn"]
    sagemaker = aws(stack, "sagemaker")
    training_config = {
        "TrainingJobName": "plain-boto3",
        "RoleArn": role_arn,
        "AlgorithmSpecification": {"TrainingImage": run.xcom("build_push_image"), "TrainingInputMode": "File"},
        "HyperParameters": {"label_column": "species"},
        "InputDataConfig": [
            {
                "ChannelName": "training",
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{bucket}/iris/partitions/2026-01-03/train",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/plain"},
        "ResourceConfig": {"InstanceType": "ml.m5.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 75},
        "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
    }
    sagemaker.create_training_job(**training_config)

    def job_ended() -> str | None:
        status = sagemaker.describe_training_job(TrainingJobName="plain-boto3")["TrainingJobStatus"]
        return None if status == "InProgress" else str(status)

    assert until(job_ended, "the job ends") == "Completed"
    job = sagemaker.describe_training_job(TrainingJobName="plain-boto3")
    container = {
        "Image": job["AlgorithmSpecification"]["TrainingImage"],
        "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"],
    }
    sagemaker.create_model(ModelName="plain-boto3", ExecutionRoleArn=role_arn, PrimaryContainer=container)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "plain-boto3",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="plain-boto3", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="plain-boto3", EndpointConfigName="plain-boto3")

    def endpoint_settled() -> str | None:
        status = sagemaker.describe_endpoint(EndpointName="plain-boto3")["EndpointStatus"]
        return None if status == "Creating" else str(status)

    assert until(endpoint_settled, "the endpoint settles") == "InService"
    answer = aws(stack, "sagemaker-runtime").invoke_endpoint(
        EndpointName="plain-boto3", ContentType="text/csv", Body=TEST_FILE.read_bytes()
    )
    predictions = answer["Body"].read().decode().split()
    labels = [line.rsplit(",", 1)[1] for line in TEST_FILE.read_text().splitlines()[1:]]
    assert len(predictions) == len(labels) == 30
    assert sum(map(str.__eq__, predictions, labels)) >= 27


def test_a_run_that_does_not_deploy_leaves_the_endpoint_alone(stack: Stack) -> None:
    """With the param ``deploy`` off the model is made, and the deploying tasks end skipped."""
    run = Run.start(stack, "sagemaker_retrain", partition="2026-01-01", deploy=False)
    before = aws(stack, "sagemaker").list_endpoints()["Endpoints"]
    assert run.wait() == "success"
    states = [run.state(task) for task in ("create_model", "create_endpoint", "wait_for_endpoint", "smoke_test")]
    assert states == ["success", "skipped", "skipped", "skipped"]
    assert aws(stack, "sagemaker").list_endpoints()["Endpoints"] == before
