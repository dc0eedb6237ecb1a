# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What this machine can do. A fault asks before it changes anything, and says what is missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError
from ansible_collections.halab.faults.plugins.module_utils.probes import run

# Numbers of capabilities(7).
CAPABILITIES = {
    "CAP_KILL": 5,
    "CAP_LINUX_IMMUTABLE": 9,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_RESOURCE": 24,
    "CAP_SYS_TIME": 25,
}
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def require_program(name: str, *, package: str, purpose: str) -> str:
    """Path of a program. Raises FaultError naming its Debian package."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")
    if not found:
        raise FaultError(
            f"{name}: is not installed, and {purpose} needs it. Install the package {package}, or run "
            "playbooks/fault_tools.yml. Nothing was changed."
        )
    return found


def capable(capability: str) -> bool:
    """Whether this process has the capability in effect."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(mask, 16) >> CAPABILITIES[capability] & 1)


def require_capability(capability: str, *, purpose: str, instead: str) -> None:
    """Raises FaultError naming the capability and what would work without it."""
    if not capable(capability):
        raise FaultError(
            f"{capability}: is not granted to this machine's root (a container?), and {purpose} needs it. {instead} "
            "Nothing was changed."
        )


def has_systemd() -> bool:
    """Whether systemd manages this machine."""
    return Path("/run/systemd/system").is_dir()


def unit_properties(unit: str, *names: str) -> dict[str, str]:
    """Properties of a systemd unit by name. Raises FaultError when systemd does not know it."""
    code, out, err = run(["systemctl", "show", "--property", ",".join(("LoadState", *names)), unit])
    if code != 0:
        raise FaultError(f"unit = {unit!r}: systemd could not be asked: {err or out}. Nothing was changed.")
    found = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    if found.get("LoadState") == "not-found":
        raise FaultError(f"unit = {unit!r}: systemd does not know it. See `systemctl list-units`. Nothing was changed.")
    return found
