# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: the disk that virtual machines start from: the node image's files, with a kernel of the same Debian.

Nothing is mounted for it, and nothing of it is installed on this host: the kernel is unpacked in a container of the
node image, and mke2fs copies a folder into a file system.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.halab.lab.plugins.module_utils.engine import LABEL, Engine, EngineError

KERNEL = "linux-image-amd64"  # the flavour cloud-amd64 lacks sch_netem, which the fault `link` uses
DISK_MIB = 8192  # of a sparse file
NEEDED_MIB = 2560  # what is really written while it is made
# First process of the machine. The kernel gives no order of modules, no mount and no address: this does, and no more,
# since under emulation every process costs. There is no udev, as there is none in a container of the same image.
INIT = r"""#!/bin/busybox sh
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox --install -s /bin
fail() { echo "halab: $*"; sleep 1; poweroff -f; }
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module" || fail "module $module"; done </modules/order
mount -t ext4 -o noatime /dev/vda /root || fail "no root file system on /dev/vda"
for word in $(cat /proc/cmdline); do
  value=${word#*=}
  case $word in
  halab.mount=*)
    device=/dev/${value%%:*} place=/root${value#*:}
    mkdir -p "$place"; mount -t ext4 -o noatime "$device" "$place" || fail "no file system on $device" ;;
  halab.address=*)
    ip link set lo up; ip address add "$value" dev eth0 && ip link set eth0 up || fail "no network device" ;;
  halab.gateway=*) ip route add default via "$value" ;;
  halab.host=*) echo "$value" >/root/etc/hostname ;;
  esac
done
mount --move /dev /root/dev; mount --move /proc /root/proc; mount --move /sys /root/sys
exec switch_root /root /sbin/init
"""
UNPACK = """import lzma, sys
source, target = sys.argv[1:]
with (lzma.open if source.endswith(".xz") else open)(source, "rb") as packed, open(target, "wb") as plain:
    plain.write(packed.read())
"""
# What it takes in the node image. Only modules that a server without hardware can use are kept.
PREPARE = r"""set -eu
export DEBIAN_FRONTEND=noninteractive
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/halab-build
apt-get -qq update
apt-get -qq -y --no-install-recommends install kmod busybox-static cpio >/dev/null
kernel=$(apt-cache depends "$KERNEL" | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
mkdir /tmp/kernel /tmp/start /tmp/start/bin /tmp/start/modules
cd /tmp/kernel
apt-get -qq -o APT::Sandbox::User=root download "$kernel"
dpkg-deb -x ./*.deb .
version=${kernel#linux-image-}
from=$(dirname "$(find . -path "*/modules/$version/kernel" -type d)")
to=/lib/modules/$version
mkdir -p "$to/kernel"
cp "$from"/modules.order "$from"/modules.builtin "$from"/modules.builtin.modinfo "$to"
cd "$from/kernel"
cp -r --parents arch block crypto fs lib mm net drivers/block drivers/md drivers/virtio drivers/net/*.ko* "$to/kernel"
depmod "$version"
cd /tmp/start
cp /bin/busybox bin/busybox
printf '%s' "$INIT" >init
chmod 755 init
for module in virtio_pci virtio_blk virtio_net ext4; do
  modprobe --set-version "$version" --show-depends "$module"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r file; do
  name=$(basename "$file" .xz)
  python3 -c "$UNPACK" "$file" "modules/$name"
  echo "$name"
done >/tmp/order
mv /tmp/order modules/order
find . | cpio -o -H newc --quiet >/boot/initrd.img
cp /tmp/kernel/boot/vmlinuz-* /boot/vmlinuz
systemctl mask serial-getty@.service >/dev/null 2>&1
mkdir -p /etc/ssh/halab
ln -sf /etc/ssh/halab/authorized_keys /root/.ssh/authorized_keys
: >/etc/machine-id
apt-get clean
rm -rf /tmp/kernel /tmp/start /var/lib/apt/lists/* /etc/dpkg/dpkg.cfg.d/halab-build
touch /etc/.updated /var/.updated
"""


@dataclass(frozen=True, slots=True)
class VmImage:
    """A root file system, a kernel and what it starts with, for machines of one node image."""

    image: str
    folder: Path

    @classmethod
    def of(cls, image: str, store: Path) -> VmImage:
        """Where it is kept: under a fingerprint of all that decides what is in it."""
        digest = hashlib.sha256("\0".join((image, KERNEL, INIT, PREPARE, str(DISK_MIB))).encode()).hexdigest()[:12]
        return cls(image, store / "vm-images" / digest)

    @property
    def disk(self) -> Path:
        return self.folder / "root.ext4"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def start(self) -> Path:
        """The archive of which the kernel makes its first file system."""
        return self.folder / "initrd.img"

    def ensure(self, engine: Engine) -> bool:
        """Have it; was it made? Raises EngineError when the node image, the kernel or the space is missing."""
        if self.folder.exists():
            return False
        if not engine.image_exists(self.image):
            raise EngineError(f"image: {self.image} is not in the store of {engine.name}. Say: halab up")
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder.parent).free >> 20
        if free < NEEDED_MIB:
            raise EngineError(
                f"store: {self.folder.parent} has {free} MiB free, the disk of virtual machines needs {NEEDED_MIB}. "
                "Free some space or set `store` in machines.yml to another file system."
            )
        draft = self.folder.with_name(f"{self.folder.name}-{secrets.token_hex(3)}")
        try:
            self._make(engine, draft)
            draft.rename(self.folder)  # whole or absent
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return True

    def _make(self, engine: Engine, draft: Path) -> None:
        files = draft / "files"
        files.mkdir(parents=True)
        with _container(engine, self.image) as name:
            archive = draft / "files.tar"
            engine.run("export", "--output", str(archive), name, timeout_s=300)
        _call("tar", "-x", "-f", str(archive), "-C", str(files), "--numeric-owner")
        archive.unlink()
        for made in (self.kernel, self.start):
            (files / "boot" / made.name).rename(draft / made.name)
        # Traces of the container engine, by which systemd would take the machine for a container.
        for trace in (".dockerenv", "run"):
            _call("rm", "-rf", str(files / trace))
        (files / "run").mkdir()
        disk = draft / self.disk.name
        with disk.open("wb") as file:
            file.truncate(DISK_MIB << 20)
        _call("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-d", str(files), str(disk))
        shutil.rmtree(files)


@contextmanager
def _container(engine: Engine, image: str) -> Iterator[str]:
    """A stopped container of the image in which PREPARE has run; removed in the end."""
    name = f"halab-build-vm-{secrets.token_hex(4)}"
    limits = engine.probe(image)
    try:
        engine.run(
            "run", "--name", name, "--label", f"{LABEL}=build", "--network", "host", *limits.options(),
            "--env", f"KERNEL={KERNEL}", "--env", f"INIT={INIT}", "--env", f"UNPACK={UNPACK}",
            image, "sh", "-c", PREPARE,
            runtime=limits.runtime, timeout_s=600,
        )  # fmt: skip
        yield name
    except EngineError as error:
        raise EngineError(
            f"image: a kernel could not be put into {image}: {str(error)[-800:]}\n"
            f"Its package archive must be reachable and have {KERNEL}."
        ) from error
    finally:
        engine.run("rm", "--force", name, check=False)


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EngineError(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
