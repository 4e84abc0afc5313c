"""Mosquitto from Debian: anonymous, on loopback only, with nothing it would throw away."""

import shutil
from pathlib import Path

from deploy.stack.process import StackError, free_port, start


def launch(folder: Path) -> tuple[int, int]:
    """Start it over `folder`; returns its process number and port. Raises StackError."""
    binary = shutil.which(
        "mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin"
    )
    if binary is None:
        raise StackError("Mosquitto is not installed: apt install mosquitto")
    folder.mkdir(parents=True, exist_ok=True)
    # Started by root it becomes the user `mosquitto`, who must be able to keep its sessions here.
    folder.chmod(0o777)
    port = free_port()
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        "persistence true",
        f"persistence_location {folder}/",
        "autosave_on_changes true",
        "autosave_interval 1000",
        # Without bounds of its own: what a gateway was told is safe must not be dropped here.
        "max_queued_messages 0",
        "max_inflight_messages 0",
        "set_tcp_nodelay true",
        "log_dest stderr",
        "log_type warning",
        "log_type error",
    ]
    config = folder / "mosquitto.conf"
    config.write_text("\n".join(lines) + "\n")
    return start([binary, "-c", str(config)], folder / "mosquitto.log", port, name="Mosquitto"), port
