"""Calls by which runs queue up for an endpoint.

Owns every call about claims and tickets. Whose turn it is stands in ``claim``; waiting for it is the caller's.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.claim import FORGOTTEN_AFTER, OVER_TAG, Holder, Queue, Standing, name_filter
from sagemaker_byoc.errors import EndpointClaimError, ProofError
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.hooks.task_state import run_is_running, this_airflow
from sagemaker_byoc.hooks.watched import PAGE_SIZE, answered_at
from sagemaker_byoc.retry import aws_code, is_denied

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from airflow.sdk.types import Logger

    from sagemaker_byoc.claim import Contender, Turn
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.run import RunIdentity

__all__ = ["ClaimHook", "held_until_tested", "holder_of"]

log = logging.getLogger(__name__)


class ClaimHook:
    """The queue of one endpoint."""

    def __init__(self, connection: AwsConnection, endpoint_name: str) -> None:
        self._connection = connection
        self._endpoint_name = endpoint_name

    def look(self) -> Standing:
        """Return the queue, and the run that has the endpoint.

        :raises EndpointClaimError: AWS denies the calls
        """
        with _explained():
            queue, now = self._list()
            return Standing(queue, self._holder(queue, now))

    def attempt(self, contender: Contender, turn: Turn, log: Logger) -> int | None:
        """Look once, and take the endpoint if it is the run's turn.

        :param log: told whose the endpoint is
        :return: the claim's number; None when one has to look again after a pause
        :raises EndpointClaimError: AWS denies the calls
        """
        standing = self.look()
        if news := turn.news(standing):
            log.info(news)
        return self.take(contender, standing) if turn.has_come(standing) else None

    def take(self, contender: Contender, standing: Standing) -> int | None:
        """Try to make the next claim, which only one of all who try succeeds in.

        :param standing: open to the contender
        :return: the claim's number; None when another run was faster
        :raises EndpointClaimError: AWS denies the calls
        """
        number = standing.queue.number + 1
        with _explained():
            if not EndpointConfigHook(self._connection).ensure(contender.request(standing.queue.next_claim)):
                return None
            queue, _ = self._list()
        if queue.number > number:
            # This call came so late that others have had their turn meanwhile, and took the claim of that number away.
            return None
        # Who was to have a turn before and did not come in time has left; if not, it needs no ticket to try.
        self._delete([*queue.ahead_of(contender.ticket), contender.ticket])
        return number

    def line_up(self, contender: Contender) -> None:
        """Put up the run's ticket, unless it is up already.

        :raises EndpointClaimError: AWS denies the calls
        """
        with _explained():
            EndpointConfigHook(self._connection).ensure(contender.request(contender.ticket))

    def leave(self, contender: Contender) -> None:
        """Take the run's ticket down, if it is up; never fails. A claim stays."""
        self._delete([contender.ticket])

    def give_up(self, contender: Contender) -> None:
        """Take the run's ticket down and give its claim back, whichever there is; never fails."""
        self.leave(contender)
        self.give_back(contender.key)

    def give_back(self, key: str) -> None:
        """Give a run's claim back, if it has one; never fails, since the end of the run gives it back, too."""
        try:
            standing = self.look()
            if standing.holder is None or standing.holder.key != key:
                return
            client = self._connection.client("sagemaker")
            client.add_tags(ResourceArn=standing.queue.arn, Tags=[{"Key": OVER_TAG, "Value": "true"}])
        except Exception as error:  # noqa: BLE001 - see above
            log.warning("Endpoint %s could not be given back before the end of the run: %s", self._endpoint_name, error)
            return
        log.info("Endpoint %s is given back.", self._endpoint_name)
        self._delete(standing.queue.earlier)

    def _list(self) -> tuple[Queue, datetime]:
        pages = (
            self._connection.client("sagemaker")
            .get_paginator("list_endpoint_configs")
            .paginate(NameContains=name_filter(self._endpoint_name), PaginationConfig={"PageSize": PAGE_SIZE})
        )
        answers: list[dict[str, Any]] = list(pages)
        configs = [config for answer in answers for config in answer["EndpointConfigs"]]
        return Queue.of(self._endpoint_name, configs), answered_at(answers[-1])

    def _holder(self, queue: Queue, now: datetime) -> Holder | None:
        """Return whose the latest claim is; None when it was given back or left behind."""
        if queue.claimed_at is None:
            return None
        try:
            tags = EndpointConfigHook(self._connection).tags_of(queue.arn)
        except Exception as error:
            if aws_code(error) != "ValidationException":
                raise
            # It is gone since the list was made; the next look shows what has taken its place.
            return Holder()
        holder = Holder.of(tags)
        if OVER_TAG in tags:
            return None
        # A run that was cleared and is queued holds nothing: it may have to wait for the very run that looks.
        # Of another Airflow's run nobody here can tell, though there may be one of the same id.
        held = run_is_running(holder.dag_id, holder.run_id) if holder.airflow == this_airflow() else None
        if held is None:
            held = now - queue.claimed_at <= FORGOTTEN_AFTER
        return holder if held else None

    def _delete(self, names: Iterable[str]) -> None:
        """Delete what means nothing any more; what cannot be deleted harms nobody."""
        for name in names:
            try:
                EndpointConfigHook(self._connection).delete(name)
            except Exception as error:  # noqa: BLE001 - see above
                log.warning("The endpoint configuration %s could not be deleted: %s", name, error)


def holder_of(run: RunIdentity) -> Holder:
    """Return the holder that a run of this Airflow is."""
    return Holder.of_run(run.dag_id, run.run_id, this_airflow())


@contextmanager
def held_until_tested(
    connection: AwsConnection, run: RunIdentity, endpoint_name: str | None, *, goes_on: bool = False
) -> Iterator[None]:
    """Give the run's claim on the endpoint back when its model is proven, or gone; a run without one is left alone.

    After any other end the endpoint may serve a model that nobody has tested, which the next run would take for its way
    back: the claim is kept for a retry, and for what else the run does about it, until the run is over.

    :param goes_on: another task of the run needs the claim after a success
    """
    is_over = False
    try:
        yield
        is_over = not goes_on
    except ProofError as error:
        is_over = error.put_back
        raise
    finally:
        if is_over and endpoint_name:
            ClaimHook(connection, endpoint_name).give_back(holder_of(run).key)


@contextmanager
def _explained() -> Iterator[None]:
    """Say what to do about a call that is denied."""
    try:
        yield
    except Exception as error:
        if not is_denied(error):
            raise
        operation = getattr(error, "operation_name", "")
        message = (
            f"Deployments to one endpoint queue up behind each other, and AWS denies a call for that: {error} Allow "
            f"sagemaker:{operation} (include/iam/airflow.json lists all actions), or set exclusive=False and let only "
            "one run at a time deploy."
        )
        raise EndpointClaimError(message) from error
