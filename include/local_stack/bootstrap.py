"""Make the project's Python environment.

Runs on whatever ``python3`` the machine has, before anything is installed: standard library only, and
written so that an old Python 3 can still read it and say that it is too old. One line says what is wrong.
"""

import argparse
import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

LOWEST, NEWEST = (3, 10), (3, 13)
GIGABYTE = 1024**3


class BootstrapError(Exception):
    """Something that the person at the terminal has to change; the text is the one line to show."""


def main(argv: "list[str] | None" = None) -> int:
    """Bring the environment up to date and print how long it took; return the exit code."""
    parser = argparse.ArgumentParser(description="Make or update a Python environment.")
    parser.add_argument("environment", type=Path, help="folder of the environment, made if missing")
    parser.add_argument("requirements", type=Path, nargs="+", help="requirements files, installed together")
    parser.add_argument("--free-gigabytes", type=float, default=3.0, help="refuse to start with less disk than this")
    options = parser.parse_args(argv)
    started = time.monotonic()
    try:
        made = bring_up_to_date(options.environment, options.requirements, options.free_gigabytes)
    except BootstrapError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if made:
        print(f"{'environment ' + str(options.environment):<34} {time.monotonic() - started:6.1f} s")
    return 0


def bring_up_to_date(environment: Path, requirements: "list[Path]", free_gigabytes: float) -> bool:
    """Make the environment unless it was made from these very requirements; return whether it was made."""
    check_python()
    stamp = environment / "made-from"
    wanted = fingerprint(requirements)
    with beside(environment, ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if read(stamp) == wanted:
            return False
        check_own(environment)
        check_disk(environment, free_gigabytes)
        make(environment, requirements)
        stamp.write_text(wanted)
    return True


def check_python() -> None:
    """Refuse a Python that Airflow or PyTorch does not run on."""
    here = tuple(sys.version_info[:2])
    if not LOWEST <= here <= NEWEST:
        verdict = "too old" if here < LOWEST else "too new"
        remedy = "use Python 3.10 to 3.13, for example: make run PYTHON=python3.11"
        raise BootstrapError(f"Python {here[0]}.{here[1]} is {verdict}; {remedy}")


def check_own(environment: Path) -> None:
    """Refuse to empty a folder that is somewhere else, and perhaps in use there."""
    if environment.is_symlink():
        target = environment.resolve()
        raise BootstrapError(
            f"{environment} is a link to {target}, which was made from other requirements or by another Python; "
            "remove the link to get an environment here, or bring the other one up to date where it is"
        )


def check_disk(environment: Path, free_gigabytes: float) -> None:
    """Refuse to begin an installation that would fill the disk."""
    folder = environment.absolute().parent
    free = shutil.disk_usage(str(folder)).free / GIGABYTE
    if free < free_gigabytes:
        raise BootstrapError(
            f"{free:.1f} GB free on the disk of {folder}; {environment} needs {free_gigabytes:.1f} GB: free some space"
        )


def make(environment: Path, requirements: "list[Path]") -> None:
    """Create the environment and install the requirements files, keeping pip's output in a log."""
    log = beside(environment, ".log")
    print(f"environment {environment}: installing, see {log}", flush=True)
    log.write_text("")
    run([sys.executable, "-m", "venv", "--clear", str(environment)], log, "no environment could be made")
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    arguments = [part for name in requirements for part in ("-r", str(name))]
    run([*pip, "install", "--quiet", "--progress-bar=off", *arguments], log, "a package does not install")


def run(command: "list[str]", log: Path, complaint: str) -> None:
    """Run a command into the log; raise with the line that matters when it fails."""
    with log.open("a") as output:
        code = subprocess.call(command, stdout=output, stderr=subprocess.STDOUT)
    if code:
        lines = [line for line in read(log).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines or ["it printed nothing"]
        raise BootstrapError(f"{complaint}: {errors[-1]} (all of it in {log})")


def fingerprint(requirements: "list[Path]") -> str:
    """Return a text that changes when the Python, a requirements file or a file that it names changes."""
    digest = hashlib.sha256(sys.version.encode())
    for name in [*requirements, *named_files(requirements)]:
        digest.update(read(name).encode())
    return digest.hexdigest()


def named_files(requirements: "list[Path]") -> "list[Path]":
    """Return the files that the requirements name in ``-c`` and ``-r`` lines, relative to their own folder."""
    found = []
    for name in requirements:
        pairs = [line.split() for line in read(name).splitlines()]
        found += [name.parent / words[1] for words in pairs if words[:1] in (["-c"], ["-r"])]
    return found


def beside(environment: Path, suffix: str) -> Path:
    """Return the file that belongs to the environment and outlives it."""
    return environment.parent / (environment.name + suffix)


def read(name: Path) -> str:
    """Return the file's text, empty when there is none."""
    try:
        return name.read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
