"""What etcd's errors say of an operation, and a stream in pieces of any size."""

from __future__ import annotations

import http.client

import pytest

from halab.clients.etcd_channel import logged_out, refusal
from halab.clients.etcd_stream import _Lines
from halab.clients.outcome import OperationFailed, nothing_done


@pytest.mark.parametrize(
    ("code", "message", "outcome", "reached"),
    [
        (14, "etcdserver: request timed out", "info", False),
        (14, "etcdserver: request timed out, possibly due to previous leader failure", "info", False),
        (14, "etcdserver: leader changed", "info", False),
        (14, "transport is closing", "info", False),
        (14, "etcdserver: no leader", "fail", False),
        (2, "raft proposal dropped", "info", True),
        (4, "context deadline exceeded", "info", True),
        (8, "etcdserver: too many requests", "fail", True),
        (8, "etcdserver: mvcc: database space exceeded", "info", True),
        (8, "grpc: received message larger than max (5 vs. 4)", "info", True),
        (5, "etcdserver: requested lease not found", "fail", True),
        (7, "etcdserver: permission denied", "fail", True),
        (11, "etcdserver: mvcc: required revision has been compacted", "fail", True),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_only_what_was_surely_refused_is_a_fail(code, message, outcome, reached, nested):
    answer = {"error": {"grpc_code": code, "message": message}} if nested else {"error": message, "code": code}
    error = refusal(answer)
    assert (error.outcome, error.reached) == (outcome, reached)
    assert message in str(error)
    with pytest.raises(OperationFailed) as caught, nothing_done():
        raise error
    assert (caught.value.outcome, caught.value.error_class) == ("fail", error.error_class)


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (16, "etcdserver: invalid auth token", True),
        (3, "etcdserver: user name is empty", True),
        (3, "etcdserver: revision in header is auth store is old", True),
        (7, "etcdserver: permission denied", True),
        (14, "etcdserver: request timed out", False),
    ],
)
def test_who_has_no_valid_token_is_told(code, message, expected):
    assert logged_out({"error": message, "code": code}) is expected


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = b'9\r\n{"a": 1}\n\r\n7\r\n{"b": 2\r\n4;x=y\r\n2}\n\n\r\n0\r\n\r\n'


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1000])
def test_lines_of_a_stream_in_pieces(size):
    lines, found, whole = _Lines(), [], HEAD + CHUNKS
    for begin in range(0, len(whole), size):
        assert not lines.ended
        lines.feed(whole[begin : begin + size])
        found += lines.taken()
        if len(found) == 2 and lines.ended:
            break
    assert found == [b'{"a": 1}', b'{"b": 22}']
    assert lines.ended


@pytest.mark.parametrize("data", [b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}", HEAD + b"zz\r\n{}\r\n"])
def test_what_is_no_stream_is_refused(data):
    with pytest.raises((http.client.HTTPException, ValueError)):
        _Lines().feed(data)
