# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ledger of a module that runs on the machine that the fault is on."""

from __future__ import annotations


class ModuleDocFragment:
    """A ledger where every machine keeps its own."""

    DOCUMENTATION = r"""
options:
  ledger_dir:
    description:
      - Folder of the ledger, on the machine that runs the module. One that is missing is an empty ledger; a fault makes
        it, with mode 0700.
    type: path
    default: /var/lib/halab/ledger
"""
