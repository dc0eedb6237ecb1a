# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ledger of a fault that the controller carries out."""

from __future__ import annotations


class ModuleDocFragment:
    """A ledger on the controller, which has one for every cluster."""

    DOCUMENTATION = r"""
options:
  ledger_dir:
    description: Folder of the cluster's ledger on the controller. Made with mode 0700 when missing.
    type: path
    required: true
"""
