"""Which files ``.dockerignore`` leaves out."""

from __future__ import annotations

import pytest

from local_aws.image.dockerignore import Dockerignore


@pytest.mark.parametrize(
    ("rules", "path", "excluded"),
    [
        ("*.pyc", "a.pyc", True),
        ("*.pyc", "package/a.pyc", False),
        ("**/*.pyc", "package/deep/a.pyc", True),
        ("**/*.pyc", "a.pyc", True),
        ("data", "data/train/part.csv", True),
        ("/data/", "data/part.csv", True),
        ("data", "other/data/part.csv", False),
        ("data\n!data/keep.csv", "data/keep.csv", False),
        ("!data/keep.csv\ndata", "data/keep.csv", True),
        ("# data", "data", False),
        ("part-?.csv", "part-1.csv", True),
        ("part-?.csv", "part-12.csv", False),
        ("part-[0-3].csv", "part-2.csv", True),
        ("a.b", "axb", False),
        ("docs/**", "docs/a/b.md", True),
        ("", "anything", False),
    ],
)
def test_the_last_matching_rule_decides(rules: str, path: str, *, excluded: bool) -> None:
    """A file is left out exactly as Docker's rules say."""
    assert Dockerignore(rules).excludes(path) is excluded
