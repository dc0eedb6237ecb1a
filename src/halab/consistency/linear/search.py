"""The search for an order: just-in-time linearization (Lowe 2017, section 4), depth first, with memoisation.

The search walks the returns in the order of time. A configuration is the next return, a state, and which of the calls
under way already happened. A call is made to happen when it has to, at its return, preceded by as many others under way
as its answer needs; no configuration is expanded twice (Wing and Gong's search with Lowe's cache). Exact reductions:

- A call that changes nothing happens as soon as the state allows it: at its return, or just before the state changes.
  So does what is eager.
- Of calls that are the same, the one that returns first happens first; unknown ones in the order of invocation.
- A configuration is not expanded if another with the same return, state and changes was, which owes a subset of its
  reads and spent a subset of its unknown calls: the other can do all that this one can.
- A state is not left while a later call needs a part of it that never comes back (`Frame.sole`).
- What is silent happens just before the next blind call.

The order of trying only decides how early an order is found: deepest first, where one unknown call less is worth some
returns, and before a blind call, values that are over and done with are passed through.

With c calls that overlap there are at most 2^c configurations a return and state; histories of correct systems take
little more than one. Unknown calls that stay open multiply them by as many subsets as do not contain each other.
"""

from __future__ import annotations

from functools import cached_property
from heapq import heappop, heappush
from time import monotonic
from typing import Final, TypeAlias

from halab.consistency.call import Call
from halab.consistency.linear.automaton import NO_STATE, UNKNOWN, Automaton
from halab.consistency.linear.model import Frame, State, Token
from halab.consistency.linear.spans import Spans
from halab.consistency.linear.timeline import EVEN, ODD, Timeline

_CLOCK: Final = 256
"""Configurations between two looks at the clock."""
_SWEPT, _LAST, _ENABLES, _OTHER = range(4)
"""Ranks of moves: what is tried first."""
_NOTHING: Final = (0,)

Path: TypeAlias = "tuple[Path, int, int] | None"
"""The path before, and what happened last: the calls from one number on, below another one, that had not happened yet.

Or one call, where the other number is -1."""
Move: TypeAlias = tuple[int, int, int, int, int, int, Path]
"""Unknown calls spent, rank, number of the call; then the configuration after it: return, state, bits, path."""


class Search:
    """Whether the calls of a timeline can be ordered. `run` goes on where it stopped.

    `path` is an order of all calls once there is one. Until then, and where there is none, it is the longest that was
    found: up to return `reached`, whose call fits nowhere after it, in `state`. Nothing is searched where the calls of
    `conflict` plainly have none.
    """

    def __init__(self, timeline: Timeline, frame: Frame, conflict: tuple[Call, ...] = ()) -> None:
        self.timeline, self.frame, self.conflict = timeline, frame, conflict
        self.configurations = 0
        self.reached = -1
        self.state: State = frame.initial
        self.path: Path = None
        self._automaton = Automaton(timeline, frame)
        width = max(timeline.bits, default=0).bit_length()
        self._even, self._odd = _repeat(EVEN, width), _repeat(ODD, width)
        self._spans = Spans.of(timeline, frame)
        self._seen: dict[tuple[int, int, int], tuple[int, ...]] = {}
        self._waiting: list[tuple[int, int, Move]] = []
        self._pushed = 0
        if not conflict:
            self._push((0, _LAST, 0, 0, self._automaton.initial, timeline.fresh[0], None))

    def run(self, *, configurations: int, deadline: float) -> bool | None:
        """Go on for about so many configurations, until `deadline` of the monotonic clock; None: not decided yet."""
        limit = self.configurations + configurations
        look = self.configurations
        move: Move | None = None
        while True:
            if move is None:
                if not self._waiting:
                    return False
                move = heappop(self._waiting)[2]
            if self.configurations >= look:
                if self.configurations >= limit or monotonic() > deadline:
                    self._push(move)
                    return None
                look += min(_CLOCK, configurations)
            self.configurations += 1
            move = self._follow(move)
            if self.reached == self.timeline.size:
                self._waiting.clear()
                return True

    def order(self) -> list[Call]:
        """The calls of `path`, the first one first."""
        ranges: list[tuple[int, int]] = []
        path = self.path
        while path is not None:
            path, first, past = path
            ranges.append((first, past))
        placed = set(self.timeline.free)
        order: list[Call] = []
        for first, past in reversed(ranges):
            numbers = (first,) if past < 0 else [number for number in range(first, past) if number not in placed]
            placed.update(numbers)
            order.extend(self.timeline.calls[number] for number in numbers)
        return order

    def _push(self, move: Move) -> None:
        self._pushed -= 1
        heappush(self._waiting, (self.frame.patience * move[0] - move[3], self._pushed, move))

    def _follow(self, move: Move) -> Move | None:
        """Walk on from a configuration to where there is something to choose; the best move from there, if any."""
        spent, _, _, i, s, m, path = move
        i, s, m, path, forks = self._walk(i, s, m, path)
        if i > self.reached:
            self.reached, self.state, self.path = i, self._automaton.states[s], path
        moves = self._fork(spent, i, s, m, path) if forks else []
        if not moves:
            return None
        moves.sort(reverse=True)
        best = moves.pop()
        for other in moves:
            self._push(other)
        if best[0] > spent:
            self._push(best)
            return None
        return best

    def _walk(self, i: int, s: int, m: int, path: Path) -> tuple[int, int, int, Path, bool]:
        """Over returns at which there is nothing to choose; last, whether there may be something to choose at `i`."""
        line, automaton = self.timeline, self._automaton
        size, bits, owed, classes, fresh, alone = line.size, line.bits, line.owed, line.classes, line.fresh, line.alone
        following, bars, width, eager = automaton.following.get, automaton.bars.get, automaton.width, self.frame.eager
        start = i
        while i < size:
            bit = bits[i]
            if (not m & bit) == owed[i]:
                m &= ~bit
            else:
                c = classes[i]
                edge = s * width + c
                t = following(edge, UNKNOWN)
                if t == UNKNOWN:
                    t = automaton.step(s, c)
                if not owed[i] or (t != s and not (eager and t != NO_STATE and eager(line.calls[i]))):
                    if not alone[i] or m & ~bit:
                        return i, s, m, (path, start, i), True
                    if t == NO_STATE or bars(edge, 0) > i:
                        return i, s, m, (path, start, i), False
                s = t
                m &= ~bit
            i += 1
            m |= fresh[i]
        return i, s, m, (path, start, i), False

    def _fork(self, spent: int, i: int, s: int, m: int, path: Path) -> list[Move]:
        """What can happen next at return `i`, whose call has not happened."""
        line, lazy, spans = self.timeline, self.frame.lazy, self._spans
        s, m, path = self._settle(i, s, m, path)
        if line.owed[i] and not m & line.bits[i]:
            return [(spent, _LAST, i, i, s, m, path)]
        if self._is_old((i, s, m & self._odd), m & self._even):
            return []
        moves: list[Move] = []
        bound = spans.bound(i, m) if spans else 0
        if not spans or spans.first[i] <= bound:
            self._add(moves, spent, i, i, s, m, path, last=True)
        if i in line.free:
            moves.append((spent, _LAST, -1, i + 1, s, m | line.fresh[i + 1], path))
        tried: set[int] = set()
        for number in line.movers[i]:
            if lazy and lazy(line.calls[number]):
                continue
            c = line.classes[number]
            if not m & line.bits[number] and c not in tried and (not spans or spans.first[number] <= bound):
                tried.add(c)
                self._add(moves, spent, number, i, s, m, path)
        for calls in line.optional.values():
            for since, until, bit, number in calls:
                if since > i:
                    break
                if i <= until and not m & bit:
                    self._add(moves, spent + 1, number, i, s, m, path)
                    break
        return moves

    def _is_old(self, key: tuple[int, int, int], cost: int) -> bool:
        """Whether a configuration that can do as much was expanded before; if not, this one is from now on."""
        known = self._seen.get(key)
        if known is None:
            self._seen[key] = (cost,) if cost else _NOTHING
            return False
        for other in known:
            if other & cost == other:
                return True
        self._seen[key] = (*(other for other in known if other & cost != cost), cost)
        return False

    def _add(
        self, moves: list[Move], spent: int, number: int, i: int, s: int, m: int, path: Path, *, last: bool = False
    ) -> None:
        """Add the move that lets call `number` happen in a configuration at return `i`, if it can; `last` before it."""
        line, automaton = self.timeline, self._automaton
        c, bit = line.classes[number], line.bits[number]
        t = automaton.after(s, c)
        if t == NO_STATE or automaton.bar(s, c) > i:
            return
        blind, before = self.frame.blind(line.examples[c]), m & ~bit
        if blind:
            m, path = self._hush(i, before, path)
        fresh = line.fresh[i + 1] if last else 0
        if last and blind and line.movers[i]:
            swept, through = self._sweep(i, s, m, path)
            if swept != m:
                moves.append((spent, _SWEPT, i, i + 1, t, swept | fresh, (through, i, -1)))
        if t == s and m & ~bit == before and (not bit or number >= line.size):
            return  # it need not happen, and nothing would be different
        if last:
            moves.append((spent, _LAST, i, i + 1, t, m & ~bit | fresh, (path, i, -1)))
        else:
            rank = _OTHER if automaton.after(t, line.classes[i]) == NO_STATE else _ENABLES
            moves.append((spent, rank, number, i, t, m | bit, (path, number, -1)))

    def _settle(self, i: int, s: int, m: int, path: Path) -> tuple[int, int, Path]:
        """Let happen what state `s` allows without a change, then what is eager, and so on."""
        line, after, eager = self.timeline, self._automaton.after, self.frame.eager
        again = True
        while again:
            again = False
            for number in line.finders[i]:
                bit = line.bits[number]
                if m & bit and after(s, line.classes[number]) == s:
                    m ^= bit
                    path = (path, number, -1)
            if eager is None:
                break
            for number in line.finders[i]:
                bit, t = line.bits[number], after(s, line.classes[number])
                if m & bit and t != NO_STATE and eager(line.calls[number]):
                    s, m, path, again = t, m ^ bit, (path, number, -1), True
                    break
        return s, m, path

    def _hush(self, i: int, m: int, path: Path) -> tuple[int, Path]:
        """Let happen what is silent, before a blind call."""
        line, silent = self.timeline, self.frame.silent
        if silent is None:
            return m, path
        for number in line.finders[i]:
            if m & line.bits[number] and silent(line.calls[number]):
                m ^= line.bits[number]
                path = (path, number, -1)
        return m, path

    def _sweep(self, i: int, s: int, m: int, path: Path) -> tuple[int, Path]:
        """Pass through the values under way that nobody will need after return `i`, before its blind call happens."""
        line, automaton = self.timeline, self._automaton
        last = line.classes[i]
        for number in line.movers[i]:
            bit, c = line.bits[number], line.classes[number]
            if m & bit or not self.frame.blind(line.examples[c]):
                continue
            t = automaton.after(s, c)
            automaton.after(t, last)
            if t != s and automaton.bar(s, c) <= i and automaton.bar(t, last) <= i and self._passing(t):
                s, m, path = self._settle(i, t, m | bit, (path, number, -1))
        return m, path

    def _passing(self, s: int) -> bool:
        """Whether only reads need what the state is, and it comes once."""
        return all(token in self.frame.sole and token not in self._wanted for token in self._automaton.tokens[s])

    @cached_property
    def _wanted(self) -> set[Token]:
        """What calls need that change the state."""
        line = self.timeline
        movers = {c for number, c in enumerate(line.classes) if not line.owed[number]}
        return {token for c in movers for token in self.frame.needs(line.examples[c])}


def _repeat(bit: int, width: int) -> int:
    mask = 0
    while bit.bit_length() <= width:
        mask |= bit
        bit <<= 2
    return mask
