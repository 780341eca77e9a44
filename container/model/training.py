"""Train: epochs until they bring no gain, then the model of the best one."""

from model.artifact import Artifact
from model.dataset import Dataset, prepare
from model.progress import Progress, identity_of
from model.settings import Settings
from model.trainer import StopRequestedError, Trainer
from sagemaker_container.job import TrainingJob
from sagemaker_container.output import report


def run(job: TrainingJob) -> None:
    """Train on the job's channels and, on the leader, write the artifact."""
    settings = Settings.parse(job.hyperparameters)
    data = prepare(job, settings)
    trainer = Trainer(job.cluster, settings, data, job.stop_requested)
    progress = Progress(trainer, identity_of(settings, data, job.cluster.size))
    _resume(job, progress)
    try:
        _train(job, settings, trainer, progress)
    except StopRequestedError:
        _report(job, f"stop requested: leaving after epoch {progress.epoch}")
    _finish(job, settings, data, progress)


def _train(job: TrainingJob, settings: Settings, trainer: Trainer, progress: Progress) -> None:
    while progress.epoch < settings.epochs:
        if progress.epochs_without_gain() >= settings.early_stopping_patience:
            _report(job, f"early stopping: no gain in validation_loss for {progress.epochs_without_gain()} epochs")
            return
        metrics = trainer.run_epoch(progress.epoch + 1)
        progress.record(metrics)
        _report(job, metrics.line())
        if job.checkpoints and job.cluster.is_leader:
            job.checkpoints.save(progress.epoch, progress.state())


def _resume(job: TrainingJob, progress: Progress) -> None:
    """Take up the leader's checkpoint on every host; the copies of the others may be older."""
    own = job.checkpoints.latest() if job.checkpoints and job.cluster.is_leader else None
    state = job.cluster.gather(own)[0]
    if state is None:
        return
    if progress.restore(state):
        _report(job, f"resuming from epoch {progress.epoch}")
    else:
        _report(job, "starting anew: the checkpoint comes from other data or other hyperparameters")


def _finish(job: TrainingJob, settings: Settings, data: Dataset, progress: Progress) -> None:
    """Write the model of the best epoch, and say its metrics last, where ``MetricDefinitions`` take the final value."""
    if progress.best is None:
        _report(job, "no epoch was finished, so there is no model: one that was never validated is none")
        return
    if job.cluster.is_leader:
        metrics = {"epoch": progress.best.epoch, **progress.best.values()}
        Artifact(data.schema, settings.hidden_units, data.rows, metrics, progress.best_weights).save(job.model_dir)
    _report(job, f"final {progress.best.line()}")


def _report(job: TrainingJob, line: str) -> None:
    """Write a line once per job instead of once per host."""
    if job.cluster.is_leader:
        report(line)
