"""Tells images that builds of this local AWS made from those that were built with other options.

The options of the machine decide what is in an image, for example its base, and no tag knows them. Owns the label that
says so. Must not know builds or ECR.
"""

from __future__ import annotations

import hashlib
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["build_label", "is_of_other_options"]

_LABEL = "local-aws.build-options"


def build_label(options: Sequence[str]) -> str:
    """Return what ``docker build --label`` gets; a hash, since options may hold what nobody else should read."""
    return f"{_LABEL}={_key(options)}"


def is_of_other_options(labels: Mapping[str, str], options: Sequence[str]) -> bool:
    """Tell whether a build with other options made the image; what was built elsewhere has no such label."""
    return labels.get(_LABEL, _key(options)) != _key(options)


def _key(options: Sequence[str]) -> str:
    return hashlib.sha256(shlex.join(options).encode()).hexdigest()[:12]
