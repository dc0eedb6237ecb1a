"""What a balancer says of its servers on its page of statistics."""

from __future__ import annotations

import base64
import csv
import http.client
import io
from dataclasses import dataclass

from halab.clients.http import HttpError, client_context, open_to
from halab.inventory import Haproxy, Tls

OK = 200
SERVER = "2"
"""The type of a row that is a server's, not a frontend's, a backend's or a listener's."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server of a backend. `sessions` are open now, `total` were opened since HAProxy began.

    `address`, with its port, and `algorithm` are empty unless HAProxy has `stats show-legends`.
    """

    backend: str
    name: str
    address: str
    up: bool
    backup: bool
    weight: int
    sessions: int
    total: int
    algorithm: str


def statistics(haproxy: Haproxy, tls: Tls, address: str, *, within_s: float) -> tuple[Server, ...]:
    """Every server of every backend, by the balancer at `address`. Raises HttpError."""
    path = f"{haproxy.stats_path};csv"
    context = client_context(tls) if haproxy.stats_tls else None
    where = f"GET {'http' if context is None else 'https'}://{address}:{haproxy.stats_port}{path}"
    login = base64.b64encode(f"{haproxy.stats_user}:{haproxy.stats_password}".encode()).decode()
    connection = open_to(address, haproxy.stats_port, context, timeout=within_s)
    try:
        connection.request("GET", path, headers={"Authorization": f"Basic {login}"})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise HttpError(f"{where}: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if answer.status != OK:
        raise HttpError(f"{where}: status {answer.status}")
    try:
        return parsed(text)
    except KeyError as error:
        raise HttpError(f"{where}: no statistics, {error} is missing: {text[:40]!r}") from None


def parsed(text: str) -> tuple[Server, ...]:
    """Servers of the page in its form for programs. Raises KeyError, naming the column, for any other page."""
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("# "))))
    if not rows:
        raise KeyError("pxname")
    algorithms = {row["pxname"]: row.get("algo") or "" for row in rows if row["svname"] == "BACKEND"}
    return tuple(
        Server(
            backend=row["pxname"],
            name=row["svname"],
            address=row.get("addr") or "",
            up=row["status"].startswith("UP"),
            backup=row["bck"] == "1",
            weight=int(row["weight"] or 0),
            sessions=int(row["scur"] or 0),
            total=int(row["stot"] or 0),
            algorithm=algorithms.get(row["pxname"], ""),
        )
        for row in rows
        if row["type"] == SERVER
    )
