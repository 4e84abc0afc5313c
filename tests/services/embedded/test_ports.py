"""Ports for our own servers."""

import socket

import pytest

from services.embedded.ports import free_port, require_free
from tongluo.errors import MissingPartError


def test_the_same_port_is_not_given_twice() -> None:
    given = [free_port() for _ in range(2000)]
    assert len(set(given)) == len(given)


def test_a_port_in_use_is_not_given_and_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        assert port not in {free_port() for _ in range(11_500)}
        with pytest.raises(MissingPartError, match=f"{port} for HTTP is not free .* TONGLUO_PORT"):
            require_free(port, "HTTP", "TONGLUO_PORT")
