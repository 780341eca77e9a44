"""Puts deferred tasks into Airflow's database, as the scheduler and the workers would have left them.

A program of the environment of either side: it reads ``{"names": […], "probe": file}`` and imports the DAGs of the
folder that the environment names. A run is made for each name, with the name as its id; a task that Airflow may defer
without a worker is deferred by Airflow's own code, any other gets the trigger that its operator would have made. So a
thousand waits are there at once, for which a scheduler and its workers would have needed half an hour. Their triggers
are held in a queue that no triggerer serves, so that the benchmark can release all of them at one moment.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dag_version import DagVersion
from airflow.models.dagbag import DBDagBag
from airflow.models.dagbundle import DagBundleModel
from airflow.models.trigger import Trigger
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from lag_probe import LagProbeTrigger
from sqlalchemy import update

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger
    from sqlalchemy.orm import Session

HELD = "held"
BUNDLE = "benchmark"
RUNS_PER_COMMIT = 500


def main() -> None:
    """Write the rows."""
    asked = json.load(sys.stdin)
    logging.disable(logging.INFO)
    with create_session() as session:
        write_dags(session)
        defer(session, "lag_probe", ["probe"], lambda _: LagProbeTrigger(report=asked["probe"]))
    for start in range(0, len(asked["names"]), RUNS_PER_COMMIT):
        with create_session() as session:
            defer(session, "waits", asked["names"][start : start + RUNS_PER_COMMIT], stock_trigger)
    with create_session() as session:
        session.execute(update(Trigger).where(Trigger.classpath.notlike("lag_probe%")).values(queue=HELD))


def write_dags(session: Session) -> None:
    """Write the folder's DAGs, and one for the probe, as the dag processor does."""
    session.add(DagBundleModel(name=BUNDLE))
    session.flush()
    folder = Path(conf.get_mandatory_value("core", "dags_folder"))
    bag = DagBag(folder, bundle_path=folder, bundle_name=BUNDLE)
    if bag.import_errors:
        sys.exit(f"a DAG does not import: {bag.import_errors}")
    with DAG("lag_probe", schedule=None) as probe:
        EmptyOperator(task_id="probe")
    bag.bag_dag(probe)
    sync_bag_to_db(bag, BUNDLE, None, session=session)


def defer(session: Session, dag_id: str, names: list[str], trigger_of: Any) -> None:
    """Make a run for each name and defer its one task."""
    dag = DBDagBag().get_latest_version_of_dag(dag_id, session=session)
    version = DagVersion.get_latest_version(dag_id, session=session)
    if dag is None or version is None:
        sys.exit(f"the folder has no DAG {dag_id}")
    for name in names:
        run = dag.create_dagrun(
            run_id=name,
            run_after=datetime.now(timezone.utc),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.RUNNING,
            session=session,
        )
        [task] = run.get_task_instances(session=session)
        task.dag_version_id = version.id
        task.refresh_from_task(dag.get_task(task.task_id))
        if not task.defer_task(session=session):
            defer_by_hand(session, task, trigger_of(name))


def defer_by_hand(session: Session, task: Any, trigger: BaseTrigger) -> None:
    """Leave a task as a worker does that has deferred it."""
    row = Trigger.from_object(trigger)
    session.add(row)
    session.flush()
    task.state = TaskInstanceState.DEFERRED
    task.trigger_id = row.id
    task.next_method = "execute_complete"
    task.next_kwargs = {}
    task.try_number = 1
    task.start_date = datetime.now(timezone.utc)


def stock_trigger(name: str) -> BaseTrigger:
    """Return the trigger that ``SageMakerTrainingOperator`` makes with its defaults."""
    from airflow.providers.amazon.aws.triggers.sagemaker import SageMakerTrigger

    return SageMakerTrigger(
        job_name=name, job_type="Training", waiter_delay=30, waiter_max_attempts=60, region_name="us-east-1"
    )


if __name__ == "__main__":
    main()
