"""HOST:PORT on the command line."""

import argparse


def host_and_port(text: str) -> tuple[str, int]:
    """An argparse type: "127.0.0.1:1883" or "[::1]:1883"."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:1883")
    return host.strip("[]"), int(port)
