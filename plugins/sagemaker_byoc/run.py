"""Which run of which task this is: what names and tags are made from.

Owns the facts that stay the same on every automatic retry of a task. Knows neither AWS calls nor Airflow's classes;
it reads an Airflow context as the mapping that it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PROJECT", "RunIdentity", "tag_code", "text_of_tag"]

PROJECT = "sagemaker-byoc"
"""Value of the tag ``project``, by which clean-up finds everything this package made."""

TAG_VALUE_LENGTH = 256
NOT_A_TAG_CHARACTER = re.compile(r"[^\w\s.:/=+\-@]")
NOT_ITS_OWN_CODE = re.compile(r"[^\w.:/+\-@]")
CODED = re.compile(r"(?:=[0-9a-f]{2})+")


@dataclass(frozen=True)
class RunIdentity:
    """One task of one run.

    :param max_tries: Airflow's count of allowed tries; an automatic retry leaves it, clearing the task raises it, so it
        tells the generations of a task apart
    :param map_index: -1 for a task that is not mapped
    :param logical_date: ISO 8601, None for a run that was triggered without one
    :param run_type: ``manual``, ``scheduled``, ``backfill`` or ``asset_triggered``
    :param try_number: counts all tries, 1 for the first; no part of the identity
    :param data_date: ISO 8601, the begin of the run's data interval, else its logical date. The two differ for a run
        that was triggered by hand: its logical date is the moment of that, its data are of the last whole interval
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    max_tries: int = 0
    logical_date: str | None = None
    run_type: str = "manual"
    try_number: int = 1
    data_date: str | None = None

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> RunIdentity:
        """Read the identity from the context that Airflow gives to a running task."""
        ti, dag_run = context["ti"], context["dag_run"]
        logical_date = dag_run.logical_date
        data_date = dag_run.data_interval_start or logical_date
        return cls(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            max_tries=ti.max_tries,
            logical_date=logical_date.isoformat() if logical_date else None,
            run_type=str(getattr(dag_run.run_type, "value", dag_run.run_type)),
            try_number=ti.try_number,
            data_date=data_date.isoformat() if data_date else None,
        )

    @property
    def key(self) -> str:
        """Return the text that is the same for all automatic tries of this task and different for any other."""
        return "\n".join([self.dag_id, self.run_id, self.task_id, str(self.map_index), str(self.max_tries)])

    @property
    def is_last_try(self) -> bool:
        """Say whether Airflow will not try again by itself if this try fails."""
        return self.try_number > self.max_tries

    def earlier_generations(self) -> list[RunIdentity]:
        """Return what this task may have been before a person cleared it; nothing on a first try.

        Clearing sets ``max_tries`` to the tries so far and the task's ``retries``. How many each generation used is not
        told, so every smaller number is one that may have been.
        """
        return [replace(self, max_tries=number) for number in range(self.max_tries if self.try_number > 1 else 0)]

    def tags(self, own: Sequence[dict[str, str]] | None = None) -> list[dict[str, str]]:
        """Return AWS tags that say where a resource comes from; characters that a tag may not hold become ``_``.

        :param own: the user's tags; they come first and win over ours of the same key. What is no tag is kept for the
            request's check to refuse
        """
        facts = {
            "project": PROJECT,
            "airflow:dag_id": self.dag_id,
            "airflow:run_id": self.run_id,
            "airflow:task_id": self.task_id,
            "airflow:run_type": self.run_type,
            "airflow:logical_date": self.logical_date or "",
        }
        first = list(own or [])
        taken = {tag.get("Key") for tag in first if isinstance(tag, dict)}
        ours = [{"Key": key, "Value": tag_value(value)} for key, value in facts.items() if key not in taken]
        return first + ours


def tag_value(text: str) -> str:
    """Return the text as AWS takes it for a tag: at most 256 characters of letters, digits, spaces and ``_.:/=+-@``."""
    return NOT_A_TAG_CHARACTER.sub("_", text)[:TAG_VALUE_LENGTH]


def tag_code(text: str) -> str:
    """Return a tag's value from which ``text_of_tag`` makes the text again, unless it is too long for one.

    What a tag may not hold is written as ``=`` and two digits for each of its bytes. That is little in the ids of DAGs
    and runs, which have 250 characters at most.
    """
    return NOT_ITS_OWN_CODE.sub(lambda found: f"={found[0].encode().hex('=')}", text)[:TAG_VALUE_LENGTH]


def text_of_tag(code: str) -> str:
    """Return the text that ``tag_code`` was given; what it did not make is read as far as it goes."""
    return CODED.sub(lambda found: bytes.fromhex(found[0].replace("=", "")).decode(errors="replace"), code)
