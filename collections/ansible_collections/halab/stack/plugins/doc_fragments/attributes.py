# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Attributes that every plugin of this collection documents."""

from __future__ import annotations


class ModuleDocFragment:
    """The three questions a user asks of a module, asked in one form."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tell what it would change without changing it.
  diff_mode:
    description: Returns what it changed, or would change in check mode, when diff mode is on.
  idempotent:
    description: Changes nothing when run again with the same parameters and nothing else has changed.
"""
