"""What the roles know of a host, read from the files a host has."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.halab.stack.plugins.modules.node_info import Packages, dpkg, memory_bytes, os_release

STATUS = """\
Package: bash
Essential: yes
Status: install ok installed
Architecture: amd64
Version: 5.2

Package: etcd-server
Status: deinstall ok config-files
Architecture: amd64

Package: patroni
Status: install ok half-configured
Architecture: all

Package: haproxy
Status: hold ok installed
Architecture: amd64

Package: redis-server
Status: hold ok config-files
Architecture: amd64

Package: dpkg
Status: install ok installed
Architecture: arm64
Description: Debian package management system
 Status: install ok installed is what this file says of packages that are installed.
"""


def test_only_packages_that_are_installed_count() -> None:
    assert dpkg(STATUS) == Packages(installed=["bash", "haproxy", "dpkg"], held=["haproxy"], architecture="arm64")


def test_a_host_without_dpkg_has_no_packages() -> None:
    found = dpkg("")
    assert found.installed == found.held == []
    assert found.architecture


def test_os_release_of_debian_and_ubuntu() -> None:
    debian = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'
    ubuntu = "ID=ubuntu\nID_LIKE=debian\nVERSION_ID='24.04'\nVERSION_CODENAME=noble\n# comment\n"
    assert os_release(debian) == {"id": "debian", "version_id": "13", "codename": "trixie"}
    assert os_release(ubuntu) == {"id": "ubuntu", "version_id": "24.04", "codename": "noble"}
    assert os_release("ID=arch\n") == {"id": "arch", "version_id": "", "codename": ""}


def test_a_limit_of_the_control_group_bounds_memory(tmp_path: Path) -> None:
    for path, text in {
        "proc/meminfo": "MemTotal:        4096000 kB\nMemFree: 1 kB\n",
        "sys/fs/cgroup/memory.max": "max\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text, "utf-8")
    assert memory_bytes(tmp_path) == 4096000 * 1024
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("1073741824\n", "utf-8")
    assert memory_bytes(tmp_path) == 1073741824
