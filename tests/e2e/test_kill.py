"""What becomes of a paid job, or of traffic, when its wait is killed: each row of the README's table is proven here."""

from __future__ import annotations

import itertools
import re
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.e2e.endpoint_probe import Models, Shift, answering_models
from tests.e2e.probe import Run, until
from tests.e2e.wait_probe import STARTING, Wait, end_part, signal_part, start_part, triggerers_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_stack.stack import Stack

    StartWaits = Callable[..., list[Wait]]

SENSORS = ("sensor_in_triggerer", "sensor_on_worker")
WAYS = (*SENSORS, "operator_in_triggerer", "operator_on_worker")
DEFERRED = "sensor_in_triggerer_by_worker"
"""A worker begins this wait, as it does where something about the task needs one."""

bases = (f"job{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def image(killable: Stack) -> str:
    """Return the image that all jobs train in."""
    run = Run.start(killable, "train_probe")
    run.wait_for_task("build_push_image", "success")
    return str(run.xcom("build_push_image"))


@pytest.fixture
def start(killable: Stack, image: str) -> StartWaits:
    """Start waits, one for each DAG, and return them when all are watched."""

    def start_waits(*dag_ids: str) -> list[Wait]:
        waits = [Wait.start(killable, dag_id, next(bases), image) for dag_id in dag_ids]
        return [wait.until_watched() for wait in waits]

    return start_waits


@pytest.mark.kill_row("A person marks the task failed")
@pytest.mark.kill_row("A person marks the task successful")
@pytest.mark.kill_row("A person clears the task")
@pytest.mark.kill_row("A person marks the run failed")
@pytest.mark.kill_row("A person marks the run successful")
def test_a_person_who_ends_the_wait_stops_the_job(start: StartWaits) -> None:
    """However a person does it, and wherever the wait is, nobody waits for the job any more."""
    waits = start(*WAYS, DEFERRED, *WAYS, DEFERRED, *SENSORS, *SENSORS[:1], *SENSORS[:1])
    failed, cleared, run_failed, succeeded, run_succeeded = (
        waits[:5],
        waits[5:10],
        waits[10:12],
        waits[12:13],
        waits[13:],
    )
    for wait in failed:
        wait.run.mark("wait", "failed")
    for wait in succeeded:
        wait.run.mark("wait", "success")
    for wait in cleared:
        wait.run.clear("wait")
    for wait in run_failed:
        wait.run.mark_run("failed")
    for wait in run_succeeded:
        wait.run.mark_run("success")
    for wait in waits:
        wait.until_first_job_stopped()
    assert {wait.run.wait_for_task("wait", "failed", "success") for wait in failed} == {"failed"}
    assert {wait.run.wait_for_task("wait", "failed", "success") for wait in succeeded} == {"success"}
    assert {wait.run.wait() for wait in run_failed} == {"failed"}
    assert {wait.run.wait() for wait in run_succeeded} == {"success"}
    for wait in (*cleared[:2], cleared[4]):  # the sensor waits again for the one job that it knows
        assert wait.run.wait_for_task("wait", "failed", "success") == "failed"
    for wait in cleared[2:4]:  # the operator makes another one
        wait.until_job_count(2)
        wait.run.mark_run("failed")


@pytest.mark.kill_row("The sensor's `timeout` is over")
@pytest.mark.kill_row("The task's `execution_timeout` is over")
def test_a_wait_whose_time_is_over_stops_the_job(killable: Stack, image: str) -> None:
    """The task fails without a retry, which would find the job stopped or pay for another."""
    dag_ids = [f"{way}_timeout" for way in SENSORS] + [f"{way}_execution_timeout" for way in (*WAYS, DEFERRED)]
    waits = [Wait.start(killable, dag_id, next(bases), image) for dag_id in dag_ids]
    for wait in waits:
        assert wait.run.wait() == "failed"
        wait.until_first_job_stopped()
        assert len(wait.statuses()) == 1
        assert wait.run.task("wait")["try_number"] == 1


@pytest.mark.kill_row("A person marks the task failed, or its time is over, with `stop_on_kill=False`")
def test_the_job_outlives_its_wait_where_that_is_asked_for(killable: Stack, image: str, start: StartWaits) -> None:
    """Somebody else takes care of the job."""
    timed = Wait.start(killable, "sensor_in_triggerer_kept_timeout", next(bases), image)
    in_triggerer, on_worker = start(*(f"{way}_kept" for way in SENSORS))
    process = on_worker.process
    in_triggerer.run.mark("wait", "failed")
    on_worker.run.mark("wait", "failed")
    in_triggerer.until_logged("trigger completed")
    psutil.wait_procs([process], timeout=30)
    assert not process.is_running()
    assert timed.run.wait() == "failed"
    assert [wait.statuses() for wait in (in_triggerer, on_worker, timed)] == [["InProgress"]] * 3


@pytest.mark.kill_row("The triggerer is restarted")
@pytest.mark.kill_row("A person ends the wait while the triggerer is restarted")
def test_a_wait_outlives_a_restart_of_the_triggerer(killable: Stack, start: StartWaits) -> None:
    """It takes all waits up again, also one that a person ended meanwhile, only to be told so at once."""
    kept, ended = start("sensor_in_triggerer", "sensor_in_triggerer")
    end_part(killable, "triggerer", signal.SIGTERM)
    ended.run.mark("wait", "failed")
    start_part(killable, "triggerer", "triggerer")
    ended.until_first_job_stopped()
    kept.until_logged(STARTING, times=2)
    kept.still_sees_the_end()


@pytest.mark.kill_row("The triggerer is killed, and another one takes over")
@pytest.mark.kill_row("A person ends the wait before the other one has taken over")
@pytest.mark.kill_row("The same, with `StopTrainingJobOperator` as a teardown")
def test_a_wait_moves_to_another_triggerer(killable: Stack, start: StartWaits) -> None:
    """It goes on there; but a wait that a person ended before is swept away untold, and only a teardown knows."""
    kept, lost, caught = start("sensor_in_triggerer", "sensor_in_triggerer", "sensor_in_triggerer_and_teardown")
    start_part(killable, "triggerer-2", "triggerer")
    until(lambda: triggerers_alive(killable) == 2, "there are two triggerers")
    end_part(killable, "triggerer", signal.SIGKILL)
    lost.run.mark("wait", "failed")
    caught.run.mark_run("failed")
    caught.until_first_job_stopped()
    kept.until_logged(STARTING, times=2)
    kept.still_sees_the_end()
    assert lost.statuses() == ["InProgress"]
    end_part(killable, "triggerer-2", signal.SIGTERM)
    start_part(killable, "triggerer", "triggerer")


@pytest.mark.kill_row("A slow triggerer comes back after another one took over")
def test_a_wait_that_moved_is_no_business_of_the_slow_triggerer(killable: Stack, start: StartWaits) -> None:
    """Airflow tells it to end the wait as if a person had done so."""
    [wait] = start("sensor_in_triggerer")
    start_part(killable, "triggerer-2", "triggerer")
    signal_part(killable, "triggerer", signal.SIGSTOP)
    try:
        wait.until_logged(STARTING, times=2)
    finally:
        signal_part(killable, "triggerer", signal.SIGCONT)
    wait.until_told("triggerer", "The task goes on, and so does training job")
    wait.still_sees_the_end()
    end_part(killable, "triggerer-2", signal.SIGTERM)


@pytest.mark.kill_row("The worker is shut down while the task waits on it")
def test_a_wait_outlives_the_signal_that_its_worker_shuts_down(start: StartWaits) -> None:
    """The worker passes the signal on; the task answers that nobody has ended it, and waits as long as it may."""
    waits = start("sensor_on_worker", "operator_on_worker")
    for wait in waits:
        wait.worker.terminate()
    for wait in waits:
        wait.until_logged("The task goes on, and so does training job")
        wait.still_sees_the_end()


@pytest.mark.kill_row("The task's process or its worker is killed, with a retry left")
def test_a_retry_goes_on_waiting_after_kill_9(start: StartWaits) -> None:
    """It finds the job of the try before; nothing is paid for twice."""
    waits = start("sensor_on_worker", "operator_on_worker", "sensor_on_worker")
    whole_worker = (waits[2].worker, waits[2].process)
    for process in (waits[0].process, waits[1].process, *whole_worker):
        process.kill()
    for wait in waits:
        wait.until_tried_again().still_sees_the_end()


@pytest.mark.kill_row("The scheduler is restarted")
def test_a_wait_outlives_a_restart_of_the_scheduler(killable: Stack, start: StartWaits) -> None:
    """The scheduler that goes lets its tasks end by themselves, beside the one that comes."""
    waits = start(*SENSORS)
    signal_part(killable, "scheduler", signal.SIGTERM)
    old = killable.processes.running.pop("scheduler")
    start_part(killable, "scheduler", "scheduler")
    for wait in waits:
        wait.still_sees_the_end()
    # Airflow's LocalExecutor may wait for idle workers for ever.
    for worker in psutil.Process(old.pid).children(recursive=True):
        worker.kill()
    old.kill()
    old.wait(60)


@pytest.mark.kill_row("The scheduler is killed and started again")
def test_a_wait_outlives_a_scheduler_that_crashed(killable: Stack, start: StartWaits) -> None:
    """The next one takes the tasks on the crashed one's workers for lost: it ends them and starts their next try."""
    waits = start(*WAYS)
    killable.processes.running["scheduler"].kill()
    killable.processes.running.pop("scheduler").wait(60)
    start_part(killable, "scheduler", "scheduler")
    for wait in waits:
        if "on_worker" in wait.run.dag_id:
            wait.until_tried_again()
        wait.still_sees_the_end()


@pytest.fixture(scope="module")
def models(killable: Stack, image: str) -> None:
    """Make the two models between which traffic is shifted."""
    for name in ("old", "new"):
        Models(killable, image).make(name)


@pytest.mark.kill_row("A person marks a waiting `shift_traffic` failed, or its run")
@pytest.mark.kill_row("A person clears a waiting `shift_traffic`")
@pytest.mark.usefixtures("models")
def test_traffic_stays_where_a_person_ends_its_shift(killable: Stack) -> None:
    """Clearing goes on from there, at once or later; the DAG for that goes back."""
    shifts = [Shift.start(killable, name) for name in ("failed", "stopped", "cleared", "undisturbed")]
    failed, stopped, cleared, undisturbed = shifts
    failed.until_half().run.mark("shift_traffic", "failed")
    stopped.until_half().run.mark_run("failed")
    cleared.until_half().run.clear("shift_traffic")

    assert undisturbed.run.wait() == "success"
    assert undisturbed.is_over()
    assert (failed.run.wait(), stopped.run.wait()) == ("failed", "failed")
    assert failed.stays_at_half()
    assert stopped.stays_at_half()
    assert cleared.run.wait() == "success"
    assert cleared.is_over()
    assert "gets 50% of the traffic" not in cleared.run.log("shift_traffic")

    failed.run.clear("shift_traffic")
    back = Run.start(killable, "sagemaker_restore", endpoint_name="stopped", endpoint_config_name="stopped")
    assert back.wait() == "success"
    assert answering_models(killable, "stopped") == {"old"}
    assert failed.run.wait() == "success"
    assert failed.is_over()


@pytest.mark.kill_row("The triggerer is killed while `shift_traffic` waits")
@pytest.mark.usefixtures("models")
def test_traffic_is_shifted_on_by_another_triggerer(killable: Stack) -> None:
    """It finds the step on the endpoint, does not take it again, and takes the next one."""
    shift = Shift.start(killable, "moved").until_half()
    start_part(killable, "triggerer-2", "triggerer")
    until(lambda: triggerers_alive(killable) == 2, "there are two triggerers")
    end_part(killable, "triggerer", signal.SIGKILL)
    assert shift.half()
    assert shift.run.wait() == "success"
    assert shift.is_over()
    log = shift.run.log("shift_traffic")
    assert (log.count("gets 50% of the traffic"), log.count("gets 100% of the traffic")) == (1, 1)
    assert len(re.findall("trigger .*/shift_traffic/.* starting", log)) == 2
    end_part(killable, "triggerer-2", signal.SIGTERM)
    start_part(killable, "triggerer", "triggerer")
