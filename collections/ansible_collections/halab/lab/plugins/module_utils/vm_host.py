# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what virtual machines need of this host, and how it can run them: found out by trying, as for containers."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.halab.lab.plugins.module_utils.engine import EngineError
from ansible_collections.halab.lab.plugins.module_utils.vm_image import VmImage

QEMU = "qemu-system-x86_64"
NEEDED = {QEMU: "qemu-system-x86", "qemu-img": "qemu-utils", "mke2fs": "e2fsprogs", "ip": "iproute2"}
PROBE_WITHIN_S = 15.0
PROCESSORS = {"kvm": "host", "tcg": "max"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How this host runs virtual machines: `kvm` by its processor, `tcg` by software, some ten times slower."""

    acceleration: str

    def options(self) -> list[str]:
        """Words of QEMU's command line."""
        return ["-machine", f"q35,accel={self.acceleration}", "-cpu", PROCESSORS[self.acceleration]]


def check() -> None:
    """Raise EngineError that names everything that is missing."""
    lacking = []
    if platform.machine() != "x86_64":
        lacking.append(f"a processor of x86_64, and this is {platform.machine()}: use containers (kind: container)")
    packages = sorted({package for program, package in NEEDED.items() if not shutil.which(program)})
    if packages:
        lacking.append(f"programs: apt-get install --no-install-recommends {' '.join(packages)}")
    if not Path("/dev/net/tun").exists():
        lacking.append("/dev/net/tun: modprobe tun, or give this host the device")
    if lacking:
        raise EngineError("kind: virtual machines need\n  " + "\n  ".join(lacking))


def probe(image: VmImage) -> Limits:
    """KVM where a kernel really boots with it, else emulation.

    A host may have /dev/kvm and yet run nothing with it, nested in a hypervisor that supports it half: the guest hangs
    or QEMU gives up. So a kernel without a disk is started; it panics for want of one, and the machine ends.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return Limits("tcg")
    kvm = Limits("kvm")
    words = [QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-m", "256", *kvm.options()]
    try:
        done = subprocess.run(
            [*words, "-kernel", str(image.kernel), "-append", "panic=-1"],
            capture_output=True, timeout=PROBE_WITHIN_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Limits("tcg")
    return kvm if done.returncode == 0 else Limits("tcg")
