"""Shell text that makes units of systemd for a test to break, and takes them away again."""

from __future__ import annotations

ADMINISTRATOR = "/etc/systemd/system"
DISTRIBUTION = "/usr/lib/systemd/system"
_OF_UNIT = {"StartLimitIntervalSec", "StartLimitBurst", "Requires", "After", "PartOf"}


def made(name: str, command: str, *, folder: str = ADMINISTRATOR, **settings: str) -> str:
    """A service that runs `command` and is started. `settings` go to the section that knows them."""
    unit = [f"{key}={value}" for key, value in settings.items() if key in _OF_UNIT]
    service = [f"{key}={value}" for key, value in settings.items() if key not in _OF_UNIT]
    text = "\n".join(["[Unit]", *unit, "[Service]", f"ExecStart={command}", *service])
    return (
        f"mkdir -p {folder} && cat > {folder}/{name}.service <<'UNIT'\n{text}\nUNIT\n"
        f"systemctl daemon-reload && systemctl start {name}"
    )


def removed(*names: str, folder: str = ADMINISTRATOR) -> str:
    """None of these services, and nothing that systemd remembers of them."""
    units = " ".join(names)
    files = " ".join(f"{folder}/{name}.service" for name in names)
    return (
        f"systemctl stop {units}; rm -f {files}; systemctl daemon-reload; "
        f"systemctl reset-failed {units} 2>/dev/null || true"
    )
