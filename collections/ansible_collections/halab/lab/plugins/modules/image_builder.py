#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make a node image: a base system, a builder that takes roles over SSH, and a commit."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_builder
short_description: Start or commit the builder of a node image
version_added: 0.1.0
author: The halab authors
description:
  - With O(state=started) makes the base image unless it exists and starts a builder from it. The builder answers SSH on
    the loopback address of this host and shares its network, so that whatever reaches package archives here does there.
  - With O(state=committed) turns the builder into the image O(image) and removes it. O(state=absent) only removes it.
  - Nothing is done when O(image) exists already.
options:
  image:
    description: Tag of the image to make.
    type: str
    required: true
  base:
    description: Tag under which the base system is kept.
    type: str
    required: true
  from_registry:
    description: Image of a registry to take as the base instead of building one with mmdebstrap.
    type: str
    default: ""
  suite:
    description: Suite of Debian that mmdebstrap installs.
    type: str
    default: trixie
  mirror:
    description: Archive for mmdebstrap. Empty takes what the host's own configuration says.
    type: str
    default: ""
  packages:
    description: Packages of the base system.
    type: list
    elements: str
    default: []
  authorized_key_file:
    description: File of this host with the public key that may log in to the builder. Required when O(state=started).
    type: path
  engine:
    description: Container engine.
    type: str
    choices: [podman, docker]
    default: podman
  builder:
    description: Name of the builder to commit or remove, as returned when it was started.
    type: str
    default: ""
  state:
    description: What to do.
    type: str
    choices: [started, committed, absent]
    default: started
attributes:
  check_mode:
    description: Reports whether an image would be made.
    support: full
  diff_mode:
    description: There is no text to compare.
    support: none
  idempotent:
    description: An image that exists is left alone.
    support: full
"""

EXAMPLES = r"""
- name: Start a builder unless the image is there
  halab.lab.image_builder:
    image: localhost/halab/node:0123456789ab
    base: localhost/halab/base:ba9876543210
    packages: [systemd-sysv, openssh-server, python3]
    authorized_key_file: /home/dba/.local/state/halab/lab-1a2b3c/ssh/id_ed25519.pub
  register: builder

- name: Keep what the roles installed
  halab.lab.image_builder:
    image: localhost/halab/node:0123456789ab
    base: localhost/halab/base:ba9876543210
    builder: "{{ builder.builder }}"
    state: committed
"""

RETURN = r"""
needed:
  description: Whether the image has to be made, and the builder is running.
  returned: when O(state=started)
  type: bool
builder:
  description: Name of the builder.
  returned: when O(state=started) and needed
  type: str
port:
  description: SSH port of the builder on the loopback address.
  returned: when O(state=started) and needed
  type: int
host_key:
  description: Public SSH host key of the builder.
  returned: when O(state=started) and needed
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.lab.plugins.module_utils.builder import BaseSystem, Builder
from ansible_collections.halab.lab.plugins.module_utils.engine import Engine, EngineError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str", "required": True},
            "base": {"type": "str", "required": True},
            "from_registry": {"type": "str", "default": ""},
            "suite": {"type": "str", "default": "trixie"},
            "mirror": {"type": "str", "default": ""},
            "packages": {"type": "list", "elements": "str", "default": []},
            "authorized_key_file": {"type": "path", "no_log": False},
            "engine": {"type": "str", "choices": ["podman", "docker"], "default": "podman"},
            "builder": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["started", "committed", "absent"], "default": "started"},
        },
        required_if=[
            ("state", "committed", ("builder",)),
            ("state", "absent", ("builder",)),
            ("state", "started", ("authorized_key_file",)),
        ],
        supports_check_mode=True,
    )
    options = module.params
    try:
        engine = Engine(options["engine"])
        engine.alive()
        builder = Builder(engine, options["image"], name=options["builder"])
        if options["state"] == "absent":
            module.exit_json(changed=False if module.check_mode else builder.remove())
        exists = engine.image_exists(options["image"])
        if options["state"] == "committed":
            if not module.check_mode and not exists:
                builder.commit()
            module.exit_json(changed=not exists)
        if exists or module.check_mode:
            module.exit_json(changed=not exists, needed=False)
        base = BaseSystem(
            tag=options["base"],
            from_registry=options["from_registry"],
            suite=options["suite"],
            mirror=options["mirror"],
            packages=tuple(options["packages"]),
        )
        base.ensure(engine)
        port, host_key = builder.start(base.tag, Path(options["authorized_key_file"]).read_text("utf-8"))
        module.exit_json(changed=True, needed=True, builder=builder.name, port=port, host_key=host_key)
    except EngineError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
