"""Make the project's Python environment.

Runs on whatever ``python3`` the machine has, before anything is installed: standard library only, and
written so that an old Python can still read it and say that it is too old. One line says what is wrong.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time

LOWEST, NEWEST = (3, 10), (3, 13)
GIGABYTE = 1024**3


class BootstrapError(Exception):
    """Something that the person at the terminal has to change; the text is the one line to show."""


def main(argv=None):
    """Bring the environment up to date and print how long it took; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("environment", help="folder of the environment, made if missing")
    parser.add_argument("requirements", nargs="+", help="requirements files, installed in this order")
    parser.add_argument("--free-gigabytes", type=float, default=3.0, help="refuse to start with less disk than this")
    options = parser.parse_args(argv)
    started = time.monotonic()
    try:
        made = bring_up_to_date(options.environment, options.requirements, options.free_gigabytes)
    except BootstrapError as error:
        sys.stderr.write("error: %s\n" % error)
        return 1
    if made:
        sys.stdout.write("%-34s made in %.1f s\n" % (options.environment, time.monotonic() - started))
    return 0


def bring_up_to_date(environment, requirements, free_gigabytes):
    """Make the environment unless it was made from these very requirements; return whether it was made."""
    check_python()
    stamp = os.path.join(environment, "made-from")
    wanted = fingerprint(requirements)
    os.makedirs(os.path.dirname(os.path.abspath(environment)), exist_ok=True)
    with open(environment.rstrip("/") + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if read(stamp) == wanted:
            return False
        check_disk(environment, free_gigabytes)
        make(environment, requirements)
        with open(stamp, "w") as file:
            file.write(wanted)
    return True


def check_python():
    """Refuse a Python that Airflow or PyTorch does not run on."""
    here = sys.version_info[:2]
    if not LOWEST <= here <= NEWEST:
        raise BootstrapError(
            "Python %d.%d is %s; use Python 3.10 to 3.13, for example: make run PYTHON=python3.11"
            % (here[0], here[1], "too old" if here < LOWEST else "too new")
        )


def check_disk(environment, free_gigabytes):
    """Refuse to begin an installation that would fill the disk."""
    folder = os.path.dirname(os.path.abspath(environment))
    free = shutil.disk_usage(folder).free / GIGABYTE
    if free < free_gigabytes:
        raise BootstrapError(
            "%.1f GB free on the disk of %s; %s needs %.1f GB: free some space"
            % (free, folder, environment, free_gigabytes)
        )


def make(environment, requirements):
    """Create the environment and install the requirements files, keeping pip's output in a log."""
    log_name = os.path.abspath(environment.rstrip("/")) + ".log"
    sys.stdout.write("%-34s installing, see %s\n" % (environment, os.path.relpath(log_name)))
    sys.stdout.flush()
    pip = os.path.join(environment, "bin", "python"), "-m", "pip", "--disable-pip-version-check"
    with open(log_name, "w") as log:
        run([sys.executable, "-m", "venv", "--clear", environment], log, "no environment could be made")
        arguments = [part for name in requirements for part in ("-r", name)]
        run([*pip, "install", "--quiet", "--progress-bar=off", *arguments], log, "a package does not install")


def run(command, log, complaint):
    """Run a command into the log; raise with the log's last line when it fails."""
    if subprocess.call(command, stdout=log, stderr=subprocess.STDOUT):
        log.flush()
        lines = [line for line in read(log.name).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["no output"]
        raise BootstrapError("%s: %s (all of it in %s)" % (complaint, errors[-1], log.name))


def fingerprint(requirements):
    """Return a text that changes when the Python or a requirements file changes."""
    digest = hashlib.sha256(sys.version.encode())
    for name in [*requirements, *constraints(requirements)]:
        digest.update(read(name).encode())
    return digest.hexdigest()


def constraints(requirements):
    """Return the files that the requirements name in ``-c`` and ``-r`` lines, relative to their own folder."""
    found = []
    for name in requirements:
        for line in read(name).splitlines():
            words = line.split()
            if words[:1] in (["-c"], ["-r"]):
                found.append(os.path.join(os.path.dirname(name), words[1]))
    return found


def read(name):
    """Return the file's text, empty when there is none."""
    try:
        with open(name) as file:
            return file.read()
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
