"""PostgreSQL from Debian, a cluster of its own beside whatever the machine runs."""

import os
import shutil
from pathlib import Path

from deploy.stack.process import StackError, free_port, run, start

USER = "tongluo"


def launch(folder: Path) -> tuple[int, int]:
    """Start it over `folder`; returns its process number and port. Raises StackError."""
    binaries = _binaries()
    # PostgreSQL refuses to be root: Debian's package brings a user for it.
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    data = folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    if become:
        shutil.chown(folder, "postgres")
    if not (data / "PG_VERSION").exists():
        run(
            [
                *become,
                str(binaries / "initdb"),
                "-D",
                str(data),
                "-U",
                USER,
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-locale",
            ],
            why="a PostgreSQL cluster could not be made",
        )
    port = free_port()
    words = [*become, str(binaries / "postgres"), "-D", str(data), "-p", str(port)]
    options = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": "300",
        "shared_buffers": "256MB",
    }
    for name, value in options.items():
        words += ["-c", f"{name}={value}"]
    log = folder / "postgres.log"
    start(words, log, port, name="PostgreSQL")
    # The first line of postmaster.pid is the server itself, which `runuser` stands before.
    return int((data / "postmaster.pid").read_text().split()[0]), port


def _binaries() -> Path:
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]), reverse=True
    )
    if found:
        return found[0].parent
    elsewhere = shutil.which("postgres")
    if elsewhere is None:
        raise StackError("PostgreSQL is not installed: apt install postgresql")
    return Path(elsewhere).parent
