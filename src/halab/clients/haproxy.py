"""HAProxy over its statistics page: which balancer holds the shared address, and what it says of its servers."""

from __future__ import annotations

import base64
import csv
import http.client
import io
from dataclasses import dataclass

from halab.clients.http import HttpError, client_context
from halab.inventory import Haproxy, Tls

OK = 200
_SUMS = ("FRONTEND", "BACKEND")


@dataclass(frozen=True, slots=True)
class Server:
    """A server of a backend. `sessions` are open now, `total` were opened since HAProxy began.

    `address` is empty and `algorithm` too where the page does not tell them (`stats show-legends` makes it).
    """

    backend: str
    name: str
    address: str
    up: bool
    backup: bool
    sessions: int
    total: int
    algorithm: str


def node_at_address(haproxy: Haproxy, tls: Tls, *, within_s: float) -> str:
    """Own address of the machine whose HAProxy answers at the shared address. Raises HttpError."""
    return _page(haproxy, tls, haproxy.address, "/node", within_s=within_s).strip()


def statistics(haproxy: Haproxy, tls: Tls, address: str, *, within_s: float) -> tuple[Server, ...]:
    """Every server of every backend of the balancer at `address`. Raises HttpError."""
    path = f"{haproxy.stats_path};csv"
    text = _page(haproxy, tls, address, path, within_s=within_s)
    if not text.startswith("# pxname"):
        raise HttpError(f"GET {address}:{haproxy.stats_port}{path}: no statistics: {text[:40]!r}")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("# "))))
    algorithms = {row["pxname"]: row.get("algo") or "" for row in rows if row["svname"] == "BACKEND"}
    return tuple(
        Server(
            backend=row["pxname"],
            name=row["svname"],
            address=row.get("addr") or "",
            up=row["status"].startswith("UP"),
            backup=row["bck"] == "1",
            sessions=int(row["scur"] or 0),
            total=int(row["stot"] or 0),
            algorithm=algorithms.get(row["pxname"], ""),
        )
        for row in rows
        if row["svname"] not in _SUMS and row["type"] == "2"
    )


def _page(haproxy: Haproxy, tls: Tls, address: str, path: str, *, within_s: float) -> str:
    login = base64.b64encode(f"{haproxy.stats_user}:{haproxy.stats_password}".encode()).decode()
    where = f"https://{address}:{haproxy.stats_port}{path}"
    connection = http.client.HTTPSConnection(address, haproxy.stats_port, timeout=within_s, context=client_context(tls))
    try:
        connection.request("GET", path, headers={"Authorization": f"Basic {login}"})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise HttpError(f"GET {where}: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if answer.status != OK:
        raise HttpError(f"GET {where}: status {answer.status}")
    return text
