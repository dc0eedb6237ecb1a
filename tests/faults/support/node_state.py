"""Runs on a node, standard library only: prints what a fault may touch there, as JSON of sections of sorted lines.

What changes by itself is left out: numbers of processes, times, counters, sessions of SSH.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

SESSION = re.compile(r"session-\w+\.scope|session-\w+|user@\d+|user-\d+\.slice|user-runtime-dir@|run-user-|user\.slice")
# Systemd keeps the file of a transient unit until it forgets the unit, which it does when it likes.
PASSING = re.compile(r"session-\w+\.scope|user-\d+\.slice|halab-(guardian|injector)-\w+-\d+\.service")
# Timers of the distribution start these whenever they like.
HOUSEKEEPING = re.compile(r"^(apt-|dpkg-|e2scrub|fstrim|logrotate|man-db|motd-|systemd-tmpfiles)")
# Sessions of SSH come and go with who asks; an executor is about to become a unit's process.
VISITORS = re.compile(
    r"(sshd(-session|-auth)?: |\S*sshd-(session|auth)|\(sd-pam\)|\S*systemd --user|\S*systemd-executor )"
)
LIMITS = re.compile(
    r"(cpu\.(cfs_quota_us|cfs_period_us|shares|max|weight)|cpuset\.cpus|io\.(max|weight)|blkio\.throttle\.\w+_device|"
    r"freezer\.state|cgroup\.freeze|memory\.(limit_in_bytes|memsw\.limit_in_bytes|soft_limit_in_bytes|max|high|swap\.max)|"
    r"pids\.max)\Z"
)
TREES = ("/srv/data", "/etc", "/usr/local", "/var/lib/halab", "/run/systemd/system", "/run/systemd/transient",
         "/run/systemd/system.control", "/run/faketime", "/dev/shm")  # fmt: skip
# The ledger keeps the end of faults and the programs that heal them: neither is a trace of a fault.
KEPT = re.compile(r"/var/lib/halab/(.*/)?\.(journal|agent-\w+\.pyz)\Z")


def output(*argv: str) -> list[str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return [line.rstrip() for line in done.stdout.splitlines() if line.strip()]


def ancestors() -> set[int]:
    """This process and whoever started it: the connection that asks."""
    found, pid = set(), os.getpid()
    while pid > 1:
        found.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def processes() -> Iterator[str]:
    mine = ancestors()
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) in mine:
            continue
        try:
            title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
            limits = hashlib.sha256((folder / "limits").read_bytes()).hexdigest()[:8]
            adjustment = (folder / "oom_score_adj").read_text().strip()
            environment = (folder / "environ").read_bytes().split(b"\0")
            groups = (folder / "cgroup").read_text().split()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if not title or VISITORS.match(title) or any(HOUSEKEEPING.match(group.rpartition("/")[2]) for group in groups):
            continue
        state = "stopped" if status["State"].strip()[0] in "Tt" else "runs"
        traced = " traced" if status["TracerPid"].strip() != "0" else ""
        preloads = " preloaded" if any(word.startswith(b"LD_PRELOAD=") for word in environment) else ""
        yield f"{title}: {state}{traced}{preloads}, limits {limits}, OOM adjustment {adjustment}"


def units() -> Iterator[str]:
    for line in output("systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", "--full"):
        name, load, active, sub, *_ = line.split()
        if SESSION.search(name) or HOUSEKEEPING.search(name) or name.endswith((".device", ".swap")):
            continue
        # Systemd forgets inactive units when it likes, even those whose files are gone, so only the others count.
        if active != "inactive":
            yield f"{name}: {load} {active} {sub}"


def mounts() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        _id, _parent, _device, root, point, options, *_ = left.split()
        kind, _source, settings = right.split()[:3]
        if not point.startswith("/run/user/"):
            # How a container's engine stacked the layers of its root is nobody's fault.
            yield f"{point}: {kind} of {root}, {options}, {settings.split(',')[0] if kind == 'overlay' else settings}"


def cgroups() -> Iterator[str]:
    for folder, folders, files in os.walk("/sys/fs/cgroup"):
        folders[:] = [name for name in folders if not SESSION.search(name)]
        for name in files:
            if LIMITS.match(name):
                try:
                    text = (Path(folder) / name).read_text().strip()
                except OSError:
                    continue
                # A group of a unit that is not there any more is nobody's limit; one without a limit says nothing.
                if text and "halab-" not in folder:
                    yield f"{folder}/{name}: {text}"


def tree(root: str) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = f"{folder}/{name}"
            if KEPT.match(path) or (root.startswith("/run/systemd") and PASSING.match(name)):
                continue
            try:
                entry = os.lstat(path)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(entry.st_mode):
                if root != "/var/lib/halab":  # the folder of the ledger stays once it was needed
                    yield f"{path}/: {stat.filemode(entry.st_mode)} {entry.st_uid}:{entry.st_gid}"
                continue
            yield f"{path}: {stat.filemode(entry.st_mode)} {entry.st_uid}:{entry.st_gid} {content(path, entry)}"


def content(path: str, entry: os.stat_result) -> str:
    if stat.S_ISLNK(entry.st_mode):
        return f"-> {Path(path).readlink()}"
    if not stat.S_ISREG(entry.st_mode):
        return "special"
    try:
        return f"{entry.st_size} bytes {hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]}"
    except OSError as error:
        return f"{entry.st_size} bytes, unreadable: {error.strerror}"


def network() -> Iterator[str]:
    devices = [line.split()[1].rstrip(":").split("@")[0] for line in output("ip", "-oneline", "link", "show")]
    for line in output("ip", "-brief", "address", "show"):
        # The other end of the cable, and the address derived from the card's, are new after every start.
        yield re.sub(r"@if\d+|\bfe80\S+", "", line).rstrip()
    yield from (f"route {line}" for line in output("ip", "-4", "route", "show", "table", "all"))
    yield from (f"rule {line}" for line in output("ip", "rule", "show"))
    for device in devices:
        for kind in ("qdisc", "class"):
            yield from (re.sub(r" refcnt \d+", "", line) for line in output("tc", kind, "show", "dev", device))
        for where in ([], ["ingress"], ["egress"]):
            found = output("tc", "filter", "show", "dev", device, *where)
            yield from (f"{device} {' '.join(where)} {line}".replace("  ", " ") for line in found)
    yield from output("sysctl", "-a", "-r", r"^net\.(core|ipv4\.(tcp|ip))_")


def main() -> None:
    print(json.dumps({  # noqa: T201 (its output is its purpose)
        # Stateless: counters move, and elements of timed sets grow older. The order of rules is theirs.
        "nftables": output("nft", "-s", "list", "ruleset"),
        "network": sorted(network()),
        "mounts": sorted(mounts()),
        "control groups": sorted(cgroups()),
        "units": sorted(units()),
        "processes": sorted(processes()),
        "files": sorted(line for root in TREES for line in tree(root)),
    }))  # fmt: skip


main()
