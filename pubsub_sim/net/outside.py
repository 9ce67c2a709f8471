"""A mixin for event loops on virtual time: refuses threads, sockets, signals and processes, with one sentence each."""

from __future__ import annotations

from typing import Any, NoReturn

from pubsub_sim.errors import NoOutsideWorld

THREADS = "another thread's time is not virtual"
_SOCKETS = "sockets live on wall time, so give the world transport='memory'"
_SIGNALS = "signals come at a wall time"
_PROCESSES = "another process's time is not virtual"


def _refuse(what: str, why: str) -> Any:
    """Make a method that raises NoOutsideWorld whatever it is called with."""

    def method(self: object, *args: object, **options: object) -> NoReturn:
        raise NoOutsideWorld(what, why)

    return method


class Inside:
    """Mixed into an event loop, before the loop class: every way out of the program raises NoOutsideWorld."""

    run_in_executor = _refuse("executors", THREADS)
    set_default_executor = _refuse("executors", THREADS)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncio's signature
        """There is none."""

    add_signal_handler = _refuse("signals", _SIGNALS)
    remove_signal_handler = _refuse("signals", _SIGNALS)

    subprocess_exec = _refuse("subprocesses", _PROCESSES)
    subprocess_shell = _refuse("subprocesses", _PROCESSES)
    connect_read_pipe = _refuse("pipes", _PROCESSES)
    connect_write_pipe = _refuse("pipes", _PROCESSES)

    getaddrinfo = _refuse("sockets", _SOCKETS)
    getnameinfo = _refuse("sockets", _SOCKETS)
    create_connection = _refuse("sockets", _SOCKETS)
    create_server = _refuse("sockets", _SOCKETS)
    create_datagram_endpoint = _refuse("sockets", _SOCKETS)
    create_unix_connection = _refuse("sockets", _SOCKETS)
    create_unix_server = _refuse("sockets", _SOCKETS)
    connect_accepted_socket = _refuse("sockets", _SOCKETS)
    start_tls = _refuse("sockets", _SOCKETS)
    sendfile = _refuse("sockets", _SOCKETS)
    add_reader = _refuse("sockets", _SOCKETS)
    remove_reader = _refuse("sockets", _SOCKETS)
    add_writer = _refuse("sockets", _SOCKETS)
    remove_writer = _refuse("sockets", _SOCKETS)
    sock_accept = _refuse("sockets", _SOCKETS)
    sock_connect = _refuse("sockets", _SOCKETS)
    sock_recv = _refuse("sockets", _SOCKETS)
    sock_recv_into = _refuse("sockets", _SOCKETS)
    sock_recvfrom = _refuse("sockets", _SOCKETS)
    sock_recvfrom_into = _refuse("sockets", _SOCKETS)
    sock_sendall = _refuse("sockets", _SOCKETS)
    sock_sendto = _refuse("sockets", _SOCKETS)
    sock_sendfile = _refuse("sockets", _SOCKETS)
