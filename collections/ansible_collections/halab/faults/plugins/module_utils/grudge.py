# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shapes of a split network: for each node the peers that it must not hear. Pure functions.

The shapes are those of Jepsen's nemesis (complete-grudge, split-one, bridge, majorities-ring), and a minority around
one node. A shape is symmetrical, so that who does not hear is not heard, unless its name says one-way.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

Grudge = dict[str, list[str]]

_EXACT_UP_TO = 5
_TRIES = 20


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a shape is drawn from: nodes with the one it turns around first, and how many are with that one."""

    nodes: tuple[str, ...]
    size: int | None
    draw: random.Random


def grudge(nodes: Sequence[str], kind: str, *, seed: int = 0, around: str = "", size: int | None = None) -> Grudge:
    """Who must not hear whom.

    `around` is the node that is alone, in the smaller part, or the bridge; drawn by `seed` when empty. `size` is the
    number of nodes in the minority, that node included. The same arguments give the same answer.
    Raises ValueError naming the argument, its value and the fix.
    """
    if kind not in SHAPES:
        raise ValueError(f"kind = {kind!r}: is no shape of a split. Give one of {', '.join(SHAPES)}.")
    shape, least = SHAPES[kind]
    names = sorted(nodes)
    if len(set(names)) != len(names):
        twice = next(name for name, next_name in itertools.pairwise(names) if name == next_name)
        raise ValueError(f"nodes = {names!r}: {twice} is there twice. Name every node once.")
    if len(names) < least:
        raise ValueError(f"nodes = {names!r}: {kind} needs {least} nodes at least. Give more, or another kind.")
    if around and around not in names:
        raise ValueError(f"around = {around!r}: is none of the nodes {', '.join(names)}. Give one of them.")
    if size is not None and kind != "minority":
        raise ValueError(f"size = {size}: only a minority has a size, and kind is {kind!r}. Leave it out.")
    draw = random.Random(seed)  # noqa: S311 (the same seed must split the same way)
    first = around or draw.choice(names)
    ordered = (first, *(name for name in names if name != first))
    found = shape(_Wish(ordered, size, draw))
    return {name: sorted(found[name]) for name in names}


def complete(parts: Sequence[Collection[str]]) -> Grudge:
    """Nobody hears anybody of another part."""
    everybody = [name for part in parts for name in part]
    return {name: [other for other in everybody if other not in part] for part in parts for name in part}


def _one(wish: _Wish) -> Grudge:
    return complete([wish.nodes[:1], wish.nodes[1:]])


def _halves(wish: _Wish) -> Grudge:
    middle = len(wish.nodes) // 2
    return complete([wish.nodes[:middle], wish.nodes[middle:]])


def _random_halves(wish: _Wish) -> Grudge:
    return _halves(_Wish(_shuffled(wish), wish.size, wish.draw))


def _minority(wish: _Wish) -> Grudge:
    most = (len(wish.nodes) - 1) // 2
    size = most if wish.size is None else wish.size
    if not 1 <= size <= most:
        raise ValueError(f"size = {size}: is no minority of {len(wish.nodes)} nodes. Give 1 to {most}.")
    ordered = _shuffled(wish)
    return complete([ordered[:size], ordered[size:]])


def _bridge(wish: _Wish) -> Grudge:
    """Two parts that only one node, which hears all, still connects."""
    bridge, *rest = wish.nodes
    middle = len(rest) // 2
    return {bridge: [], **complete([rest[:middle], rest[middle:]])}


def _majorities_ring(wish: _Wish) -> Grudge:
    """Every node hears a majority, itself included, and no two hear the same."""
    ordered = _shuffled(wish)
    if len(ordered) <= _EXACT_UP_TO:
        return _from_heard(_ring(ordered))
    for _try in range(_TRIES):
        heard = _thinned(ordered, wish.draw)
        if _all_differ(heard):
            return _from_heard(heard)
    return _from_heard(_ring(ordered))


def _ring(ordered: Sequence[str]) -> dict[str, set[str]]:
    """Each hears as many neighbours on either side as make a majority. Three nodes have no such ring but a line."""
    count = len(ordered)
    if count == 3:
        first, middle, last = ordered
        return {first: {first, middle}, middle: set(ordered), last: {middle, last}}
    reach = (count // 2 + 1) // 2
    return {
        name: {ordered[(place + step) % count] for step in range(-reach, reach + 1)}
        for place, name in enumerate(ordered)
    }


def _thinned(ordered: Sequence[str], draw: random.Random) -> dict[str, set[str]]:
    """Links taken away at random from a whole network, as long as both ends keep a majority."""
    majority = len(ordered) // 2 + 1
    heard = {name: set(ordered) for name in ordered}
    links = list(itertools.combinations(ordered, 2))
    draw.shuffle(links)
    for one, other in links:
        if len(heard[one]) > majority and len(heard[other]) > majority:
            heard[one].discard(other)
            heard[other].discard(one)
    return heard


def _all_differ(heard: Mapping[str, set[str]]) -> bool:
    return len({frozenset(names) for names in heard.values()}) == len(heard)


def _from_heard(heard: Mapping[str, set[str]]) -> Grudge:
    return {name: [other for other in heard if other not in heard[name]] for name in heard}


def _one_way_ring(wish: _Wish) -> Grudge:
    """Nobody hears the next in the ring, who hears it: between neighbours words go one way round only."""
    ordered = wish.nodes
    return {name: [ordered[(place + 1) % len(ordered)]] for place, name in enumerate(ordered)}


def _shuffled(wish: _Wish) -> tuple[str, ...]:
    """Everybody after the first in another order."""
    first, *rest = wish.nodes
    wish.draw.shuffle(rest)
    return (first, *rest)


# Each with the fewest nodes of which it can be made.
SHAPES: Mapping[str, tuple[Callable[[_Wish], Grudge], int]] = {
    "one": (_one, 2),
    "halves": (_halves, 2),
    "random_halves": (_random_halves, 2),
    "minority": (_minority, 3),
    "bridge": (_bridge, 3),
    "majorities_ring": (_majorities_ring, 3),
    "one_way_ring": (_one_way_ring, 3),
}
