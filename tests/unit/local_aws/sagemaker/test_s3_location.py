"""S3 URIs and the paths of objects on disk."""

from __future__ import annotations

import pytest

from local_aws.sagemaker.s3_location import S3Location


@pytest.mark.parametrize(
    ("prefix", "key", "path"),
    [
        ("data/train", "data/train-data.csv", "train-data.csv"),
        ("data/train", "data/train/x.csv", "x.csv"),
        ("data/train/", "data/train/deep/x.csv", "deep/x.csv"),
        ("data/train/x.csv", "data/train/x.csv", "x.csv"),
        ("data/tr", "data/train/x.csv", "train/x.csv"),
        ("", "data/x.csv", "data/x.csv"),
        ("d", "data/x.csv", "data/x.csv"),
        ("data/", "data/", ""),
        ("data/", "data/empty/", "empty/"),
    ],
)
def test_a_whole_folder_is_taken_away_and_part_of_a_name_is_kept(prefix: str, key: str, path: str) -> None:
    """These are the rules that real jobs show."""
    assert S3Location("b", prefix).relative(key) == path


def test_locations_below_have_exactly_one_slash() -> None:
    """Whether the address ends in a slash makes no difference."""
    for uri in ("s3://b/out", "s3://b/out/", "s3://b/out//"):
        assert str(S3Location.parse(uri).below("job", "output")) == "s3://b/out/job/output"
    assert str(S3Location.parse("s3://b").below("job")) == "s3://b/job"


@pytest.mark.parametrize("uri", ["", "b/k", "s3:/b/k", "s3://", "s3:///k", "https://s3.amazonaws.com/b/k"])
def test_anything_but_an_s3_uri_is_refused(uri: str) -> None:
    """The message shows the form."""
    with pytest.raises(ValueError, match="is not of the form s3://bucket/key"):
        S3Location.parse(uri)
