"""Who still waits for what a task started, when Airflow tears the task down."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sagemaker_byoc.hooks.task_state import has_left, has_left_triggerer, note_try_of, run_has_ended
from tests.support.airflow_pipe import note, runs_are, task_is

TRY = SimpleNamespace(
    dag_id="retrain", run_id="scheduled__2026-01-02", task_id="wait_for_training", map_index=-1, try_number=2
)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let no time pass between looks, but note how much would."""
    passed: list[float] = []

    async def pause(seconds: float) -> None:
        passed.append(seconds)

    monkeypatch.setattr("asyncio.sleep", pause)
    return passed


def left_after(*, noted: dict[str, Any] | None, wrote: bool = True) -> bool:
    """Ask as a deferred try's ``on_kill`` does, with the note that others left since the trigger began."""

    async def ask() -> bool:
        if wrote:
            await note_try_of(TRY)
        if noted is not None:
            pipe.xcoms["deferred_try"] = noted
        return await has_left_triggerer(TRY)

    with task_is("deferred") as pipe:
        return asyncio.run(ask())


@pytest.mark.parametrize("state", ["failed", "success", "skipped", "restarting", "removed"])
def test_a_task_that_a_person_ended_has_left_its_worker(state: str) -> None:
    """Mark failed, mark success, clear: nobody waits for what it started."""
    with task_is(state):
        assert has_left(TRY, "running")


@pytest.mark.parametrize("state", ["running", None, "scheduled", "queued", "up_for_retry", "deferred"])
def test_a_task_whose_next_try_comes_by_itself_has_not_left(state: str | None) -> None:
    """A scheduler that takes over from a crashed one starts the task anew, and the next try waits for the same job."""
    with task_is(state):
        assert not has_left(TRY, "running")


@pytest.mark.parametrize("state", ["failed", "success", None, "scheduled", "queued", "running", "up_for_retry"])
def test_a_task_in_another_state_has_left_the_triggerer(state: str | None, pauses: list[float]) -> None:
    """No trigger waits for it, whatever was noted."""
    with task_is(state):
        assert asyncio.run(has_left_triggerer(TRY))
    assert not pauses


def test_a_wait_that_another_triggerer_took_over_goes_on(pauses: list[float]) -> None:
    """The same try has noted itself from elsewhere; nobody has to wait to find that out."""
    assert not left_after(noted=note(2))
    assert not pauses


def test_a_cleared_wait_is_over_although_the_task_waits_again(pauses: list[float]) -> None:
    """Only a clear makes a later try while this one waits."""
    assert left_after(noted=note(3))
    assert not pauses


def test_the_note_of_the_newer_wait_may_come_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both triggers move at the same time; the old one gives the new one a minute to say that it is there."""
    with task_is("deferred") as pipe:

        async def another_trigger_starts(_: float) -> None:
            pipe.xcoms["deferred_try"] = note(3)

        async def ask() -> bool:
            await note_try_of(TRY)
            return await has_left_triggerer(TRY)

        monkeypatch.setattr("asyncio.sleep", another_trigger_starts)
        assert asyncio.run(ask())


@pytest.mark.parametrize(
    ("noted", "wrote"),
    [(None, True), (None, False), (note(1), False)],
    ids=["own note", "no note", "note of before a clear"],
)
def test_a_wait_of_which_nothing_more_is_heard_is_taken_for_moved(
    pauses: list[float], noted: dict[str, Any] | None, wrote: bool
) -> None:
    """When in doubt the job goes on, but not before a minute of looking."""
    assert not left_after(noted=noted, wrote=wrote)
    assert 55 <= sum(pauses) <= 65


def test_a_look_that_fails_is_repeated(pauses: list[float]) -> None:
    """Airflow may be away for a moment, for example while its database is busy."""
    with task_is("failed") as pipe:
        answers = iter([RuntimeError("database is locked"), None])
        answer = pipe.send.side_effect

        def sometimes(question: Any) -> Any:
            error = next(answers, None)
            if error is not None:
                raise error
            return answer(question)

        pipe.send.side_effect = sometimes
        assert asyncio.run(has_left_triggerer(TRY))
    assert len(pauses) == 1


def test_what_nobody_can_answer_is_not_guessed(pauses: list[float]) -> None:
    """After the last look its error is raised, so that the caller can say what goes on."""
    with task_is("failed") as pipe:
        pipe.send.side_effect = RuntimeError("database is locked")
        with pytest.raises(RuntimeError, match="database is locked"):
            asyncio.run(has_left_triggerer(TRY))


def test_a_note_that_cannot_be_written_does_not_end_the_wait(caplog: pytest.LogCaptureFixture) -> None:
    """The job is what counts."""
    with task_is("deferred") as pipe:
        pipe.asend.side_effect = RuntimeError("database is locked")
        asyncio.run(note_try_of(TRY))
    assert "database is locked" in caplog.text


def test_a_mapped_task_notes_itself_under_its_index() -> None:
    """Each index waits for a job of its own."""
    with task_is("deferred") as pipe:
        asyncio.run(note_try_of(SimpleNamespace(**{**vars(TRY), "map_index": 3})))
    [message] = pipe.asend.call_args_list[0].args
    assert (message.dag_id, message.run_id, message.task_id, message.map_index) == (
        "retrain",
        "scheduled__2026-01-02",
        "wait_for_training",
        3,
    )


@pytest.mark.parametrize(
    ("state", "ended"), [("success", True), ("failed", True), ("running", False), ("queued", False)]
)
def test_a_run_is_over_when_it_has_an_outcome(state: str, ended: bool) -> None:
    """One that a person has cleared is queued first, and is not over."""
    with runs_are({"monday": state}):
        assert run_has_ended("retrain", "monday") is ended


def test_of_an_unknown_run_nothing_is_said() -> None:
    """It may be another Airflow's, and go on; outside of Airflow nobody can be asked."""
    with runs_are({}):
        assert run_has_ended("retrain", "monday") is None
    assert run_has_ended("retrain", "monday") is None
