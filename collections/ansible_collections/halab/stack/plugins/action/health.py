# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Controller side of halab.stack.health: judges what the info modules saw. It reaches no host."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.halab.stack.plugins.module_utils import facts, health

OPTIONS = {
    "etcd": {"type": "dict"},
    "patroni": {"type": "dict"},
    "workers": {"type": "list", "elements": "dict", "default": []},
    "citus": {"type": "dict", "default": {}},
    "haproxy": {"type": "dict"},
    "redis": {"type": "dict"},
    "synchronous_mode": {"type": "str", "choices": ["off", "on", "strict", "quorum"], "default": "quorum"},
    "address": {"type": "str", "default": ""},
    "required": {"type": "bool", "default": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of halab.stack.health."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Judge; fail unless the task only asks."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(argument_spec=OPTIONS)
        patroni = _looked(options["patroni"])
        problems: list[str] = []
        if seen := _looked(options["etcd"]):
            problems += [*health.etcd_problems(seen), *facts.etcd_advice(seen)]
        if patroni:
            problems += [*health.patroni_problems(patroni, options["synchronous_mode"]), *facts.patroni_advice(patroni)]
        workers = {str(seen["item"]["group"]): seen for seen in options["workers"]}
        for group, seen in workers.items():
            found = health.patroni_problems(seen, options["synchronous_mode"])
            problems += [f"group {group}: {problem}" for problem in found]
        if patroni and workers:
            problems += health.citus_problems(options["citus"], {"0": patroni, **workers})
        if seen := _looked(options["haproxy"]):
            found = health.haproxy_problems(seen, patroni, options["address"], list(workers.values()))
            problems += [*found, *facts.haproxy_advice(seen)]
        if seen := _looked(options["redis"]):
            problems += [*health.redis_problems(seen), *facts.redis_advice(seen)]
        result.update(changed=False, healthy=not problems, problems=problems)
        if problems and options["required"]:
            if any("certificate expired" in problem or "certificate has expired" in problem for problem in problems):
                problems.append("certificates: one has expired; playbooks/provision.yml renews those that are due")
            result["failed"] = True
            result["msg"] = f"the cluster is not healthy, {len(problems)} problem(s):" + "".join(
                f"\n  {problem}" for problem in problems
            )
        return result


def _looked(seen: dict[str, Any] | None) -> dict[str, Any] | None:
    """What an info task registered, or nothing when its group is empty and the task was skipped."""
    return None if not seen or seen.get("skipped") else seen
