"""A mixin for event loops on virtual time: refuses threads, sockets, signals and processes, with one sentence each."""

from __future__ import annotations

from typing import Any, NoReturn

from pubsub_sim.errors import NoOutsideWorld

THREADS = "another thread's time is not virtual"
_SOCKETS = "sockets live on wall time, so give the world transport='memory'"
_SIGNALS = "signals come at a wall time"
_PROCESSES = "another process's time is not virtual"


def _refused(what: str, why: str) -> Any:
    """A method that refuses whatever it is called with."""

    def method(self: object, *args: object, **options: object) -> NoReturn:
        raise NoOutsideWorld(what, why)

    return method


class Inside:
    """Mixed into an event loop, before the loop class: every way out of the program raises NoOutsideWorld."""

    run_in_executor = _refused("executors", THREADS)
    set_default_executor = _refused("executors", THREADS)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncio's signature
        """There is none."""

    add_signal_handler = _refused("signals", _SIGNALS)
    remove_signal_handler = _refused("signals", _SIGNALS)

    subprocess_exec = _refused("subprocesses", _PROCESSES)
    subprocess_shell = _refused("subprocesses", _PROCESSES)
    connect_read_pipe = _refused("pipes", _PROCESSES)
    connect_write_pipe = _refused("pipes", _PROCESSES)

    getaddrinfo = _refused("sockets", _SOCKETS)
    getnameinfo = _refused("sockets", _SOCKETS)
    create_connection = _refused("sockets", _SOCKETS)
    create_server = _refused("sockets", _SOCKETS)
    create_datagram_endpoint = _refused("sockets", _SOCKETS)
    create_unix_connection = _refused("sockets", _SOCKETS)
    create_unix_server = _refused("sockets", _SOCKETS)
    connect_accepted_socket = _refused("sockets", _SOCKETS)
    start_tls = _refused("sockets", _SOCKETS)
    sendfile = _refused("sockets", _SOCKETS)
    add_reader = _refused("sockets", _SOCKETS)
    remove_reader = _refused("sockets", _SOCKETS)
    add_writer = _refused("sockets", _SOCKETS)
    remove_writer = _refused("sockets", _SOCKETS)
    sock_accept = _refused("sockets", _SOCKETS)
    sock_connect = _refused("sockets", _SOCKETS)
    sock_recv = _refused("sockets", _SOCKETS)
    sock_recv_into = _refused("sockets", _SOCKETS)
    sock_recvfrom = _refused("sockets", _SOCKETS)
    sock_recvfrom_into = _refused("sockets", _SOCKETS)
    sock_sendall = _refused("sockets", _SOCKETS)
    sock_sendto = _refused("sockets", _SOCKETS)
    sock_sendfile = _refused("sockets", _SOCKETS)
