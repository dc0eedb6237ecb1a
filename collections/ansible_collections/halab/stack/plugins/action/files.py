# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of halab.stack.files: read and render everything, then send it in one round trip."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

ENTRY: dict[str, dict[str, Any]] = {
    "path": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["file", "directory", "link", "absent"], "default": "file"},
    "template": {"type": "str"},
    "source": {"type": "path"},
    "content": {"type": "str"},
    "target": {"type": "str"},
    "block": {"type": "str"},
    "validate": {"type": "str"},
    "vars": {"type": "dict", "default": {}},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "str"},
    "secret": {"type": "bool", "default": False},
}

ARGUMENTS: dict[str, dict[str, Any]] = {
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": ENTRY,
        "mutually_exclusive": [("template", "source", "content")],
        "required_if": [("state", "file", ("template", "source", "content"), True), ("state", "link", ("target",))],
    },
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "str"},
    "directory_mode": {"type": "str", "default": "0755"},
    "pending": {"type": "str"},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of halab.stack.files."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Place the files of this task on the host and return what changed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        variables = task_vars or {}
        entries = [self._entry(entry, arguments, variables) for entry in arguments["files"]]
        payload = base64.b64encode(zlib.compress(json.dumps(entries).encode())).decode()
        try:
            sent = {"payload": payload, "pending": arguments["pending"]}
            placed = self._execute_module("halab.stack.files", sent, task_vars=variables)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        result.update(placed)
        return result

    def _entry(
        self, entry: Mapping[str, Any], defaults: Mapping[str, Any], variables: dict[str, Any]
    ) -> dict[str, Any]:
        state = entry["state"]
        sent = {key: entry[key] for key in ("path", "state", "target", "block", "validate", "secret")}
        for key in ("owner", "group"):
            sent[key] = entry[key] if entry[key] is not None else defaults[key]
        sent["mode"] = entry["mode"] or _default_mode(entry, defaults)
        content = self._content(entry, variables) if state == "file" else None
        sent["content"] = None if content is None else base64.b64encode(content).decode()
        return sent

    def _content(self, entry: Mapping[str, Any], variables: dict[str, Any]) -> bytes | None:
        if entry["content"] is not None:
            return str(entry["content"]).encode()
        if entry["template"] is not None:
            return self._render(entry, variables).encode()
        return self._read(entry["source"])

    def _read(self, source: str) -> bytes | None:
        """Return the bytes of a file of the controller, decrypted when it is vaulted.

        None in check mode when there is no such file: an earlier task that makes it was only pretended.
        """
        try:
            found = self._find_needle("files", source)
            with open(self._loader.get_real_file(found), "rb") as stream:
                return stream.read()
        except (AnsibleError, OSError) as error:
            if self._task.check_mode:
                return None
            raise AnsibleActionFail(f"source {source}: {error}") from error

    def _render(self, entry: Mapping[str, Any], variables: dict[str, Any]) -> str:
        found = self._find_needle("templates", entry["template"])
        folders = [*variables.get("ansible_search_path", []), self._loader.get_basedir(), os.path.dirname(found)]
        search = [path for folder in folders for path in (os.path.join(folder, "templates"), folder)]
        known = {"ansible_managed": "Ansible managed", **variables, **entry["vars"], "template_path": entry["template"]}
        templar = self._templar.copy_with_new_env(searchpath=search, available_variables=known)
        text = trust_as_template(self._loader.get_text_file_contents(found))
        rendered = templar.template(text, escape_backslashes=False, overrides={"trim_blocks": True})
        return "" if rendered is None else str(rendered)


def _default_mode(entry: Mapping[str, Any], defaults: Mapping[str, Any]) -> str | None:
    if entry["state"] == "directory":
        return str(defaults["directory_mode"])
    if entry["secret"]:
        return "0600"
    if defaults["mode"] is not None:
        return str(defaults["mode"])
    return None if entry["block"] else "0644"
