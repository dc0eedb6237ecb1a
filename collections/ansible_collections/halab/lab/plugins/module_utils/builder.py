# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: base systems and the builder container in which roles install their packages."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.halab.lab.plugins.module_utils.engine import LABEL, Engine, EngineError

# sshd takes its host key from the machine's own folder, never from the image: two machines must not share one.
PREPARE = """set -eu
rm -f /etc/ssh/ssh_host_*
mkdir -p /etc/ssh/sshd_config.d /root/.ssh /var/log/journal /etc/systemd/journald.conf.d
chmod 700 /root/.ssh
printf '%s\\n' 'HostKey /etc/ssh/halab/ssh_host_ed25519_key' 'PermitRootLogin prohibit-password' \
  'PasswordAuthentication no' 'UseDNS no' 'MaxStartups 100' > /etc/ssh/sshd_config.d/halab.conf
printf '%s\\n' '[Journal]' 'Storage=persistent' 'SystemMaxUse=128M' > /etc/systemd/journald.conf.d/halab.conf
: > /etc/machine-id
systemctl mask systemd-networkd-wait-online.service getty@.service console-getty.service \
  systemd-logind.service systemd-udevd.service apt-daily.timer apt-daily-upgrade.timer >/dev/null 2>&1
"""
# No package's default service may start while the image is made.
FORBID_START = "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d"
# dpkg flushes every file to disk, which an image that is committed at the end does not need.
UNSAFE_IO = "echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/halab-build"
SERVE = """mkdir -p /run/sshd && ssh-keygen -q -t ed25519 -N '' -f /run/builder_key && \
exec /usr/sbin/sshd -D -e -p {port} -o ListenAddress=127.0.0.1 -o HostKey=/run/builder_key -o UsePAM=no"""
STALE_S = 3600
CLEAN = """set -eu
rm -f /usr/sbin/policy-rc.d /etc/dpkg/dpkg.cfg.d/halab-build /run/builder_key* /root/.ssh/authorized_keys
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /root/.ansible /tmp/* /var/log/journal/*
: > /etc/machine-id
"""


@dataclass(frozen=True, slots=True)
class BaseSystem:
    """A minimal Debian with systemd, SSH and Python."""

    tag: str
    from_registry: str
    suite: str
    mirror: str
    packages: tuple[str, ...]

    def ensure(self, engine: Engine) -> None:
        """Have the base image in the engine's store.

        Raises EngineError when it can be neither built nor pulled.
        """
        if engine.image_exists(self.tag):
            return
        if self.from_registry:
            self._from_registry(engine)
        else:
            self._bootstrap(engine)

    def _from_registry(self, engine: Engine) -> None:
        container = f"halab-base-{self.tag.rsplit(':', 1)[-1]}"
        engine.run("rm", "--force", container, check=False)
        install = "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends"
        script = f"apt-get update && {install} {' '.join(self.packages)}"
        if not engine.image_exists(self.from_registry):  # one that was loaded by hand has no registry
            engine.run("pull", self.from_registry, timeout_s=600)
        limits = engine.probe(self.from_registry)
        try:
            engine.run(
                "run", "--name", container, "--label", f"{LABEL}=build", "--network", "host", *limits.options(),
                self.from_registry, "sh", "-c", f"{FORBID_START}; {script} && {PREPARE}",
                runtime=limits.runtime, timeout_s=900,
            )  # fmt: skip
            engine.run("commit", container, self.tag, timeout_s=300)
        finally:
            engine.run("rm", "--force", container, check=False)

    def _bootstrap(self, engine: Engine) -> None:
        if not shutil.which("mmdebstrap"):
            raise EngineError(
                "image: mmdebstrap is not installed. Install it (apt-get install mmdebstrap) or set "
                "image_from_registry."
            )
        with tempfile.TemporaryDirectory(prefix="halab-image-") as folder:
            archive = Path(folder) / "base.tar"
            command = ["mmdebstrap", "--variant=apt", f"--include={','.join(self.packages)}"]
            script = Path(folder) / "prepare"
            script.write_text(PREPARE, encoding="utf-8")
            command += [
                f"--customize-hook=copy-in {script} /tmp",
                '--customize-hook=chroot "$1" sh /tmp/prepare',
                '--customize-hook=rm "$1/tmp/prepare"',
                self.suite, str(archive), *([self.mirror] if self.mirror else []),
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise EngineError(
                    f"image: mmdebstrap could not install {self.suite}"
                    f"{' from ' + self.mirror if self.mirror else ''}: {_reasons(done.stderr)}\n"
                    "Check that this host reaches its package archive (apt-get update), or set image_mirror."
                )
            engine.run("import", str(archive), self.tag, timeout_s=300)


def _reasons(printed: str) -> str:
    """Return what went wrong by what mmdebstrap has printed, which holds everything that apt did."""
    lines = [line for line in printed.splitlines() if line.startswith(("E: ", "W: ", "Err:"))]
    return ("\n".join(lines) or printed.strip())[-1500:]


class Builder:
    """A container of the base image that shares the host's network and serves SSH on loopback."""

    def __init__(self, engine: Engine, image: str, *, name: str = "") -> None:
        self.engine = engine
        self.image = image
        # A name of its own for each build: two labs may build the same image at once, and must not stop each other.
        self.name = name or f"halab-build-{image.rsplit(':', 1)[-1]}-{secrets.token_hex(3)}"

    def start(self, base: str, authorized_key: str) -> tuple[int, str]:
        """Start it; its port and public host key.

        Raises EngineError when SSH does not answer within 20 s.
        """
        self._sweep()
        limits = self.engine.probe(base)
        port = _free_port()
        self.engine.run(
            "run", "--detach", "--name", self.name, "--label", f"{LABEL}=build", "--network", "host",
            *limits.options(), base, "sh", "-c", f"{FORBID_START}; {UNSAFE_IO}; {SERVE.format(port=port)}",
            runtime=limits.runtime,
        )  # fmt: skip
        self.engine.run(
            "exec", self.name, "sh", "-c",
            f"umask 077; echo '{authorized_key.strip()}' > /root/.ssh/authorized_keys", runtime=limits.runtime,
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
            except OSError as error:
                if time.monotonic() > deadline:
                    log = self.engine.run("logs", self.name, check=False)
                    raise EngineError(
                        f"image: the builder's SSH did not answer within 20 s ({error}): {log}"
                    ) from error
                time.sleep(0.05)  # nothing notifies us of a listening port
        key = self.engine.run("exec", self.name, "cat", "/run/builder_key.pub", runtime=limits.runtime)
        return port, " ".join(key.split()[:2])

    def commit(self) -> None:
        """Keep what the builder holds as the image, without traces of the build."""
        self.engine.run("exec", self.name, "sh", "-c", CLEAN)
        self.engine.run("stop", "--time", "2", self.name, check=False)
        # An image is whole or absent: the tag is given by the engine after the last layer is written.
        self.engine.run("commit", "--change", 'CMD ["/sbin/init"]', self.name, self.image, timeout_s=600)
        self.remove()

    def remove(self) -> bool:
        """Remove the builder; was there one?"""
        existed = bool(self.engine.run("ps", "--all", "--quiet", "--filter", f"name=^{self.name}$").strip())
        if existed:
            self.engine.run("rm", "--force", self.name)
        return existed

    def _sweep(self) -> None:
        """Remove builders of runs that were killed: no build takes an hour."""
        builders = self.engine.run(
            "ps", "--all", "--format", "{{.Names}} {{.CreatedAt}}", "--filter", f"label={LABEL}=build"
        )
        for line in builders.splitlines():
            # For example 2026-11-21 04:28:52.818420212 +0000 UTC
            name, day, hour, zone = line.split()[:4]
            began = datetime.strptime(f"{day} {hour[:8]} {zone}", "%Y-%m-%d %H:%M:%S %z")
            if (datetime.now(UTC) - began).total_seconds() > STALE_S:
                self.engine.run("rm", "--force", name)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
