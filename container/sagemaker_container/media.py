"""Content negotiation: which decoder reads a request and which format its answer takes."""

import csv
import io
import json
from collections.abc import Iterable, Sequence

from sagemaker_container.errors import NotAcceptableError, UnsupportedMediaTypeError
from sagemaker_container.predictor import Prediction

CSV = "text/csv"
JSON = "application/json"
ANSWERS = (CSV, JSON)


def parse_media_type(header: str) -> tuple[str, dict[str, str]]:
    """Return a media type in lower case and its parameters: ``text/csv; header=present``."""
    essence, *parameters = header.split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return essence.strip().lower(), {name.strip().lower(): value.strip(' "').lower() for name, _, value in pairs}


def require_known(content_type: str, known: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Return the parsed ``Content-Type``, or raise ``UnsupportedMediaTypeError`` naming the known ones."""
    media_type, parameters = parse_media_type(content_type)
    if media_type not in known:
        given = f"Content-Type {media_type!r} is not supported" if media_type else "The request has no Content-Type"
        message = f"{given}; use one of: {', '.join(sorted(known))}."
        raise UnsupportedMediaTypeError(message)
    if parameters.get("charset", "utf-8") not in ("utf-8", "utf8", "us-ascii"):
        message = f"charset {parameters['charset']!r} is not supported; use utf-8."
        raise UnsupportedMediaTypeError(message)
    return media_type, parameters


def choose_answer(accept: str, content_type: str) -> str:
    """Return the media type of the answer: the best one in ``Accept``, or the request's own where that is open."""
    preferred = content_type if content_type in ANSWERS else JSON
    offers = sorted(ANSWERS, key=lambda answer: answer != preferred)
    for wanted in _by_quality(accept or "*/*"):
        for offer in offers:
            if wanted in ("*/*", offer, f"{offer.split('/')[0]}/*"):
                return offer
    message = f"Accept {accept!r} cannot be met; answers are: {', '.join(ANSWERS)}."
    raise NotAcceptableError(message)


def encode(predictions: Sequence[Prediction], media_type: str) -> bytes:
    """Return the body of an answer."""
    if media_type == JSON:
        return json.dumps({"predictions": predictions}).encode()
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([next(iter(prediction.values()))] for prediction in predictions)
    return text.getvalue().encode()


def _by_quality(accept: str) -> list[str]:
    ranges = [parse_media_type(part) for part in accept.split(",")]
    weighted = [(_quality(parameters), media_type) for media_type, parameters in ranges]
    return [media_type for quality, media_type in sorted(weighted, key=lambda pair: -pair[0]) if quality > 0]


def _quality(parameters: dict[str, str]) -> float:
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 1.0
