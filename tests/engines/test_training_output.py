"""What a training job leaves: artifacts, log, checkpoints; and what it is started with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.training import BUCKET, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.training import BuiltTrainingAccount


def test_model_and_output_are_packed_at_the_root_of_their_archives(account: BuiltTrainingAccount) -> None:
    """Both archives hold the directories' contents without a directory around them."""
    job = account.run("""
(model / "nested").mkdir()
(model / "nested/weights").write_text("w")
(base / "output/data/report.txt").write_text("r")
""")

    folder = f"out/{job['TrainingJobName']}/output"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/{folder}/model.tar.gz"
    assert account.archive(f"{folder}/model.tar.gz") == {"nested/weights": "w"}
    assert account.archive(f"{folder}/output.tar.gz") == {"report.txt": "r"}


def test_empty_directories_make_no_archives(account: BuiltTrainingAccount) -> None:
    """A program that writes nothing leaves nothing in S3 and still completes."""
    job = account.run()

    assert job["TrainingJobStatus"] == "Completed"
    assert account.keys(f"out/{job['TrainingJobName']}/") == []


def test_the_log_holds_every_line_before_the_job_is_over(account: BuiltTrainingAccount) -> None:
    """Stdout and stderr are in CloudWatch as soon as the status is terminal; a long line is several events."""
    job = account.run("""
for number in range(300): print("line", number)
print("", flush=True)
print("x" * 300_000, flush=True)
print("last words", file=sys.stderr)
""")

    lines = account.log(job["TrainingJobName"])
    # Which of the two streams is read first is not promised.
    lines.remove("last words")
    assert lines[:300] == [f"line {number}" for number in range(300)]
    assert [len(line) for line in lines[300:]] == [262_118, 37_882]


def test_output_is_cut_into_lines_whatever_it_holds(account: BuiltTrainingAccount) -> None:
    """Bytes that are no text, long lines of wide characters, and an end without a line end all come through."""
    job = account.run("""
sys.stdout.buffer.write(b"a\\xffb\\r\\n" + b"x" * 30_000 + "\u00e4".encode() * 30_000 + b"\\nend")
""")

    assert account.log(job["TrainingJobName"]) == ["a\ufffdb", "x" * 30_000 + "\u00e4" * 30_000, "end"]


def test_lines_of_stdout_and_stderr_stay_whole(account: BuiltTrainingAccount) -> None:
    """Both go to one log; each keeps its order, and no line is broken by the other."""
    job = account.run("""
for number in range(500):
    print("out", number, flush=True)
    print("err", number, file=sys.stderr, flush=True)
""")

    lines = account.log(job["TrainingJobName"])
    for stream in ("out", "err"):
        assert [line for line in lines if line.startswith(stream)] == [f"{stream} {number}" for number in range(500)]
    assert len(lines) == 1000


def test_two_hosts_have_their_own_config_and_share_the_archive(account: BuiltTrainingAccount) -> None:
    """Each host finds itself in resourceconfig; their files are merged into one model."""
    job = account.run(
        "print('I am', host, 'of', config['hosts']); (model / host).write_text(host)",
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 10},
    )

    name = job["TrainingJobName"]
    for host in ("algo-1", "algo-2"):
        assert account.log(name, host) == [f"I am {host} of ['algo-1', 'algo-2']"]
    assert account.archive(f"out/{name}/output/model.tar.gz") == {"algo-1": "algo-1", "algo-2": "algo-2"}


def test_checkpoints_come_in_and_go_out(account: BuiltTrainingAccount) -> None:
    """What S3 holds is there at the start; new files reach S3 while the job runs, markers do not, deleted ones go."""
    account.put({"ckpt/old.txt": "from before", "ckpt/sub/gone.txt": "x", "ckpt-other/no.txt": "x"})
    name = account.create(
        """
directory = base / "checkpoints"
print(sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()), flush=True)
(directory / "sub/gone.txt").unlink()
(directory / "new.txt").write_text("epoch 1")
(directory / "new.txt.sagemaker-uploading").write_text("")
signal.signal(signal.SIGTERM, lambda *_: ((directory / "last.txt").write_text("epoch 2"), sys.exit(0)))
while True: time.sleep(0.05)
""",
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/ckpt"},
    )
    wait_for(lambda: account.keys("ckpt/") == ["ckpt/new.txt", "ckpt/old.txt"])
    wait_for(lambda: account.log(name) == ["['old.txt', 'sub/gone.txt']"])

    account.sagemaker.stop_training_job(TrainingJobName=name)
    account.finish(name)

    assert account.keys("ckpt/") == ["ckpt/last.txt", "ckpt/new.txt", "ckpt/old.txt"]
    assert account.text("ckpt/new.txt") == "epoch 1"


def test_fast_file_data_is_read_only(account: BuiltTrainingAccount) -> None:
    """FastFile is served as files without write permission, under the mode that was asked."""
    job = account.run(
        "print(oct((base / 'input/data/train/a.csv').stat().st_mode & 0o777)); "
        "print(json.loads((base / 'input/config/inputdataconfig.json').read_text())['train']['TrainingInputMode'])",
        InputDataConfig=[account.channel("train", "data/train/", InputMode="FastFile")],
    )

    assert account.log(job["TrainingJobName"]) == ["0o444", "FastFile"]


def test_nothing_of_a_job_stays_on_disk(account: BuiltTrainingAccount) -> None:
    """The directory is gone when the job has ended, so that a new job of the same name finds nothing of the old."""
    job = account.run("""
(base / "scratch").mkdir()
for number in range(3000): (base / "scratch" / str(number)).touch()
sys.exit(1)
""")

    directory: Path = account.cloud.state_dir / "training" / job["TrainingJobName"]
    assert job["TrainingJobStatus"] == "Failed"
    assert not directory.exists()
