"""The model: the part of this container that is yours to replace.

The platform side needs two functions and nothing else: ``train(job)`` and ``load(model_dir)``.
This one is a feed-forward network for tables of numbers, classification or regression.
"""

from pathlib import Path

from sagemaker_container.job import TrainingJob
from sagemaker_container.predictor import Predictor

__all__ = ["load", "train"]


def train(job: TrainingJob) -> None:
    """Train on the job's channels and leave the model in ``job.model_dir``."""
    from model.training import run

    run(job)


def load(model_dir: Path) -> Predictor:
    """Return the model that ``train`` left in ``model_dir``."""
    from model.prediction import TabularPredictor

    return TabularPredictor.load(model_dir)
