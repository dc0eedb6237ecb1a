"""`python -m halab.recorder RUN_DIR`: reads RUN_DIR/run.json, writes RUN_DIR/history.jsonl."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from halab import inventory, scenario
from halab.errors import HalabError, InputError, Problem
from halab.history import Header, HistoryWriter, WriterError
from halab.recorder.commands import Inbox, Interruption, Outbox
from halab.recorder.recording import Recording, status_of

STATUS_EVERY_S = 1.0
EXIT_INTERRUPTED = 3


def main(arguments: list[str]) -> int:
    """0 when stopped by command, 1 when it could not start, 2 for wrong usage, 3 when interrupted."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m halab.recorder RUN_DIR\n")
        return 2
    run_dir = Path(arguments[0])
    outbox = Outbox(sys.stdout)
    inbox = Inbox(sys.stdin)
    inbox.open()
    try:
        run = _read_run(run_dir / "run.json")
        plan = scenario.parse(run["scenario"], name=run_dir.parent.name, source=str(run_dir / "run.json"))
        cluster = inventory.load(run["inventory"])
        writer = HistoryWriter(run_dir / "history.jsonl", _header(run, run_dir))
    except (HalabError, OSError) as error:
        outbox.send({"error": str(error)})
        return 1
    seed = int(run.get("settings", {}).get("seed") or 0)
    recording = Recording(cluster, plan, writer, inbox, seed=seed)
    recording.start()
    ended = threading.Event()
    status = threading.Thread(target=_report_status, args=(recording, outbox, ended), name="status", daemon=True)
    status.start()
    outbox.send({"ready": True, "cluster": cluster.name})
    try:
        return _serve(recording, inbox, outbox)
    finally:
        ended.set()
        status.join(STATUS_EVERY_S)
        _close(writer, outbox)


def _serve(recording: Recording, inbox: Inbox, outbox: Outbox) -> int:
    while True:
        try:
            message = inbox.next()
        except ValueError as error:
            outbox.send({"done": None, "ok": False, "error": str(error)})
            continue
        if isinstance(message, Interruption):
            recording.interrupt(message.reason)
            outbox.send({"error": f"interrupted: {message.reason}"})
            return EXIT_INTERRUPTED
        try:
            answer: dict[str, Any] = {"ok": True, **recording.carry_out(message)}
        except (HalabError, ValueError) as error:
            answer = {"ok": False, "error": str(error)}
        outbox.send({"done": message.name, **answer})
        if message.name == "stop":
            return 0


def _report_status(recording: Recording, outbox: Outbox, ended: threading.Event) -> None:
    before, then = recording.seen(), time.monotonic()
    while not ended.wait(STATUS_EVERY_S):
        seen, now = recording.seen(), time.monotonic()
        outbox.send(status_of(recording, before=before, now=seen, elapsed_s=now - then))
        before, then = seen, now


def _read_run(path: Path) -> dict[str, Any]:
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            str(path), [Problem("run.json", None, f"is not JSON: {error}", "Start the run anew.")]
        ) from None
    missing = [key for key in ("run", "scenario", "inventory") if key not in run]
    if missing:
        raise InputError(str(path), [Problem(key, None, "is missing", "Start the run anew.") for key in missing])
    return dict(run)


def _header(run: dict[str, Any], run_dir: Path) -> Header:
    return Header(
        t=time.monotonic_ns(),
        run=str(run.get("run") or run_dir),
        wall=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        host=socket.gethostname(),
    )


def _close(writer: HistoryWriter, outbox: Outbox) -> None:
    try:
        writer.close()
    except WriterError as error:
        outbox.send({"error": str(error)})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
