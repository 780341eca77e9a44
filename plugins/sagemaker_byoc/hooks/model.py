"""Calls that make and find a SageMaker model. Knows nothing of tasks or templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["ModelHook"]

_EXISTS = "Cannot create already existing model"


class ModelHook:
    """Models of one connection."""

    def __init__(self, connection: AwsConnection) -> None:
        self._connection = connection

    def ensure(self, request: Mapping[str, Any]) -> bool:
        """Make a model; one of that name holds the same content already, since the name says so.

        :param request: CreateModel request
        :return: whether it was made now
        """
        client = self._connection.client("sagemaker")
        try:
            client.create_model(**request)
        except client.exceptions.ClientError as error:
            if _EXISTS in str(error):
                return False
            raise
        return True
