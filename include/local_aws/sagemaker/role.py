"""Whether SageMaker could assume an execution role.

Owns the question to IAM and the text of the refusal. Must not know for what the role is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.exceptions

from local_aws.errors import AwsError, validation

if TYPE_CHECKING:
    from local_aws.cloud import Cloud

__all__ = ["check_role"]


def check_role(arn: str, cloud: Cloud) -> None:
    """Refuse a role that IAM does not have or that does not trust SageMaker.

    The text is the one seen for hosting and pipelines; for training jobs it is a guess.

    :raises AwsError: ``ValidationException``
    """
    try:
        role = cloud.client("iam").get_role(RoleName=arn.rpartition("/")[2])["Role"]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise _refusal(arn) from error
    if role["Arn"] != arn or not _trusts_sagemaker(role["AssumeRolePolicyDocument"]):
        raise _refusal(arn)


def _refusal(arn: str) -> AwsError:
    return validation(
        f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role."
    )


def _trusts_sagemaker(document: Any) -> bool:
    statements = document.get("Statement", []) if isinstance(document, dict) else []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else [principal]
        if statement.get("Effect") == "Allow" and {"sagemaker.amazonaws.com", "*"} & set(
            [services] if isinstance(services, str) else services
        ):
            return True
    return False
