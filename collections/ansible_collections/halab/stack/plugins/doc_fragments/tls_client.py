# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of every module that speaks HTTPS with a client certificate."""

from __future__ import annotations


class ModuleDocFragment:
    """How a module proves who it is, and how long it waits."""

    DOCUMENTATION = r"""
options:
  ca_file:
    description:
      - Path of the certificate authority that must have signed the server's certificate.
      - Empty where no server speaks TLS; one that does is then not trusted.
    type: path
    required: true
  cert_file:
    description: Path of the client certificate that is shown to the server; empty to show none.
    type: path
    required: true
  key_file:
    description: Path of the key of O(cert_file).
    type: path
    required: true
  deadline_s:
    description: Seconds one request may take in all, from the connection to the last byte.
    type: float
    default: 3.0
"""
