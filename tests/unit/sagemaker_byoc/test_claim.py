"""The rules of an endpoint's queue: names, order, and whose turn it is."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from sagemaker_byoc.claim import (
    GRACE_SECONDS,
    ON_TAG,
    RUN_TAG,
    Contender,
    Holder,
    Queue,
    Standing,
    Turn,
    claim_name,
    name_filter,
    run_key,
    ticket_name,
)
from sagemaker_byoc.naming import content_name

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
DATES = st.one_of(st.none(), st.dates().map(lambda day: f"{day}T01:02:03.456+02:00"))


def contender(number: int, data_date: str | None = "2026-01-01") -> Contender:
    """Make a run that wants the endpoint ``iris``."""
    return Contender.of("iris", Holder.of_run("retrain", f"run-{number}"), {}, [], data_date)


def summary(name: str, second: int = 0) -> dict[str, Any]:
    """Make a line of the list."""
    made = NOON + timedelta(seconds=second)
    return {"EndpointConfigName": name, "EndpointConfigArn": f"arn:{name}", "CreationTime": made}


def queue_of(*waiting: Contender, number: int = 0) -> Queue:
    """Make a queue whose tickets were put up one after another."""
    claims = [summary(claim_name("iris", number))] if number else []
    return Queue.of("iris", [*claims, *(summary(each.ticket, second) for second, each in enumerate(waiting))])


@given(endpoint_name=st.from_regex(NAME, fullmatch=True), number=st.integers(1, 10**6), data_date=DATES)
@example(endpoint_name="iris", number=1, data_date="0001-01-01T00:00:00+14:00")
@example(endpoint_name="iris", number=1, data_date="9999-12-31T00:00:00-14:00")
def test_names_are_names_and_found_by_the_filter(endpoint_name: str, number: int, data_date: str | None) -> None:
    """However long the endpoint's name is, and whatever it ends with, what is listed is told apart again."""
    claim, ticket = claim_name(endpoint_name, number), ticket_name(endpoint_name, data_date, run_key("a", "b"))
    assert NAME.fullmatch(claim)
    assert NAME.fullmatch(ticket)
    assert name_filter(endpoint_name) in claim
    assert name_filter(endpoint_name) in ticket
    other = content_name(endpoint_name, {"a": 1})
    queue = Queue.of(endpoint_name, [summary(claim), summary(ticket), summary(other)])
    assert (queue.number, queue.claim, queue.tickets) == (number, claim, (ticket,))


def test_the_claims_of_another_endpoint_are_none() -> None:
    """Their names may look alike, but the hash tells them apart."""
    assert Queue.of("iris", [summary(claim_name("iris-2", 7)), summary(claim_name("iri", 8))]) == Queue("iris")


def test_the_latest_claim_counts() -> None:
    """By its number and not by its name or age: the tenth comes after the ninth."""
    queue = Queue.of("iris", [summary(claim_name("iris", number), 60 - number) for number in (9, 10, 2)])
    assert (queue.number, queue.next_claim) == (10, claim_name("iris", 11))
    assert queue.arn == f"arn:{claim_name('iris', 10)}"
    assert queue.earlier == (claim_name("iris", 2), claim_name("iris", 9))


def test_newer_data_have_their_turn_first() -> None:
    """Whoever came when; runs of the same data as they came, those without a date at last."""
    old, undated, new, also_new = (
        contender(number, date)
        for number, date in enumerate(("2026-01-01", None, "2026-01-02T01:00:00+01:00", "2026-01-02"))
    )
    queue = queue_of(old, undated, new, also_new)
    assert queue.tickets == (new.ticket, also_new.ticket, old.ticket, undated.ticket)
    assert queue.ahead_of(old.ticket) == (new.ticket, also_new.ticket)
    assert queue.ahead_of(new.ticket) == ()


def test_a_run_without_a_ticket_stands_behind_its_equals() -> None:
    """It has not come yet, so everybody of the same data came before."""
    assert queue_of(contender(1), contender(2, "2025-12-31")).ahead_of(contender(3).ticket) == (contender(1).ticket,)


def test_a_run_waits_while_another_one_has_the_endpoint() -> None:
    """However long that is, and however good its ticket is."""
    now = [0.0]
    turn = Turn(contender(1), lambda: now[0])
    for now[0] in (0.0, 1e6):
        assert not turn.has_come(Standing(queue_of(contender(1), number=4), Holder("another")))


def test_a_free_endpoint_is_left_to_those_ahead_for_a_while() -> None:
    """Each of them gets a grace from when this run first saw the endpoint free; nobody ahead, no grace."""
    now = [100.0]
    turns = {each: Turn(contender(each), lambda: now[0]) for each in (1, 2, 3)}
    free = Standing(queue_of(*(contender(each) for each in turns), number=4))

    def come() -> list[int]:
        return [each for each, turn in turns.items() if turn.has_come(free)]

    assert come() == [1]
    now[0] += GRACE_SECONDS
    assert come() == [1, 2]
    now[0] += GRACE_SECONDS
    assert come() == [1, 2, 3]


def test_the_grace_begins_anew_with_each_holder() -> None:
    """What was given back twice has been free since the second time."""
    now = [0.0]
    turn = Turn(contender(2), lambda: now[0])
    queue = queue_of(contender(1), contender(2), number=4)
    assert not turn.has_come(Standing(queue))
    now[0] = GRACE_SECONDS - 1
    assert not turn.has_come(Standing(queue, Holder("another")))
    assert not turn.has_come(Standing(queue))
    now[0] += GRACE_SECONDS - 1
    assert not turn.has_come(Standing(queue))
    # Somebody had it between two looks.
    now[0] += 1
    later = queue_of(contender(1), contender(2), number=5)
    assert not turn.has_come(Standing(later))
    now[0] += GRACE_SECONDS
    assert turn.has_come(Standing(later))


def test_a_run_comes_back_to_its_own_claim_at_once() -> None:
    """A retry, or a triggerer that was restarted, has nobody to wait for."""
    mine = Standing(queue_of(contender(9, "2030-01-01"), number=4), Holder(contender(1).key))
    assert Turn(contender(1)).has_come(mine)


def test_a_claim_is_held_until_a_later_one_or_its_end() -> None:
    """A list that is late shows an earlier claim, which means nothing."""
    mine, fourth = contender(1).key, queue_of(number=4)
    assert Standing(fourth, Holder(mine)).is_held_with(4, mine)
    assert Standing(queue_of(number=3), Holder("another")).is_held_with(4, mine)
    assert not Standing(queue_of(number=5), Holder("another")).is_held_with(4, mine)
    assert not Standing(fourth).is_held_with(4, mine)
    assert not Standing(fourth, Holder("another")).is_held_with(4, mine)


def test_who_has_the_endpoint_is_told_when_it_changes() -> None:
    """Run, DAG, how many come first, and the claim, which a person may have to delete."""
    turn = Turn(contender(1))
    queue = queue_of(contender(9, "2030-01-01"), number=4)
    first = turn.news(Standing(queue, Holder("x", "retrain", "monday")))
    assert first is not None
    for part in ("Run monday of retrain", "1 of those who wait", claim_name("iris", 4)):
        assert part in first
    assert turn.news(Standing(queue, Holder("x", "retrain", "monday"))) is None
    assert turn.news(Standing(queue)) is None
    elsewhere = Standing(queue, Holder("x", "retrain", "monday", "https://airflow.example.com"))
    assert "by the Airflow at https://airflow.example.com" in str(turn.news(elsewhere))
    assert turn.news(Standing(queue, Holder(contender(1).key, "retrain", "run-1"))) is None
    assert "tuesday" in str(turn.news(Standing(queue, Holder("y", "retrain", "tuesday"))))


def test_a_run_is_another_in_another_airflow() -> None:
    """Scheduled runs of one DAG have the same ids everywhere."""
    here, there = (Holder.of_run("retrain", "scheduled__1", airflow) for airflow in ("", "https://airflow.example.com"))
    assert here.key != there.key
    assert here.key == run_key("retrain", "scheduled__1")


def test_a_claim_is_the_runs_own_deployment_with_tags_of_its_own() -> None:
    """What says of a configuration that it is deployed is no tag of a claim; a trigger can carry it all."""
    config = {"EndpointConfigName": "iris-1", "ProductionVariants": [{"ModelName": "m"}], "Tags": [{"Key": "a"}]}
    holder = Holder.of_run("retrain", "manual~1", "https://airflow.example.com/?a")
    wanted = Contender.of("iris", holder, config, [{"Key": "team", "Value": "x"}], "2026-01-01")
    carried = Contender(**json.loads(json.dumps(wanted.as_json())))
    request = carried.request("name")
    assert (request["EndpointConfigName"], request["ProductionVariants"]) == ("name", [{"ModelName": "m"}])
    tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    assert tags == {"team": "x", ON_TAG: "iris", "data_date": "2026-01-01", **holder.tags()}
    assert tags[RUN_TAG] == "manual=7e1"
    assert Holder.of(tags) == holder
