#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The few facts about a host that the roles need, in one fast look."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_info
author: The halab authors
short_description: Look at a host
version_added: 0.1.0
description:
  - Returns the few facts about a host that the roles of this collection need, in milliseconds.
  - The facts stay in C(ansible_facts['halab_node']), so a role looks only when no role before it has looked.
extends_documentation_fragment:
  - halab.stack.attributes
attributes:
  check_mode:
    support: full
    details: Never changes anything.
  diff_mode:
    support: none
    details: Never changes anything.
  idempotent:
    support: full
options: {}
"""

EXAMPLES = r"""
- name: Look at the host
  halab.stack.node_info:
  when: ansible_facts['halab_node'] is not defined
"""

RETURN = r"""
ansible_facts:
  description: What the host is.
  returned: always
  type: complex
  contains:
    halab_node:
      description: Facts of this host.
      type: complex
      returned: always
      contains:
        packages:
          description: Names of the Debian packages that are installed.
          type: list
          elements: str
          returned: always
        held:
          description: Those of them that somebody keeps at their version with C(apt-mark hold).
          type: list
          elements: str
          returned: always
        os:
          description: Fields C(id), C(version_id) and C(codename) of the operating system, empty where unknown.
          type: dict
          returned: always
          sample: {id: debian, version_id: "13", codename: trixie}
        architecture:
          description: Architecture in Debian's name.
          type: str
          returned: always
          sample: amd64
        kernel:
          description: Release of the running kernel.
          type: str
          returned: always
          sample: 6.12.48+deb13-amd64
        memory_bytes:
          description: Memory the host may use; a limit of its control group counts.
          type: int
          returned: always
        cpus:
          description: Processors the host may use.
          type: int
          returned: always
        watchdog:
          description: Path of the watchdog device, empty when there is none.
          type: str
          returned: always
          sample: /dev/watchdog
        systemd:
          description: Whether systemd runs; it does not in the chroot of an image build.
          type: bool
          returned: always
        private_mounts:
          description: Whether services can be given a view of the file system of their own.
          type: bool
          returned: always
"""

import ctypes
import os
import platform
import re
import shlex
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

# From linux/sched.h and linux/mount.h.
CLONE_NEWNS = 0x00020000
MS_REC = 1 << 14
MS_SLAVE = 1 << 19


# The first word is what is wanted of the package; one that is held is as installed as any other.
INSTALLED = re.compile(r"^Status: (\S+) ok installed$", re.MULTILINE)


@dataclass
class Packages:
    """Names of installed packages, those of them that are held, and the architecture in Debian's name."""

    installed: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    architecture: str = field(default_factory=platform.machine)


def dpkg(status: str) -> Packages:
    """Return what the text of dpkg's status file tells."""
    found = Packages()
    for paragraph in status.split("\n\n"):
        state = INSTALLED.search(paragraph)
        if not state:
            continue
        name = paragraph.partition("\n")[0].removeprefix("Package: ")
        found.installed.append(name)
        if state[1] == "hold":
            found.held.append(name)
        if name == "dpkg":
            found.architecture = paragraph.partition("\nArchitecture: ")[2].partition("\n")[0]
    return found


def os_release(text: str) -> dict[str, str]:
    """Return id, version and code name from the text of an os-release file."""
    fields = dict(word.partition("=")[::2] for word in shlex.split(text, comments=True))
    wanted = {"id": "ID", "version_id": "VERSION_ID", "codename": "VERSION_CODENAME"}
    return {key: fields.get(field, "") for key, field in wanted.items()}


def memory_bytes(root: Path = Path("/")) -> int:
    """Return the bytes of memory, at most the limit of the control group of this machine (version 2 or 1)."""
    total = root / "proc/meminfo"
    known = [int(line.split()[1]) * 1024 for line in _text(total).splitlines() if line.startswith("MemTotal:")]
    for limit in ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = _text(root / limit).strip()
        known += [int(text)] if text.isdecimal() else []
    return min(known, default=0)


def private_mounts() -> bool:
    """Tell whether a process here can have its own mount namespace, by trying it in a child."""
    libc = ctypes.CDLL(None)
    child = os.fork()
    if child == 0:
        refused = libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, MS_REC | MS_SLAVE, None)
        os._exit(1 if refused else 0)
    return os.waitpid(child, 0)[1] == 0


def watchdog() -> str:
    """Return the path of the watchdog device, empty when there is none."""
    path = "/dev/watchdog"
    try:
        return path if stat.S_ISCHR(os.stat(path).st_mode) else ""
    except OSError:
        return ""


def observe() -> dict[str, Any]:
    """Return all facts."""
    packages = dpkg(_text(Path("/var/lib/dpkg/status")))
    return {
        "packages": packages.installed,
        "held": packages.held,
        "os": os_release(_text(Path("/etc/os-release"))),
        "architecture": packages.architecture,
        "kernel": platform.release(),
        "memory_bytes": memory_bytes(),
        "cpus": len(os.sched_getaffinity(0)),
        "watchdog": watchdog(),
        "systemd": os.path.isdir("/run/systemd/system"),
        "private_mounts": private_mounts(),
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(ansible_facts={"halab_node": observe()})


if __name__ == "__main__":
    main()
