"""Is a TCP port of this machine free, and if not, who has it?"""

from __future__ import annotations

import errno
import socket
from pathlib import Path

LISTENING = "0A"


class PortTaken(Exception):
    """A port that we need is in use; the message names port, user and way out."""


def require_free(port: int, *, purpose: str, setting: str) -> None:
    """Raises PortTaken unless `port` can be listened on; `setting` is the variable that chooses another."""
    problem = _bind_error(port)
    if problem is None:
        return
    if problem == errno.EADDRINUSE:
        user = holder(port)
        by = f" by {user}" if user else ""
        reason = f"Port {port}, wanted for {purpose}, is taken{by}."
    elif problem == errno.EACCES:
        reason = f"Port {port}, wanted for {purpose}, may not be used by this user."
    else:
        reason = f"Port {port}, wanted for {purpose}, can't be used: {errno.errorcode.get(problem, problem)}."
    raise PortTaken(f"{reason} Choose another: {setting}={free_port_after(port)}")


def free_port_after(port: int) -> int:
    """The next higher port that is free right now, below 1024 none; 0 (any) if there is none."""
    return next((number for number in range(max(port, 1023) + 1, 65536) if _bind_error(number) is None), 0)


def holder(port: int) -> str:
    """Command and process id of who listens on `port`, as far as this user may see it (Linux); else empty."""
    sockets = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _listening(table, port)}
    if not sockets:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                return f"`{' '.join(words).strip()[:100]}` (process {process.name})"
        except OSError:  # ended meanwhile, or somebody else's
            continue
    return "another user's process"


def _bind_error(port: int) -> int | None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier run that are still closing don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as problem:
            return problem.errno
        except OverflowError:
            return errno.EINVAL
        return None


def _listening(table: str, port: int) -> list[str]:
    """Inodes of the sockets that listen on `port`, from the kernel's table."""
    try:
        lines = Path("/proc/net", table).read_text().splitlines()[1:]
    except OSError:
        return []
    rows = [line.split() for line in lines]
    return [row[9] for row in rows if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port]
