"""HAProxy's page of statistics, read as HAProxy 2.6 and later write it."""

from __future__ import annotations

import pytest

from halab.clients.haproxy_stats import Server, parsed

PAGE = """\
# pxname,svname,scur,stot,status,weight,bck,type,addr,algo,
reads,FRONTEND,3,9,OPEN,,,0,,,
reads,pg1,1,4,UP,100,0,2,192.0.2.1:5432,,
reads,pg2,0,0,DOWN 1/2,100,0,2,192.0.2.2:5432,,
reads,pg1-primary,0,0,UP 1/3,1,1,2,192.0.2.1:5432,,
reads,BACKEND,1,4,UP,100,0,1,,leastconn,
bare,pg1,,,no check,1,0,2,,,
"""


def test_servers_are_read_with_their_backends_algorithm() -> None:
    servers = {(server.backend, server.name): server for server in parsed(PAGE)}
    assert servers["reads", "pg1"] == Server(
        backend="reads", name="pg1", address="192.0.2.1:5432", up=True, backup=False, weight=100, sessions=1, total=4,
        algorithm="leastconn",
    )  # fmt: skip
    assert not servers["reads", "pg2"].up
    assert servers["reads", "pg1-primary"].backup
    assert servers["bare", "pg1"].algorithm == ""
    assert len(servers) == 4


@pytest.mark.parametrize("text", ["", "<html>not it</html>\nsecond line\n"])
def test_another_page_is_refused_by_the_column_that_is_missing(text: str) -> None:
    with pytest.raises(KeyError):
        parsed(text)
