# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of modules that speak with the PostgreSQL server of their host."""

from __future__ import annotations


class ModuleDocFragment:
    """The way in is the socket, where the system user is the superuser."""

    DOCUMENTATION = r"""
options:
  database:
    description: Database to connect to.
    type: str
    required: true
  port:
    description: Port of the server.
    type: int
    default: 5432
  superuser:
    description: Superuser of the server.
    type: str
    default: postgres
  socket_directory:
    description: Directory of the server's socket.
    type: path
    default: /var/run/postgresql
  system_user:
    description: Operating system user that the server lets in as O(superuser) without a password.
    type: str
    default: postgres
"""
