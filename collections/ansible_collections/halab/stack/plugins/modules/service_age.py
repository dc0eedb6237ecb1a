#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Services that run what was installed before."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_age
author: The halab authors
short_description: Find the services that run older programs than those installed
description:
  - Compares when the main process of a service was started with when dpkg unpacked the packages.
  - So a service that was not restarted after its packages were upgraded is found, also by a later run.
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
options:
  services:
    description: Names of the systemd services to look at.
    type: list
    elements: str
    required: true
  packages:
    description: Packages whose programs these services run.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Does etcd run the program that is installed?
  halab.stack.service_age:
    services: [etcd.service]
    packages: [etcd-server]
  register: etcd_age
"""

RETURN = r"""
outdated:
  description: Services that run and were started before one of the packages was unpacked.
  returned: always
  type: list
  elements: str
  sample: [etcd.service]
"""

from collections.abc import Iterable
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DPKG = Path("/var/lib/dpkg/info")


def unpacked_at(packages: Iterable[str], folder: Path = DPKG) -> float:
    """Return the second since the epoch at which the last of `packages` was unpacked, 0 when none is installed."""
    # dpkg replaces the list of a package's files whenever it unpacks the package, of the same version too.
    lists = [path for name in packages for path in (*folder.glob(f"{name}.list"), *folder.glob(f"{name}:*.list"))]
    return max((path.stat().st_mtime for path in lists), default=0.0)


def started_at(module: AnsibleModule, service: str) -> int:
    """Return the second since the epoch at which the main process of `service` was started, 0 when none runs."""
    command = ["systemctl", "show", "--timestamp=unix", "--property=ExecMainStartTimestamp,MainPID", service]
    _, out, _ = module.run_command(command)
    told = dict(line.partition("=")[::2] for line in out.splitlines())
    began = told.get("ExecMainStartTimestamp", "").removeprefix("@")
    return int(began) if began.isdecimal() and told.get("MainPID", "0") != "0" else 0


def main() -> None:
    """Run the module."""
    names = {"type": "list", "elements": "str", "required": True}
    module = AnsibleModule(argument_spec={"services": names, "packages": names}, supports_check_mode=True)
    unpacked = unpacked_at(name.partition("=")[0] for name in module.params["packages"])
    began = {service: started_at(module, service) for service in module.params["services"]}
    # systemd tells whole seconds only: what was started in the second of the unpacking is taken as new.
    module.exit_json(outdated=[service for service, second in began.items() if 0 < second < int(unpacked)])


if __name__ == "__main__":
    main()
