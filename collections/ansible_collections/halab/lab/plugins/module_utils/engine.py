# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: the container engines, Podman and Docker, and what this host lets them do."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

LABEL = "halab"
CAPABILITIES = ("NET_ADMIN", "NET_RAW", "SYS_PTRACE")
WANTED_FILES = 65536
WANTED_PROCESSES = 16384


class EngineError(Exception):
    """The engine refused; the message holds the command, its answer and what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a machine may have on this host: found out by trying, because hosts differ in ways no file tells."""

    runtime: str
    cgroup: str
    files: int
    processes: int
    capabilities: tuple[str, ...]

    def options(self) -> list[str]:
        """Command line options of `run` that carry these limits."""
        options = ["--ulimit", f"nofile={self.files}:{self.files}"]
        options += ["--ulimit", f"nproc={self.processes}:{self.processes}"]
        for capability in self.capabilities:
            options += ["--cap-add", capability]
        return options


def cgroup_layout(root: str = "/sys/fs/cgroup") -> str:
    """`v2`, `hybrid` or `v1`, as systemd names them."""
    if os.path.exists(os.path.join(root, "cgroup.controllers")):
        return "v2"
    return "hybrid" if os.path.isdir(os.path.join(root, "unified")) else "v1"


class Engine:
    """One engine's command line. Both engines share it but for the few words below."""

    def __init__(self, name: str) -> None:
        if not shutil.which(name):
            raise EngineError(f"engine: {name} is not installed. Install it (apt-get install {_package(name)}).")
        self.name = name

    def run(self, *arguments: str, runtime: str = "", check: bool = True, timeout_s: float = 120) -> str:
        """Run one command of the engine; its standard output.

        Raises EngineError on a non-zero exit (unless `check` is off) and when the deadline passes.
        """
        command = [self.name]
        if runtime and self.name == "podman":
            command += ["--runtime", runtime]
        command += arguments
        # C locale: messages are matched and shown, and must not depend on who runs this.
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout_s, check=False, env=environment
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"{' '.join(command)}: no answer within {timeout_s:.0f} s.") from error
        if check and done.returncode != 0:
            raise EngineError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def alive(self) -> None:
        """Raise EngineError when the engine does not answer at all (a Docker daemon that is not running)."""
        try:
            self.run("info", timeout_s=30)
        except EngineError as error:
            raise EngineError(f"engine: {self.name} is installed but does not work here. {error}") from error

    def image_exists(self, image: str) -> bool:
        """Is this tag in the engine's store?"""
        return bool(self.run("images", "--quiet", image, check=False).strip())

    def containers(self, lab: str) -> dict[str, dict[str, Any]]:
        """Machines of a lab by host name: id, spec (hash of how it was made), running, name."""
        identifiers = self.run("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}={lab}").split()
        if not identifiers:
            return {}
        found = {}
        for item in json.loads(self.run("inspect", "--type", "container", *identifiers)):
            labels = item["Config"]["Labels"]
            found[labels["halab.host"]] = {
                "id": item["Id"],
                "name": item["Name"].lstrip("/"),
                "spec": labels.get("halab.spec", ""),
                "running": bool(item["State"]["Running"]),
            }
        return found

    def discard(self, identifiers: list[str]) -> None:
        """Remove containers with whatever runs in them; nobody waits for an orderly end of what is thrown away."""
        at_once = ["--time", "0"] if self.name == "podman" else []
        self.run("rm", "--force", "--volumes", *at_once, *identifiers)

    def network_subnet(self, name: str) -> str:
        """Subnet of a network, or nothing when the network does not exist."""
        text = self.run("network", "inspect", name, check=False)
        networks = json.loads(text) if text.strip().startswith("[") else []
        if not networks:
            return ""
        description = networks[0]
        if self.name == "docker":
            return str(description["IPAM"]["Config"][0]["Subnet"])
        return str(description["subnets"][0]["subnet"])

    def address_options(self, network: str, address: str, mac: str) -> list[str]:
        """Options that give a container its address on a network, the same after every power-on."""
        options = ["--network", network, "--ip", address]
        # Docker derives the hardware address from a fixed IP by itself; Podman draws a new one at each start.
        return [*options, "--mac-address", mac] if self.name == "podman" else options

    def machine_options(self) -> list[str]:
        """Options that make a container look like a booted host to systemd."""
        memory = ["--shm-size", "256m"]  # PostgreSQL's parallel workers share memory there
        if self.name == "podman":
            # --no-hosts: the engine would otherwise rewrite /etc/hosts at every power-on.
            return ["--systemd", "always", "--no-hosts", *memory]
        common = [*memory, "--tmpfs", "/run:rw,exec,mode=755", "--tmpfs", "/run/lock", "--stop-signal", "SIGRTMIN+3"]
        if cgroup_layout() == "v2":
            return [*common, "--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
        return [*common, "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:ro"]

    def probe(self, image: str) -> Limits:
        """Find a runtime and limits with which a container really starts on this host.

        Runtimes differ in the cgroup layouts they accept, hosts in their hard limits, and some hosts withhold
        capabilities; none of it can be read off reliably, so each candidate is tried with a harmless command.
        """
        files = _hard_limit(resource.RLIMIT_NOFILE, WANTED_FILES)
        processes = _hard_limit(resource.RLIMIT_NPROC, WANTED_PROCESSES)
        refusals = []
        for runtime in self._runtimes():
            limits = Limits(runtime, cgroup_layout(), files, processes, CAPABILITIES)
            try:
                self.run(
                    "run", "--rm", "--network", "none", "--label", f"{LABEL}=build", *limits.options(),
                    image, "/bin/true", runtime=runtime, timeout_s=60,
                )  # fmt: skip
            except EngineError as error:
                refusals.append(f"  {runtime or 'default runtime'}: {str(error).splitlines()[-1]}")
                continue
            return limits
        raise EngineError(
            f"engine: {self.name} starts no container on this host (cgroup {cgroup_layout()}, nofile {files}, "
            f"nproc {processes}):\n" + "\n".join(refusals) + "\nInstall another OCI runtime (apt-get install runc)."
        )

    def _runtimes(self) -> list[str]:
        if self.name == "docker":
            return [""]
        # crun refuses hybrid cgroups, so where the layout is not v2 runc is tried first.
        order = ("", "crun", "runc") if cgroup_layout() == "v2" else ("runc", "", "crun")
        return [name for name in order if not name or shutil.which(name)]


def _package(engine: str) -> str:
    return "podman runc" if engine == "podman" else "docker.io"


def _hard_limit(kind: int, wanted: int) -> int:
    hard = resource.getrlimit(kind)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
