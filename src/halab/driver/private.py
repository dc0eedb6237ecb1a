"""What a playbook runs in: a small environment, a private folder, and processes that end when they must."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PRIVATE_PREFIX = "halab-play-"
PASSED_ON = (
    "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "SSH_AUTH_SOCK", "PYTHONPATH", "VIRTUAL_ENV",
    "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
PASSED_ON_PREFIXES = ("ANSIBLE_", "HALAB_", "LC_", "XDG_", "DOCKER_", "CONTAINER")


def environment(root: Path) -> dict[str, str]:
    """What Ansible gets to see of our environment: no secret of somebody else's, this interpreter's folder first."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES) or name.lower() in PASSED_ON
    }
    folder = Path(sys.executable).parent
    return kept | {
        "PATH": os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)]),
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8"),
    }


def ending_with_us() -> list[str]:
    """A prefix that makes Linux end the command when our thread does, however we end; Ansible then ends its workers."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def end_workers(private: Path) -> None:
    """Ansible's workers lead sessions of their own, so killing Ansible leaves them; the folder's name tells them."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(private).encode() in path.read_bytes():
                os.kill(int(path.parent.name), signal.SIGTERM)
        except OSError:
            continue


def remove_abandoned() -> None:
    """Private folders of drivers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PRIVATE_PREFIX}*-*"):
        pid = folder.name.removeprefix(PRIVATE_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)


def is_runners(name: str) -> bool:
    """What ansible_runner needs for its events. Its other settings would override ours, such as host key checking."""
    return name.startswith(("AWX_", "RUNNER_")) or name in ("ANSIBLE_CALLBACK_PLUGINS", "ANSIBLE_STDOUT_CALLBACK")


def in_file(path: Path, document: Mapping[str, Any]) -> str:
    """Extra variables go by a file of the private folder: a command line is seen by every user of the machine."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(dict(document), file)
    return str(path)
