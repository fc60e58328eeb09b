"""Ports are for the server that asked, not for whoever opens a connection first."""

import socket

from devstack.processes import free_ports, listens


def test_nobody_else_is_given_a_port_before_its_server_listens() -> None:
    ours = set(free_ports(50))
    others = set()
    for _ in range(20_000):  # by chance alone, most of ours would be hit
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            others.add(other.getsockname()[1])
    assert not ours & others


def test_the_server_itself_gets_its_port() -> None:
    (port,) = free_ports(1)
    assert not listens(port)
    with socket.create_server(("127.0.0.1", port)):
        assert listens(port)
