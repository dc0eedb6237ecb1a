"""Which balancer holds the shared address, by its own word at that address."""

from __future__ import annotations

import base64
import http.client

from halab.clients.http import HttpError, client_context, open_to
from halab.inventory import Haproxy, Tls

OK = 200


def node_at_address(haproxy: Haproxy, tls: Tls, *, within_s: float) -> str:
    """Own address of the machine whose HAProxy answers at the shared address. Raises HttpError."""
    login = base64.b64encode(f"{haproxy.stats_user}:{haproxy.stats_password}".encode()).decode()
    scheme = "https" if haproxy.stats_tls else "http"
    where = f"{scheme}://{haproxy.address}:{haproxy.stats_port}{haproxy.node_path}"
    context = client_context(tls) if haproxy.stats_tls else None
    connection = open_to(haproxy.address, haproxy.stats_port, context, timeout=within_s)
    try:
        connection.request("GET", haproxy.node_path, headers={"Authorization": f"Basic {login}"})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        raise HttpError(f"GET {where}: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if answer.status != OK:
        raise HttpError(f"GET {where}: status {answer.status}")
    return text
