"""The way from nothing to a healthy cluster, step by step."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from halab.bench.plays import BenchError, Play, play
from halab.bench.stopwatch import stopwatch


@dataclass(frozen=True, slots=True)
class Stage:
    """One measured step of one inventory."""

    inventory: str
    name: str
    play: Play


def provisioning(root: Path, inventory: Path, *, cold: bool) -> Iterator[Stage]:
    """Destroy, create, provision, provision again; with `cold` the image is built anew.

    Raises BenchError when a step fails or a second run changes something: its figure would mean nothing.
    """
    name = inventory.name
    play(root, inventory, "destroy")
    if cold:
        _forget_images(root, inventory)
        yield Stage(name, "create, image built", play(root, inventory, "create"))
        play(root, inventory, "destroy")
    yield Stage(name, "create, image cached", play(root, inventory, "create"))
    yield Stage(name, "provision", play(root, inventory, "provision"))
    again = play(root, inventory, "provision")
    if again.changed:
        raise BenchError(f"{name}: a second provision changed something:\n" + "\n".join(again.changed))
    yield Stage(name, "provision again", again)
    yield Stage(name, "create again", play(root, inventory, "create"))
    yield Stage(name, "verify", play(root, inventory, "verify"))


def drill(root: Path, inventory: Path) -> Stage:
    """The whole drill primary-failure. Raises BenchError unless every promise is kept."""
    command = [sys.executable, "-m", "halab", "chaos", "primary-failure", "-i", str(inventory)]
    with stopwatch() as timing:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    return Stage(inventory.name, "drill primary-failure", Play(timing=timing, tasks={}, changed=()))


def _forget_images(root: Path, inventory: Path) -> None:
    """Remove our own node images, so that the next create builds one. Images in use by another lab stay."""
    listing = subprocess.run(
        ["ansible-inventory", "-i", str(inventory), "--list"], cwd=root, capture_output=True, text=True, check=True
    )
    found = re.search(r'"lab_engine": "(\w+)"', listing.stdout)
    if not found:
        raise BenchError(f"{inventory}: halab does not own its machines, so there is no image to build")
    engine = found[1]
    tags = subprocess.run(
        [engine, "images", "--format", "{{.Repository}}:{{.Tag}}"], capture_output=True, text=True, check=True
    ).stdout.split()
    ours = [tag for tag in tags if tag.startswith("localhost/halab/")]
    for tag in sorted(ours, reverse=True):
        subprocess.run([engine, "rmi", tag], capture_output=True, check=False)
