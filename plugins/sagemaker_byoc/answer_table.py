"""The table of a smoke test's answers, as text for a log. Knows only how it looks."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sagemaker_byoc.text_table import aligned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagemaker_byoc.smoke_test import Answer

__all__ = ["answer_table"]


def answer_table(
    answers: Sequence[tuple[str | None, Answer]], maximum_rows: int, *, with_variant: bool, with_repeats: bool
) -> str:
    """Return aligned columns: variant, record, label, prediction, whether it is right and stable, and why it is not.

    :param answers: variant and answer
    :param with_variant: whether there is more than one
    :param with_repeats: whether each record was asked more than once
    """
    shown = answers[:maximum_rows]
    columns = [
        *([["variant", *(str(variant) for variant, _ in shown)]] if with_variant else []),
        ["record", *(str(answer.record) for _, answer in shown)],
        ["label", *(answer.label for _, answer in shown)],
        ["prediction", *(_prediction(answer) for _, answer in shown)],
        ["correct?", *("yes" if answer.correct else "NO" for _, answer in shown)],
        *([["stable?", *("yes" if answer.stable else "NO" for _, answer in shown)]] if with_repeats else []),
        *([["why", *(answer.why for _, answer in shown)]] if any(answer.why for _, answer in shown) else []),
    ]
    lines = aligned(list(zip(*columns, strict=True)))
    hidden = len(answers) - len(shown)
    return "\n".join([*lines, f"... and {hidden} more"] if hidden > 0 else lines)


def _prediction(answer: Answer) -> str:
    """Return the prediction, or each one with the number of repeats that gave it."""
    if answer.stable:
        return str(answer.prediction)
    return ", ".join(f"{prediction} ({times}x)" for prediction, times in Counter(map(str, answer.every)).items())
