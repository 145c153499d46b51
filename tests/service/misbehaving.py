"""A raw-socket server that answers, or misbehaves, exactly as a test scripts it."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import trustme

from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Behaviour: TypeAlias = "Callable[[Connection], None]"


class Connection:
    """One accepted connection, as a behaviour sees it."""

    def __init__(self, server: ScriptedServer, sock: socket.socket) -> None:
        self.server = server
        self._socket = sock

    def read_request(self) -> None:
        """Read one whole request and note it at the server."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
        head, _, body = received.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(body) < length:
            body += self._receive()
        self.server.requests.append(head + b"\r\n\r\n" + body)

    def send(self, content: bytes) -> None:
        self._socket.sendall(content)

    def await_arrival(self) -> None:
        """Wait until the client's system has received everything. Only Linux can tell."""
        if sys.platform != "linux":
            return
        import fcntl
        import termios

        def all_arrived() -> bool:
            left = bytearray(4)
            fcntl.ioctl(self._socket, termios.TIOCOUTQ, left)
            return not any(left)

        wait_until(all_arrived)

    def await_first_byte(self) -> None:
        """Wait until the client has sent something, and leave it unread."""
        self._socket.recv(1, socket.MSG_PEEK)

    def peek_request_line(self) -> bytes:
        """The request's first line, left unread."""
        seen = b""
        while b"\r\n" not in seen:
            seen = self._socket.recv(4096, socket.MSG_PEEK)
            if not seen:
                raise ConnectionError("the client left")
        return seen.partition(b"\r\n")[0]

    def reset(self) -> None:
        """Close with a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Close in good order."""
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(0)  # as servers do: say so, and wait for no consent
            with contextlib.suppress(ssl.SSLError):
                self._socket.unwrap()
        self._socket.close()

    def hold_until_client_leaves(self) -> None:
        """Say nothing more until the client closes the connection."""
        with contextlib.suppress(OSError):
            while self._socket.recv(65536):
                pass

    def _receive(self) -> bytes:
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionError("the client left")
        return received


class ScriptedServer:
    """Plays one behaviour per connection, in order; the last one for all that follow.

    With a ``context`` it speaks TLS.
    """

    def __init__(self, *script: Behaviour, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._stopping = False
        self.requests: list[bytes] = []
        self.connections = 0
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A listener that is merely closed does not wake the thread waiting in accept().
        self._stopping = True
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            with sock:
                if self._stopping:
                    return
                behaviour = self._script[min(self.connections, len(self._script) - 1)]
                self.connections += 1
                with contextlib.suppress(OSError):
                    if self._context is None:
                        behaviour(Connection(self, sock))
                        continue
                    with self._context.wrap_socket(sock, server_side=True) as wrapped:
                        behaviour(Connection(self, wrapped))


def raw_answer(
    status: str,
    body: bytes,
    headers: Iterable[tuple[str, str]] = (),
    *,
    length: int | None = None,
    keep: bool = False,
) -> bytes:
    """An HTTP answer as bytes; a ``length`` other than the body's is a lie on purpose."""
    lines = [f"HTTP/1.1 {status}", f"Connection: {'keep-alive' if keep else 'close'}"]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answering(
    status: str, body: Any = b"", headers: Iterable[tuple[str, str]] = (), length: int | None = None
) -> Behaviour:
    """Read the request, send this answer and close; a body that isn't bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = raw_answer(status, content, tuple(headers), length=length)

    def play(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer)

    return play


def keeping(body: Any, then: Behaviour) -> Behaviour:
    """Answer 200 and keep the connection, then do something else on it."""
    answer = raw_answer("200 OK", json.dumps(body).encode(), keep=True)

    def play(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer)
        then(connection)

    return play


def hang_up(connection: Connection) -> None:
    """Close without a word."""
    connection.close()


def hang_up_after_request(connection: Connection) -> None:
    """Take the whole request, then close without an answer."""
    connection.read_request()
    connection.close()


def reset_unread(connection: Connection) -> None:
    """Reset the connection when the first byte is there, before anything is read."""
    connection.await_first_byte()
    connection.reset()


def plain_text_greeting(connection: Connection) -> None:
    """Speak first, and not TLS."""
    connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    connection.hold_until_client_leaves()


def reset_after_request(connection: Connection) -> None:
    """Take the whole request, then reset the connection."""
    connection.read_request()
    connection.reset()


def silent(connection: Connection) -> None:
    """Take the whole request and never answer."""
    connection.read_request()
    connection.hold_until_client_leaves()


def endless(connection: Connection) -> None:
    """Answer 202 with a body that never ends."""
    connection.read_request()
    connection.send(b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    while True:
        connection.send(chunk)


def trickling(connection: Connection) -> None:
    """Answer 202, then send nothing but single blanks, a hundred a second."""
    connection.read_request()
    connection.send(b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.send(b"1\r\n \r\n")
        time.sleep(0.01)


@contextlib.contextmanager
def untrusted_server() -> Iterator[tuple[str, list[bytes]]]:
    """A TLS server whose certificate nobody knows; its base URL, and what it was told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    seen: list[bytes] = []

    def shake_hands(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as wrapped:
            seen.append(wrapped.recv(65536))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=shake_hands, args=(listener,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}/v1", seen
        finally:
            thread.join()
