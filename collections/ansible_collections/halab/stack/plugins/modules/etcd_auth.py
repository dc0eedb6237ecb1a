#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Authentication of an etcd cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_auth
author: The halab authors
short_description: Turn on the authentication of an etcd cluster and keep its users
version_added: 0.1.0
description:
  - Makes the user and role C(root), a user and a role of the same name for every entry of O(users),
    and turns authentication on.
  - A user may read and write the keys below its prefix and nothing else.
    A password that changed is changed in etcd too.
  - Users that are not in O(users) are left alone.
  - Waits for a quorum. Works with any member that answers, so it has to run only once for a cluster.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.tls_client
attributes:
  check_mode:
    support: full
    details: A cluster that does not answer counts as one without users.
  diff_mode:
    support: full
    details: Shows what is done, never a password.
  idempotent:
    support: full
options:
  endpoints:
    description: URLs of the members for clients.
    type: list
    elements: str
    required: true
  root_password:
    description: Password of C(root).
    type: str
    required: true
  users:
    description: Users of the cluster.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the user and of its role.
        type: str
        required: true
      password:
        description: Password of the user.
        type: str
        required: true
      prefix:
        description: Beginning of the keys that the user may read and write.
        type: str
        required: true
  within_s:
    description: Seconds to wait for a cluster that answers.
    type: float
    default: 60.0
notes:
  - etcd's JSON gateway cannot take a user from the common name of a client certificate,
    so every client of it logs in by password.
"""

EXAMPLES = r"""
- name: Give Patroni a user that sees only its own keys
  halab.stack.etcd_auth:
    endpoints: ["https://10.0.0.1:2379", "https://10.0.0.2:2379", "https://10.0.0.3:2379"]
    ca_file: /etc/etcd/tls/ca.crt
    cert_file: /etc/etcd/tls/node.crt
    key_file: /etc/etcd/tls/node.key
    root_password: "{{ etcd_root_password }}"
    users:
      - {name: patroni, password: "{{ patroni_etcd_password }}", prefix: /service/main/}
  run_once: true
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [add user root, turn authentication on]
"""

import base64
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.etcd import (
    REFUSED,
    EtcdError,
    EtcdUnavailableError,
    Member,
    eventually,
)
from ansible_collections.halab.stack.plugins.module_utils.http import Client, HttpError

ARGUMENTS = {
    "endpoints": {"type": "list", "elements": "str", "required": True},
    "root_password": {"type": "str", "required": True, "no_log": True},
    "users": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "prefix": {"type": "str", "required": True},
        },
    },
    "ca_file": {"type": "path", "required": True},
    "cert_file": {"type": "path", "required": True},
    "key_file": {"type": "path", "required": True, "no_log": False},
    "deadline_s": {"type": "float", "default": 3.0},
    "within_s": {"type": "float", "default": 60.0},
}


@dataclass(frozen=True, slots=True)
class User:
    """A user that shall be. `prefix` is None for root, whose role may do everything."""

    name: str
    password: str
    prefix: str | None


@dataclass(frozen=True, slots=True)
class Action:
    """A call that changes the cluster, and what it does in words."""

    words: str
    path: str
    body: Mapping[str, Any]


def key_range(prefix: str) -> dict[str, str]:
    """Return the range of the keys that begin with `prefix`: up to the prefix with its last byte raised by one."""
    start = prefix.encode()
    bare = start.rstrip(b"\xff")
    end = bare[:-1] + bytes([bare[-1] + 1]) if bare else b"\0"
    return {"key": base64.b64encode(start).decode(), "range_end": base64.b64encode(end).decode()}


class Planner:
    """Compares users that shall be with those that are."""

    def __init__(self, member: Member, *, enabled: bool) -> None:
        """Plan by asking `member`; `enabled` tells whether authentication is on."""
        self._member = member
        self._enabled = enabled
        self._users: list[str] = member.call("/v3/auth/user/list").get("users", [])
        self._roles: list[str] = member.call("/v3/auth/role/list").get("roles", [])

    def plan(self, user: User) -> Iterator[Action]:
        """Return what is missing for `user` to be. Raises EtcdError."""
        yield from self._role(user)
        credentials = {"name": user.name, "password": user.password}
        if user.name not in self._users:
            yield Action(f"add user {user.name}", "/v3/auth/user/add", credentials)
        elif not self._accepted(user):
            yield Action(f"set the password of user {user.name}", "/v3/auth/user/changepw", credentials)
        yield from self._grants(user)

    def _role(self, user: User) -> Iterator[Action]:
        present: list[Mapping[str, str]] = []
        if user.name not in self._roles:
            yield Action(f"add role {user.name}", "/v3/auth/role/add", {"name": user.name})
        else:
            present = self._member.call("/v3/auth/role/get", {"role": user.name}).get("perm", [])
        if user.prefix is None:
            return
        wanted = {"permType": "READWRITE", **key_range(user.prefix)}
        for other in (one for one in present if one != wanted):
            body = {"role": user.name, "key": other.get("key", ""), "range_end": other.get("range_end", "")}
            yield Action(f"revoke other keys from role {user.name}", "/v3/auth/role/revoke", body)
        if wanted not in present:
            body_granted = {"name": user.name, "perm": wanted}
            yield Action(f"grant {user.prefix} to role {user.name}", "/v3/auth/role/grant", body_granted)

    def _grants(self, user: User) -> Iterator[Action]:
        present: list[str] = []
        if user.name in self._users:
            present = self._member.call("/v3/auth/user/get", {"name": user.name}).get("roles", [])
        if user.name not in present:
            body = {"user": user.name, "role": user.name}
            yield Action(f"grant role {user.name} to user {user.name}", "/v3/auth/user/grant", body)
        for other in (one for one in present if one != user.name):
            revoked = {"name": user.name, "role": other}
            yield Action(f"revoke role {other} from user {user.name}", "/v3/auth/user/revoke", revoked)

    def _accepted(self, user: User) -> bool:
        # Without authentication no login can prove a password; with it, root has logged in already.
        if not self._enabled or user.prefix is None:
            return self._enabled
        try:
            self._member.login(user.name, user.password)
        except EtcdUnavailableError:
            raise
        except EtcdError as error:
            if REFUSED in str(error):
                return False
            raise
        return True


def plan(member: Member, users: Sequence[User], *, enabled: bool) -> list[Action]:
    """Return what is missing for `users` to be and authentication to be on. Raises EtcdError."""
    planner = Planner(member, enabled=enabled)
    actions = [action for user in users for action in planner.plan(user)]
    return actions if enabled else [*actions, Action("turn authentication on", "/v3/auth/enable", {})]


def run(params: Mapping[str, Any], *, check_mode: bool) -> list[str]:
    """Return what was done, with one member after another until one answers. Raises EtcdError and HttpError."""
    users = [User("root", params["root_password"], None)]
    users += [User(one["name"], one["password"], one["prefix"]) for one in params["users"]]
    done: list[str] = []
    client = Client.connectable(ca_file=params["ca_file"], cert_file=params["cert_file"], key_file=params["key_file"])
    urls = itertools.cycle(params["endpoints"])

    def once() -> None:
        member = Member(client, next(urls), params["deadline_s"])
        root = member.as_root(users[0].password)
        for action in plan(root or member, users, enabled=root is not None):
            if not check_mode:
                (root or member).call(action.path, action.body)
            done.append(action.words)

    eventually(once, within_s=params["deadline_s"] if check_mode else params["within_s"])
    return done


def refusal(users: Sequence[Mapping[str, str]]) -> str | None:
    """Return why `users` cannot be, None when they can."""
    for name, count in Counter(["root", *(user["name"] for user in users)]).items():
        if count > 1:
            return f"users: {name} is there {count} times (root is always there); every user needs a name of its own"
    for user in users:
        if not user["prefix"] or not user["password"]:
            return f"users: {user['name']} needs a prefix and a password that are not empty"
    return None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    refused = refusal(module.params["users"])
    if refused:
        module.fail_json(msg=refused)
    try:
        actions = run(module.params, check_mode=module.check_mode)
    except (EtcdUnavailableError, HttpError) as error:
        if not module.check_mode:
            module.fail_json(msg=f"no cluster answered within {module.params['within_s']:g} s; last: {error}")
        actions = ["turn authentication on"]
    except EtcdError as error:
        module.fail_json(msg=str(error))
    result: dict[str, Any] = {"changed": bool(actions), "actions": actions}
    if module._diff and actions:
        result["diff"] = {"before": "", "after": "".join(f"{action}\n" for action in actions)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
