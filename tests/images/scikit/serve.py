"""Runs nginx and gunicorn until one of them ends or SIGTERM comes."""

import os
import signal
import subprocess
import sys
from types import FrameType

PROGRAM = "/opt/program"
GUNICORN = ["gunicorn", "--bind", "unix:/tmp/gunicorn.sock", "--workers", "2", "--chdir", PROGRAM, "app:app"]


def main() -> int:
    """Return 0 after SIGTERM, 1 when a server ended by itself."""
    nginx = subprocess.Popen(["nginx", "-c", f"{PROGRAM}/nginx.conf"])
    gunicorn = subprocess.Popen(GUNICORN)
    stopped = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        # Each server's own word for "finish what you are answering".
        nginx.send_signal(signal.SIGQUIT)
        gunicorn.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    os.waitpid(-1, 0)
    if not stopped:
        stop(0, None)
        return 1
    nginx.wait()
    gunicorn.wait()
    sys.stdout.write("both servers have ended\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
