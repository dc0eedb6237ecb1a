"""A setting in a file. Patroni's needs a cluster, see test_config.py."""

from tests.faults.cases import Case

FILE = "/etc/halab-case.conf"
CASES = [
    Case(
        name="config-file",
        module="config",
        parameters={
            "path": FILE,
            "regexp": "^retries 3$",
            "replace": "retries 0",
            "apply": ["touch", "-d", "2020-01-01", FILE + ".applied"],
            "check_command": ["grep", "-q", "retries 0", FILE],
        },
        acting=f"grep -qx 'retries 0' {FILE} && ! grep -q 'retries 3' {FILE}",
        prepare=f"printf 'timeout 5\\nretries 3\\n' > {FILE}; chown nobody:nogroup {FILE}; chmod 640 {FILE};"
        f" touch -d 2020-01-01 {FILE} {FILE}.applied",
        cleanup=f"rm -f {FILE} {FILE}.applied",
        outlives_boot=True,
    ),
]
