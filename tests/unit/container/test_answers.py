"""What the served model answers to every kind of body, called without a socket."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import load
from sagemaker_container.asgi import BODY_LIMIT_BYTES, INLINE_BYTES, Application
from tests.unit.container.asgi_client import Client
from tests.unit.container.opt_ml import IRIS, OptMl

JSON = "application/json"
SETOSA = [5.1, 3.5, 1.4, 0.2]
VIRGINICA = [6.3, 3.3, 6.0, 2.5]
FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
NAMED = dict(zip(FEATURES, SETOSA, strict=True))


@pytest.fixture(scope="module")
def client(iris_model: Path) -> Client:
    """Give a client of the trained Iris model."""
    return Client(Application(load(iris_model)))


def refusal(client: Client, status: int, body: bytes | str, content_type: str = "text/csv", **headers: str) -> str:
    """Send a body that must be refused, and return the reason."""
    reply = client.invoke(body, content_type, **headers)
    assert reply.status == status
    assert reply.headers["content-type"] == JSON
    reason: str = reply.json()["error"]
    return reason


def test_ping_answers_200_with_an_empty_body(client: Client) -> None:
    """A model that predicts is ready for traffic."""
    reply = client.send("GET", "/ping")
    assert (reply.status, reply.body) == (200, b"")


def test_ping_is_not_200_when_the_model_does_not_answer(iris_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe runs a prediction, so a broken network is not put into service."""
    predictor = load(iris_model)
    monkeypatch.setattr(predictor, "_network", None)
    reply = Client(Application(predictor)).send("GET", "/ping")
    assert reply.status == 503
    assert "does not answer" in reply.json()["error"]


def test_the_held_out_file_can_be_sent_as_it_is(client: Client) -> None:
    """Header and label column do no harm, and one label comes back for each row."""
    body = (IRIS / "test" / "test.csv").read_bytes()
    reply = client.invoke(body)
    truth = [row["species"] for row in csv.DictReader(body.decode().splitlines())]
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/csv"
    predicted = reply.body.decode().splitlines()
    assert sum(a == b for a, b in zip(predicted, truth, strict=True)) >= 27


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("5.1,3.5,1.4,0.2", "text/csv"),
        ("5.1,3.5,1.4,0.2\r\n", "text/csv; charset=utf-8"),
        ("petal_width,sepal_length,colour,petal_length,sepal_width\n0.2,5.1,red,1.4,3.5\n", "Text/CSV"),
        ("\ufeffsepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n", "text/csv"),
        ("5.1,3.5,1.4,0.2\n\n", "text/csv; header=absent"),
    ],
)
def test_csv_is_read_with_and_without_a_header(client: Client, body: str, content_type: str) -> None:
    """Columns are found by name in any order, and by position without names."""
    assert client.invoke(body, content_type).body == b"setosa\n"


@pytest.mark.parametrize(
    "content",
    [
        {"instances": [SETOSA]},
        {"instances": [NAMED]},
        {"instances": [{"features": SETOSA}]},
        {"instances": [{**NAMED, "species": "setosa"}]},
        {"features": SETOSA},
        {"features": NAMED},
        NAMED,
        [SETOSA],
        [NAMED],
        SETOSA,
        [str(value) for value in SETOSA],
    ],
)
def test_json_is_read_in_every_documented_form(client: Client, content: object) -> None:
    """Batches and single rows, by position and by name."""
    [prediction] = client.invoke(json.dumps(content), JSON).json()["predictions"]
    assert prediction["label"] == "setosa"
    assert list(prediction["probabilities"]) == ["setosa", "versicolor", "virginica"]
    assert sum(prediction["probabilities"].values()) == pytest.approx(1)


def test_a_batch_is_answered_in_its_order(client: Client) -> None:
    """The first answer belongs to the first row."""
    labels = client.invoke(json.dumps([VIRGINICA, SETOSA, VIRGINICA]), JSON, accept="text/csv").body
    assert labels == b"virginica\nsetosa\nvirginica\n"


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", "text/csv"),
        ("*/*", "text/csv"),
        ("application/json", JSON),
        ("application/*", JSON),
        ("image/png, application/json;q=0.5", JSON),
        ("text/csv;q=0.1, application/json", JSON),
        ("application/json;q=0, */*", "text/csv"),
        ("text/csv;q=high", "text/csv"),
    ],
)
def test_the_answer_is_what_accept_prefers(client: Client, accept: str, answer: str) -> None:
    """Where the request leaves it open, the answer is of the request's own type."""
    assert client.invoke("5.1,3.5,1.4,0.2", accept=accept).headers["content-type"] == answer


def test_a_regression_answers_with_a_value(opt_ml: OptMl, monkeypatch: pytest.MonkeyPatch) -> None:
    """In CSV it is one number for each line, in JSON a field."""
    table = "a,label\n" + "".join(f"{n},{n * 2}.5\n" for n in range(40))
    opt_ml.channel("train", {"all": table}).hyperparameters(epochs=2)
    assert opt_ml.train_here(monkeypatch) == 0
    client = Client(Application(load(opt_ml.model)))
    [value] = [prediction["value"] for prediction in client.invoke("[7]", JSON).json()["predictions"]]
    assert float(client.invoke("7").body) == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "The body holds no rows."),
        ("sepal_length,sepal_width,petal_length,petal_width\n", "The body holds no rows."),
        ("5.1,3.5,1.4", "Row 1 has 3 values where the model (sepal_length, sepal_width, petal_length, petal_width)"),
        ("5.1,3.5,1.4,0.2,setosa", "Row 1 has 5 values where the model"),
        ("5.1,3.5,1.4,0.2\n5.1,3.5,x,0.2", "Row 2: petal_length is 'x', not a number."),
        ("5.1,3.5,,0.2", "Row 1: petal_length is empty."),
        ("5.1,3.5,nan,0.2", "Row 1: petal_length is 'nan', not a finite number."),
        ("5.1,3.5,inf,0.2", "Row 1: petal_length is 'inf', not a finite number."),
        ("5.1,3.5,1e300,0.2", "Row 1: the values are too large to predict from."),
        ("sepal_length,petal_width\n5.1,0.2", "The header lacks the columns sepal_width, petal_length"),
        ("a,b,c,d\n5.1,3.5,1.4,0.2", "The header lacks the columns sepal_length"),
        ("sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5", "Row 1 has 2 values where the header has 4."),
        ('5.1,"3.5', "The body is not CSV"),
        (b"\xff\xfe", "The body is not UTF-8"),
    ],
)
def test_bad_csv_is_refused_with_its_place(client: Client, body: bytes | str, reason: str) -> None:
    """The caller learns which row and column to mend."""
    assert refusal(client, 400, body).startswith(reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "The body is not JSON"),
        ("{", "The body is not JSON"),
        ("[" * 100_000, "The body is not JSON"),
        ("1" * 5000, "The body is not JSON"),
        ("3", "The body does not hold rows"),
        ('{"instances": 3}', "The body does not hold rows"),
        ("[]", "The body holds no rows."),
        ('{"instances": []}', "The body holds no rows."),
        ('{"instances": [3]}', "Row 1 is '3'; expected"),
        ('{"rows": []}', "Row 1 lacks sepal_length"),
        ('[{"sepal_length": 5.1}]', "Row 1 lacks sepal_width, petal_length, petal_width"),
        ("[[5.1, 3.5, null, 0.2]]", "Row 1: petal_length is empty."),
        ("[[5.1, 3.5, [1], 0.2]]", "Row 1: petal_length is [1], not a number."),
        ('[[5.1, 3.5, {"a": 1}, 0.2]]', "Row 1: petal_length is {'a': 1}, not a number."),
        ("[[5.1, 3.5, NaN, 0.2]]", "Row 1: petal_length is nan, not a finite number."),
        ("[[5.1, 3.5, 1e999, 0.2]]", "Row 1: petal_length is inf, not a finite number."),
        (f"[[5.1, 3.5, 1{'0' * 400}, 0.2]]", "Row 1: petal_length is 1000"),
        ("[[[1], [2], [3], [4]]]", "Row 1: sepal_length is [1], not a number."),
        ("[[5.1, 3.5, 1.4, 0.2], [5.1]]", "Row 2 has 1 values where the model"),
    ],
)
def test_bad_json_is_refused_with_its_place(client: Client, body: str, reason: str) -> None:
    """The caller learns which row and feature to mend, or which form is expected."""
    assert refusal(client, 400, body, JSON).startswith(reason)


def test_other_media_types_are_refused_with_the_known_ones(client: Client) -> None:
    """415 for what cannot be read, 406 for what cannot be written."""
    assert "use one of: application/json, text/csv" in refusal(client, 415, "x", "image/png")
    assert "has no Content-Type" in refusal(client, 415, "x", "")
    assert "charset 'utf-16'" in refusal(client, 415, "x", "text/csv; charset=UTF-16")
    for accept in ("image/png", "text/csv;q=0"):
        assert "answers are: text/csv, application/json" in refusal(client, 406, "1", accept=accept)


def test_a_body_above_the_limit_is_refused_and_one_at_the_limit_is_read(client: Client) -> None:
    """The limit is the platform's, to the byte."""
    fitting = json.dumps(SETOSA).encode().ljust(BODY_LIMIT_BYTES)
    assert client.invoke(fitting, JSON).status == 200
    assert "larger than 6291456 bytes" in refusal(client, 413, fitting + b" ", JSON)


def test_a_body_may_come_in_chunks(client: Client) -> None:
    """A row cut in two by the network is one row."""
    reply = client.send("POST", "/invocations", b"5.1,3.", b"5,1.4,0.2", content_type="text/csv")
    assert reply.body == b"setosa\n"


def test_a_large_body_is_answered_as_a_small_one(client: Client) -> None:
    """Above a size the work moves to a thread, which changes no answer and no refusal."""
    rows = "5.1,3.5,1.4,0.2\n" * (INLINE_BYTES // 10)
    assert set(client.invoke(rows).body.splitlines()) == {b"setosa"}
    assert "not a number" in refusal(client, 400, rows + "x,1,1,1\n")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("POST", "/ping", 405), ("GET", "/invocations", 405), ("PUT", "/invocations", 405)],
)
def test_other_routes_are_refused(client: Client, method: str, path: str, status: int) -> None:
    """A wrong path or method is said to be one."""
    assert client.send(method, path).status == status


CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers(), max_size=2)
)
ROWS = st.one_of(st.lists(CELLS, max_size=6), st.dictionaries(st.sampled_from([*FEATURES, "features", "x"]), CELLS))
BODIES = st.one_of(CELLS, ROWS, st.lists(ROWS, max_size=3), st.fixed_dictionaries({"instances": st.lists(ROWS)}))


@given(body=st.binary(max_size=200), content_type=st.sampled_from(["text/csv", JSON, "text/csv; header=present"]))
def test_no_bytes_make_the_server_fail(client: Client, body: bytes, content_type: str) -> None:
    """Whatever arrives is answered or refused, never an exception or a 500."""
    assert client.invoke(body, content_type).status in (200, 400)


@given(body=BODIES)
def test_no_json_makes_the_server_fail(client: Client, body: Any) -> None:
    """Neither does JSON of every shape and type, and what is answered is valid JSON again."""
    reply = client.invoke(json.dumps(body), JSON)
    assert reply.status in (200, 400)
    json.loads(reply.body, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@given(rows=st.lists(st.lists(st.floats(width=32), min_size=4, max_size=4), min_size=1, max_size=5))
def test_no_numbers_make_the_server_fail(client: Client, rows: list[list[float]]) -> None:
    """Neither do numbers of every size, in CSV."""
    body = "\n".join(",".join(str(cell) for cell in row) for row in rows)
    assert client.invoke(body).status in (200, 400)


@given(accept=st.text(st.characters(max_codepoint=255), max_size=30), content_type=st.text("a/;=, csv", max_size=20))
def test_no_header_makes_the_server_fail(client: Client, accept: str, content_type: str) -> None:
    """Neither do headers."""
    assert client.invoke("1,2,3,4", content_type, accept=accept).status in (200, 400, 406, 415)
