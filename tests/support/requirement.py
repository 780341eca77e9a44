"""What a test does on a machine that lacks something.

Owns the one meaning of REQUIRE_DOCKER, which CI sets so that nothing is skipped there unnoticed.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

__all__ = ["skip_or_fail"]


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test; with REQUIRE_DOCKER=1 fail instead."""
    if os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(f"REQUIRE_DOCKER=1, but {reason}", pytrace=False)
    pytest.skip(reason)
