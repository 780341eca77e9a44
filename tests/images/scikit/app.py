"""Answers CSV with the tree that was trained."""

import csv
import pickle
from pathlib import Path

from flask import Flask, Response, request

TREE = Path("/opt/ml/model/tree.pkl")
app = Flask(__name__)
tree = pickle.loads(TREE.read_bytes()) if TREE.exists() else None  # noqa: S301 - our own file


@app.get("/ping")
def ping() -> Response:
    """Say whether there is a model."""
    return Response(status=200 if tree else 404)


@app.post("/invocations")
def invocations() -> Response:
    """Answer each line of four numbers with a species."""
    if request.mimetype != "text/csv":
        return Response("This predictor only supports CSV data", status=415, mimetype="text/plain")
    rows = [[float(cell) for cell in row] for row in csv.reader(request.get_data(as_text=True).splitlines())]
    return Response("\n".join(tree.predict(rows)) + "\n", mimetype="text/csv")
