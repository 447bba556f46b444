"""Ties a child process to the runner's life, then becomes the command: `leash.py RUNNER_PID COMMAND...`.

A runner that is killed with -9 can't stop its children. On Linux the kernel then sends each of them the TERM
that the runner would have sent (PR_SET_PDEATHSIG survives exec). Elsewhere children of a runner so killed
stay until they are stopped by hand.

This file is run by its path with `python -I -S`: standard library only, nothing of this project.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(runner_pid: int, command: list[str]) -> int:
    """Becomes `command`. Returns 127 if it can't be executed, 143 if the runner is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != runner_pid:  # died between our fork and the line above
            return 143
    try:
        os.execvp(command[0], command)  # noqa: S606 - the runner's own command, from its Procfile
    except OSError as problem:
        sys.stderr.write(f"can't run {command[0]}: {problem.strerror}\n")
    return 127


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
