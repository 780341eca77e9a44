"""Whose turn it is to deploy to an endpoint: the rules of its queue.

A run that deploys holds a *claim* on the endpoint until its smoke test is over; runs that wait for theirs have put up
*tickets*. Both are endpoint configurations, which cost nothing, and whose names only one caller can take: SageMaker
has nothing else that is decided in one step.

Claims of an endpoint are numbered, and the latest one counts. A number is never used again, so that a call that comes
late, or is repeated after its answer was lost, meets nobody else's claim. Who wants the endpoint makes the next
number, and only when the latest claim is given back, was left behind by a run that does not run, or is the run's own:
whatever the reason, all who try make the same name, and one of them gets it.

Tickets are a courtesy: they order those who wait and keep nobody out. Owns names and order. Makes no call. Knows
neither Airflow nor boto3.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.config_history import DATA_DATE
from sagemaker_byoc.deployment import instant
from sagemaker_byoc.naming import joined, short_hash
from sagemaker_byoc.run import tag_code, text_of_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

__all__ = [
    "AIRFLOW_TAG",
    "DAG_TAG",
    "FORGOTTEN_AFTER",
    "GRACE_SECONDS",
    "HOLDER_TAG",
    "ON_TAG",
    "OVER_TAG",
    "RUN_TAG",
    "Contender",
    "Holder",
    "Queue",
    "Standing",
    "Turn",
    "claim_name",
    "name_filter",
    "run_key",
    "ticket_name",
]

ON_TAG, HOLDER_TAG, OVER_TAG = "claim_on", "claim_holder", "claim_over"
"""Tags of claims and tickets: the endpoint, the key of the run, and that a claim was given back."""

DAG_TAG, RUN_TAG, AIRFLOW_TAG = "claim_dag", "claim_run", "claim_airflow"
"""Which run that is, and where, as ``tag_code`` writes it. The tags that say where a resource comes from are for
people: they lose characters, and the user's own may replace them."""

GRACE_SECONDS = 15.0
"""How long a free endpoint is left to each of those who stand before one in the queue: three looks. A ticket that a
crash left behind costs no more than that, once."""

FORGOTTEN_AFTER = timedelta(hours=12)
"""Age at which a claim counts as left behind although Airflow cannot tell what has become of its run: one of another
Airflow, or a deleted one. AWS lets a deployment take eight hours at most (``MaximumExecutionTimeoutInSeconds``)."""

_UNDATED = "undated"


@dataclass(frozen=True)
class Holder:
    """The run that a claim belongs to.

    :param airflow: address of the Airflow that it is a run of; empty if that has none
    """

    key: str = ""
    dag_id: str = "unknown"
    run_id: str = "unknown"
    airflow: str = ""

    @classmethod
    def of_run(cls, dag_id: str, run_id: str, airflow: str = "") -> Holder:
        """Return the holder that a run is."""
        return cls(run_key(dag_id, run_id, airflow), dag_id, run_id, airflow)

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Holder:
        """Read the tags of a claim."""
        dag_id, run_id, airflow = (text_of_tag(tags.get(name, "")) for name in (DAG_TAG, RUN_TAG, AIRFLOW_TAG))
        return cls(tags.get(HOLDER_TAG, ""), dag_id, run_id, airflow)

    def tags(self) -> dict[str, str]:
        """Return the tags by which a claim says whose it is."""
        where = {DAG_TAG: self.dag_id, RUN_TAG: self.run_id, AIRFLOW_TAG: self.airflow}
        return {HOLDER_TAG: self.key, **{name: tag_code(text) for name, text in where.items()}}


@dataclass(frozen=True)
class Contender:
    """A run that wants to deploy to an endpoint.

    :param key: the same for all tasks and tries of the run
    :param config: CreateEndpointConfig request of claim and ticket without the name. It is the run's own deployment,
        so that what holds for that one (the models exist, IAM's conditions are met) holds for these too
    :param data_date: ISO 8601, of the data that its model was trained on
    """

    endpoint_name: str
    key: str
    config: Mapping[str, Any]
    data_date: str | None = None

    @classmethod
    def of(
        cls,
        endpoint_name: str,
        holder: Holder,
        config: Mapping[str, Any],
        tags: Iterable[Mapping[str, str]],
        data_date: str | None,
    ) -> Contender:
        """Make claims and tickets from the run's CreateEndpointConfig request.

        :param tags: where they come from; those of the request itself say what is deployed, which these are not
        """
        ours = {ON_TAG: endpoint_name, **holder.tags(), **({DATA_DATE: data_date} if data_date else {})}
        all_tags = [*map(dict, tags), *({"Key": name, "Value": value} for name, value in ours.items())]
        return cls(endpoint_name, holder.key, {**config, "Tags": all_tags}, data_date)

    def as_json(self) -> dict[str, Any]:
        """Return the fields, so that a trigger can carry them; ``Contender(**fields)`` reads them back."""
        return dict(vars(self))

    @property
    def ticket(self) -> str:
        """The name of its ticket."""
        return ticket_name(self.endpoint_name, self.data_date, self.key)

    def request(self, name: str) -> dict[str, Any]:
        """Return the request that makes a claim or a ticket."""
        return {**self.config, "EndpointConfigName": name}


@dataclass(frozen=True)
class Queue:
    """What a list of an endpoint's claims and tickets shows.

    :param number: of the latest claim; 0 when there is none
    :param arn: of the latest claim
    :param claimed_at: when it was made, by AWS's clock
    :param earlier: names of the claims before it, which mean nothing any more
    :param tickets: names, in the order in which their runs are to have their turn
    """

    endpoint_name: str
    number: int = 0
    arn: str = ""
    claimed_at: datetime | None = None
    earlier: tuple[str, ...] = ()
    tickets: tuple[str, ...] = ()

    @classmethod
    def of(cls, endpoint_name: str, configs: Iterable[Mapping[str, Any]]) -> Queue:
        """Read the summaries of ListEndpointConfigs; those of other configurations are passed over."""
        claims: list[tuple[int, Mapping[str, Any]]] = []
        tickets: list[Mapping[str, Any]] = []
        claim, ticket = _claim_pattern(endpoint_name), _ticket_pattern(endpoint_name)
        for config in configs:
            name = config["EndpointConfigName"]
            if found := claim.search(name):
                claims.append((int(found[1]), config))
            elif ticket.search(name):
                tickets.append(config)
        oldest_first = sorted(tickets, key=lambda each: (each["CreationTime"], each["EndpointConfigName"]))
        names = [str(each["EndpointConfigName"]) for each in oldest_first]
        ordered = tuple(sorted(names, key=lambda name: _rank(endpoint_name, name), reverse=True))
        if not claims:
            return cls(endpoint_name, tickets=ordered)
        *earlier, (number, latest) = sorted(claims, key=lambda each: each[0])
        return cls(
            endpoint_name,
            number,
            latest["EndpointConfigArn"],
            latest["CreationTime"],
            tuple(each["EndpointConfigName"] for _, each in earlier),
            ordered,
        )

    @property
    def claim(self) -> str:
        """The name of the latest claim."""
        return claim_name(self.endpoint_name, self.number)

    @property
    def next_claim(self) -> str:
        """The name that all make who want the endpoint now."""
        return claim_name(self.endpoint_name, self.number + 1)

    def ahead_of(self, ticket: str) -> tuple[str, ...]:
        """Return the tickets that come before one, which itself may be missing: it is then behind its equals."""
        if ticket in self.tickets:
            return self.tickets[: self.tickets.index(ticket)]
        mine = _rank(self.endpoint_name, ticket)
        return tuple(each for each in self.tickets if _rank(self.endpoint_name, each) >= mine)


@dataclass(frozen=True)
class Standing:
    """The queue, and who has the endpoint.

    :param holder: None when nobody has it
    """

    queue: Queue
    holder: Holder | None = None

    def is_open_to(self, key: str) -> bool:
        """Say whether a run may make the next claim."""
        return self.holder is None or self.holder.key == key

    def is_held_with(self, number: int, key: str) -> bool:
        """Say whether a run has the endpoint by the claim of this number.

        A list that is late and does not show that claim yet does not take it away.
        """
        if self.queue.number != number:
            return self.queue.number < number
        return self.holder is not None and self.holder.key == key


class Turn:
    """What a run that waits makes of one look after the other.

    :param clock: seconds that never go back
    """

    def __init__(self, contender: Contender, clock: Callable[[], float] = time.monotonic) -> None:
        self._contender = contender
        self._clock = clock
        self._free: tuple[int, float] | None = None
        self._told: Holder | None = None

    def news(self, standing: Standing) -> str | None:
        """Say who has the endpoint, when that is another one than at the look before."""
        before, self._told = self._told, standing.holder
        holder, queue = standing.holder, standing.queue
        if holder is None or holder == before or holder.key in ("", self._contender.key):
            return None
        ahead = len(queue.ahead_of(self._contender.ticket))
        maker = f", made by the Airflow at {holder.airflow}" if holder.airflow else ""
        return (
            f"Run {holder.run_id} of {holder.dag_id} has endpoint {queue.endpoint_name} to itself until its smoke test "
            f"is over, or the run itself; {ahead} of those who wait come before this run. Its claim is the endpoint "
            f"configuration {queue.claim}{maker}."
        )

    def has_come(self, standing: Standing) -> bool:
        """Say whether the run may try to take the endpoint now; every look is to be shown."""
        if not standing.is_open_to(self._contender.key):
            self._free = None
            return False
        if standing.holder is not None:
            return True
        now, number = self._clock(), standing.queue.number
        if self._free is None or self._free[0] != number:
            self._free = number, now
        ahead = len(standing.queue.ahead_of(self._contender.ticket))
        return now - self._free[1] >= ahead * GRACE_SECONDS


def run_key(dag_id: str, run_id: str, airflow: str = "") -> str:
    """Return what is the same for all tasks and tries of a run, and for a cleared one too.

    :param airflow: scheduled runs of one DAG have the same ids in each Airflow
    """
    return short_hash(f"{airflow}\n{dag_id}\n{run_id}")


def name_filter(endpoint_name: str) -> str:
    """Return what the names of all claims and tickets of an endpoint contain."""
    return f"{short_hash(endpoint_name)}-"


def claim_name(endpoint_name: str, number: int) -> str:
    """Return the name of a claim, at most 63 characters."""
    return joined(endpoint_name, f"{name_filter(endpoint_name)}claim-{number}")


def ticket_name(endpoint_name: str, data_date: str | None, key: str) -> str:
    """Return the name of a run's ticket, at most 63 characters; it says when the run's turn is.

    :param data_date: ISO 8601
    """
    moment = instant(data_date)
    when = _sortable(moment) if moment else _UNDATED
    return joined(endpoint_name, f"{name_filter(endpoint_name)}wait-{when}-{key}")


def _sortable(moment: datetime) -> str:
    """Return a moment in UTC as text that sorts by time; what lies beyond the calendar in UTC keeps its own zone."""
    with suppress(OverflowError):
        moment = moment.astimezone(timezone.utc)
    return f"{moment.year:04}{moment:%m%dT%H%M%S}"


def _claim_pattern(endpoint_name: str) -> re.Pattern[str]:
    return re.compile(rf"-{name_filter(endpoint_name)}claim-(\d+)$")


def _ticket_pattern(endpoint_name: str) -> re.Pattern[str]:
    return re.compile(rf"-{name_filter(endpoint_name)}wait-({_UNDATED}|\d+T\d+)-\w+$")


def _rank(endpoint_name: str, ticket: str) -> str:
    """Return what a ticket is ordered by, the greatest first.

    Newest data first: older ones behind them are not deployed any more. Runs without a date come last, since they
    are deployed whatever serves, and one with a date would be right to replace them.
    """
    found = _ticket_pattern(endpoint_name).search(ticket)
    when = found[1] if found else _UNDATED
    return "" if when == _UNDATED else when
