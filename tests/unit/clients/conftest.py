"""Certificates for servers on loopback, and the programs of servers that a machine may not have."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from halab.inventory import Host, Tls


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A CA and one certificate for 127.0.0.1, good for servers and for clients.

    It has no common name: etcd's gateway refuses client certificates that could be mistaken for a user.
    """
    folder = tmp_path_factory.mktemp("tls")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", *curve, "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt")
    openssl("req", *curve, "-subj", "/", "-addext", "subjectAltName=IP:127.0.0.1", "-addext",
            "extendedKeyUsage=serverAuth,clientAuth", "-keyout", "node.key", "-out", "node.csr")  # fmt: skip
    openssl("x509", "-req", "-in", "node.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "2",
            "-copy_extensions", "copy", "-out", "node.crt")  # fmt: skip
    return Tls(folder / "ca.crt", folder / "node.crt", folder / "node.key")


@pytest.fixture
def loopback() -> Host:
    return Host("node1", "127.0.0.1", ("etcd", "patroni", "redis"), owned=False)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    def port() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return port


@pytest.fixture(scope="session")
def program() -> Callable[..., str]:
    """The path of a program, or a skip that names the package to install."""

    def find(name: str, *, package: str) -> str:
        path = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin") or shutil.which(name)
        if path is None:
            pytest.skip(f"{name} is not installed: apt-get install {package}")
        return path

    return find


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder
