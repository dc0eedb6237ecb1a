"""The RESP client: every split of every reply, every way a reply can be broken, and a real server."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.stack_edge.conftest import free_port, need, until

from ansible_collections.halab.stack.plugins.module_utils.resp import (
    Access,
    Connection,
    Reader,
    Reply,
    ReplyError,
    RespError,
    encode,
    info,
    pairs,
)

SECRET = "secret"

replies = st.recursive(
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


def wire(reply: Reply) -> bytes:
    """Return a reply as a server sends it."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, list):
        return b"*%d\r\n" % len(reply) + b"".join(map(wire, reply))
    data = reply.encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


def reader(data: bytes, size: int = 1) -> Reader:
    pieces = iter([data[start : start + size] for start in range(0, len(data), size)])
    return Reader(lambda: next(pieces, b""))


@given(reply=replies, size=st.integers(1, 50))
def test_a_reply_is_read_however_it_is_split(reply: Reply, size: int) -> None:
    assert reader(wire(reply), size).reply() == reply


@given(st.lists(replies, max_size=5))
def test_replies_follow_each_other(several: list[Reply]) -> None:
    source = reader(b"".join(map(wire, several)), 7)
    assert [source.reply() for _ in several] == several


@given(reply=replies, data=st.data())
def test_a_reply_that_is_cut_off_is_an_error(reply: Reply, data: st.DataObject) -> None:
    sent = wire(reply)
    cut = data.draw(st.integers(0, len(sent) - 1))
    with pytest.raises(RespError, match="closed the connection"):
        reader(sent[:cut]).reply()


@pytest.mark.parametrize(
    "sent",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"%1\r\n", b":one\r\n", b"$x\r\n", b"*?\r\n", b"$3\r\nabcdef\r\n", b"\r\n"],
)
def test_what_is_not_the_protocol_is_an_error(sent: bytes) -> None:
    with pytest.raises(RespError, match="not RESP2"):
        reader(sent + b" " * 100).reply()


def test_a_line_without_end_is_an_error_and_not_all_the_memory() -> None:
    with pytest.raises(RespError, match="no end of line"):
        Reader(lambda: b"+" * 65536).reply()
    with pytest.raises(RespError, match="a string of"):
        reader(b"$99999999999\r\n").reply()


def test_error_replies() -> None:
    with pytest.raises(ReplyError, match="WRONGPASS invalid") as caught:
        reader(b"-WRONGPASS invalid username-password pair\r\n").reply()
    assert caught.value.code == "WRONGPASS"
    assert reader(b"*2\r\n-ERR one\r\n:1\r\n").reply() == ["ERR one", 1]
    assert reader(b"+OK\r\n").reply() == "OK"
    assert reader(b"*-1\r\n").reply() is None


def test_commands_are_encoded_by_bytes_not_by_characters() -> None:
    assert encode("SET", "k", "ü") == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\xc3\xbc\r\n"
    assert encode("PORT", 1) == b"*2\r\n$4\r\nPORT\r\n$1\r\n1\r\n"


def test_tables() -> None:
    assert pairs(["a", "1", "b", 2]) == {"a": "1", "b": "2"}
    assert info("# Server\r\nredis_version:8.0.2\r\nempty:\r\n") == {"redis_version": "8.0.2", "empty": ""}
    for broken in ("text", ["a"], None):
        with pytest.raises(RespError):
            pairs(broken)  # type: ignore[arg-type]
    with pytest.raises(RespError):
        info(None)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[int]:
    """Run a real Redis server that speaks TLS only."""
    found, folder = free_port(), tmp_path_factory.mktemp("redis")
    options = {
        "port": "0", "tls-port": str(found), "bind": "127.0.0.1", "save": "", "dir": str(folder),
        "tls-auth-clients": "yes",
        "tls-ca-cert-file": certificates / "ca.crt", "tls-cert-file": certificates / "nodes/node1.crt",
        "tls-key-file": certificates / "nodes/node1.key", "requirepass": SECRET,
    }  # fmt: skip
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    with (folder / "log").open("wb") as log, subprocess.Popen([need("redis-server"), *words], stdout=log) as server:

        def serves() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", found)) == 0

        until(serves, "the server to listen")
        yield found
        server.kill()


def access(certificates: Path, password: str = SECRET, deadline_s: float = 5.0, ca: str = "ca.crt") -> Access:
    return Access.connectable(
        ca_file=str(certificates / ca),
        cert_file=str(certificates / "client.crt"),
        key_file=str(certificates / "client.key"),
        username="default",
        password=password,
        deadline_s=deadline_s,
    )


def test_a_real_server_answers(port: int, certificates: Path) -> None:
    with Connection("127.0.0.1", port, access(certificates)) as connection:
        assert connection.command("PING") == "PONG"
        value = "ü\r\n$5\r\n" * 50_000
        assert connection.command("SET", "key", value) == "OK"
        assert connection.command("GET", "key") == value
        assert connection.command("GET", "none") is None
        assert connection.command("RPUSH", "list", "a", "b") == 2
        assert connection.command("LRANGE", "list", 0, -1) == ["a", "b"]
        assert connection.command("STRLEN", "key") == len(value.encode())
        assert connection.table("CONFIG", "GET", "tls-port") == {"tls-port": str(port)}
        assert info(connection.command("INFO", "server"))["tcp_port"] == str(port)
        with pytest.raises(ReplyError, match="unknown command"):
            connection.command("NOSUCH")
        assert connection.command("PING") == "PONG", "an error leaves the connection usable"


def test_a_wrong_password_is_told_as_such(port: int, certificates: Path) -> None:
    with pytest.raises(ReplyError) as caught:
        Connection("127.0.0.1", port, access(certificates, "wrong"))
    assert caught.value.code == "WRONGPASS"
    assert "wrong" not in str(caught.value).split("WRONGPASS")[1].split("invalid")[0]


def test_only_the_right_server_is_trusted(port: int, certificates: Path) -> None:
    with pytest.raises(RespError, match="certificate is refused"):
        Connection("127.0.0.1", port, Access(ssl.create_default_context(), "default", SECRET))
    with pytest.raises(RespError, match=r"cannot use the certificates.*missing"):
        access(certificates, ca="missing")


def test_nobody_listens(certificates: Path) -> None:
    with pytest.raises(RespError, match=r"127\.0\.0\.1 port \d+: Connection refused"):
        Connection("127.0.0.1", free_port(), access(certificates))


def test_a_server_that_hangs_costs_the_deadline_and_no_more(certificates: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(RespError, match=r"no answer within 0\.3 s"):
            Connection("127.0.0.1", silent.getsockname()[1], access(certificates, deadline_s=0.3))
        assert time.monotonic() - began < 2


def test_a_server_that_drips_costs_the_deadline_and_no_more(certificates: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "nodes/node1.crt", certificates / "nodes/node1.key")
    done = threading.Event()

    def drip(listener: socket.socket) -> None:
        with context.wrap_socket(listener.accept()[0], server_side=True) as server:
            server.recv(1000)
            server.sendall(b"+OK\r\n")
            server.recv(1000)
            while not done.wait(0.05):
                try:
                    server.sendall(b"+")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        try:
            with Connection("127.0.0.1", listener.getsockname()[1], access(certificates, deadline_s=0.5)) as connection:
                began = time.monotonic()
                with pytest.raises(RespError, match="no answer within"):
                    connection.command("PING")
                assert time.monotonic() - began < 2
        finally:
            done.set()
            thread.join()
