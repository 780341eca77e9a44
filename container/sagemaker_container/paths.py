"""Where things are below ``/opt/ml``.

Source: "How Amazon SageMaker Provides Training Information", SageMaker Developer Guide.
"""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

DEFAULT_BASE = PurePosixPath("/opt/ml")


@dataclass(frozen=True)
class Paths:
    """The directory tree that SageMaker shares with the container.

    :param base: ``/opt/ml``, or where ``SAGEMAKER_BASE_DIR`` moves it for engines without containers.
    """

    base: Path

    @classmethod
    def from_environment(cls) -> "Paths":
        """Return the tree of this process."""
        return cls(Path(os.environ.get("SAGEMAKER_BASE_DIR") or DEFAULT_BASE))

    @property
    def config(self) -> Path:
        """The folder with the job's configuration as JSON files."""
        return self.base / "input" / "config"

    @property
    def data(self) -> Path:
        """The folder that holds one folder for each channel."""
        return self.base / "input" / "data"

    @property
    def model(self) -> Path:
        """What training leaves here becomes ``model.tar.gz``; serving finds it here again, read-only."""
        return self.base / "model"

    @property
    def output_data(self) -> Path:
        """What training leaves here becomes ``output.tar.gz``."""
        return self.base / "output" / "data"

    @property
    def failure(self) -> Path:
        """The first 1,024 characters of this file become the job's ``FailureReason``."""
        return self.base / "output" / "failure"

    @property
    def checkpoints(self) -> Path:
        """The default ``CheckpointConfig.LocalPath``."""
        return self.base / "checkpoints"

    def relocate(self, platform_path: str) -> Path:
        """Return where a path named by the platform is for this process: ``/opt/ml/x`` moves with the base."""
        path = PurePosixPath(platform_path)
        if path.is_relative_to(DEFAULT_BASE):
            return self.base / path.relative_to(DEFAULT_BASE)
        return Path(path)
