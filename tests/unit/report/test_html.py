"""The page as a reader's browser gets it: what it must contain, must not contain, and how it admits what is missing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.unit.report import sample

from halab.checkers import Context, write_outage
from halab.history import read_history
from halab.report import html
from halab.verdict import Judgement

MOST_BYTES = 1_500_000
VOID = {"meta", "link", "br", "input", "path", "img", "hr"}


class Outline(HTMLParser):
    """Rows of the promise table, plain text, addresses and balance of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.classes: list[str] = []
        self.links: list[str] = []
        self.scripts = 0
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.classes.append(values.get("class") or "")
        self.links.extend(value for name in ("href", "src") if (value := values.get(name)))
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


def outline(run: Path) -> tuple[str, Outline]:
    text = html.render(run).read_text(encoding="utf-8")
    return text, Outline(text)


def row_of(text: str, name: str) -> str:
    found = re.search(rf'<tr class="(?:(?!</tr>).)*?<code>{name}</code>.*?</tr>', text, re.DOTALL)
    assert found, f"no row for {name}"
    return found.group()


def test_every_promise_has_a_row_with_its_verdict_and_witness(run: Path) -> None:
    text, page = outline(run)
    for promise in sample.PROMISES:
        row = row_of(text, promise["name"])
        assert f'class="{promise["verdict"].lower()}"' in row
        assert promise["verdict"] in row
        assert promise["title"] in page.text
        assert promise["witness"] in page.text


def test_what_the_cluster_was_without_is_said_to_be_untested(run: Path) -> None:
    path = run / "run.json"
    meta = json.loads(path.read_text())
    meta["cluster"]["untested"] = ["Citus"]
    path.write_text(json.dumps(meta))
    _, page = outline(run)
    assert "Citus was not tested: the cluster is without it." in page.text


def test_measured_and_promised_are_shown_with_units(run: Path) -> None:
    _, page = outline(run)
    for shown in ("17.24\u00a0s", "<\u00a030\u00a0s", "2\u00a0writes", "\u2264\u00a00", ">\u00a095\u00a0%"):
        assert shown in page.text


def test_an_invalid_run_is_marked_by_more_than_colour(run: Path) -> None:
    text, page = outline(run)
    assert '<header class="invalid">' in text
    assert "<title>\u2717 INVALID" in text
    assert "Broken: No acknowledged write is lost. Not proven: The fault is gone." in page.text


def test_a_run_is_never_better_than_its_worst_promise(run: Path) -> None:
    document = json.loads((run / "verdicts.json").read_text())
    (run / "verdicts.json").write_text(json.dumps(document | {"status": "VALID"}))
    text, page = outline(run)
    assert '<header class="invalid">' in text
    assert "verdicts.json says VALID" in page.text


def test_the_page_is_well_formed(run: Path) -> None:
    _, page = outline(run)
    assert page.unbalanced == []
    assert page.open == []


def test_nothing_comes_from_elsewhere(run: Path) -> None:
    text, page = outline(run)
    assert not re.findall(r"\b(?:https?|wss?|ftp)://|@import|url\(", text)
    assert all(re.match(r"(?:data:,|[\w./%-]+)$", link) and not link.startswith(("/", "//")) for link in page.links)
    assert "default-src 'none'" in text


def test_links_lead_to_files_of_the_folder(run: Path) -> None:
    (run / "logs" / "odd name#1.log").write_text("x\n")
    _, page = outline(run)
    assert "logs/odd%20name%231.log" in page.links
    assert {"run.json", "history.jsonl", "verdicts.json", "logs/pg1.log"} <= set(page.links)


def test_what_others_wrote_is_escaped_everywhere(run: Path) -> None:
    attack = "</script><script>alert('x')</script><img src=x onerror=alert(1)>"
    document = json.loads((run / "verdicts.json").read_text())
    document["promises"][0] |= {"witness": attack, "title": attack, "unit": attack, "details": {attack: [attack]}}
    (run / "verdicts.json").write_text(json.dumps(document))
    meta = json.loads((run / "run.json").read_text())
    meta |= {"command": attack, "inventory": attack, "versions": {attack: attack}}
    (run / "run.json").write_text(json.dumps(meta))
    with (run / "history.jsonl").open("a") as history:
        for record in (
            {"kind": "fault", "t": sample.at(20), "id": attack, "fault": attack, "target": attack, "event": "injected"},
            {"kind": "observe", "t": sample.at(3), "node": attack, "source": "sql", "ok": False, "error": attack},
            {"kind": "invoke", "t": sample.at(3), "op": 10**9, "endpoint": attack},
            {"kind": "final", "t": sample.at(80), "node": attack, "error": attack},
        ):
            history.write(json.dumps(record) + "\n")
    text, page = outline(run)
    assert page.scripts == 2, "the page's own data and code, nothing else"
    assert "<img" not in text
    assert page.unbalanced == []
    assert "<script>alert('x')</script> connection refused & closed" in page.text, "the log line of pg1 is readable"


def test_charts_and_lanes_are_drawn(run: Path) -> None:
    text, page = outline(run)
    for title in (
        "Writes per second",
        "Write latency",
        "Reads per second",
        "Read latency",
        "etcd leader",
        "Redis master",
    ):
        assert title in page.text
    assert text.count("data-lane>") == 5
    assert {"segment primary", "segment replica", "segment down", "segment unsettled", "segment leader"} <= set(
        page.classes
    )
    assert "primary \u00b7 TL\u00a02" in page.text
    assert 'class="band"' in text
    assert "power \u2192 pg1" in page.text


def test_final_states_that_differ_from_the_primary_are_marked(run: Path) -> None:
    _, page = outline(run)
    assert page.text.count("\u2713 equal") == 2
    assert page.text.count("\u2717 differs") == 1


def test_the_checker_and_the_page_agree_on_the_outage(run: Path) -> None:
    verdict = write_outage.check(read_history(run / "history.jsonl"), Context(nodes=sample.NODES, faults=1))
    judged = Judgement(run="primary-failure/x", promises=(verdict,)).as_dict()
    (run / "verdicts.json").write_text(json.dumps(judged))
    text, page = outline(run)
    parts = verdict.details["split"]
    assert all(parts.values()), "the sample's failover has three parts"
    for name, seconds in parts.items():
        assert f"{name} {seconds:.1f} s" in page.text
    assert re.search(r'class="bar".*?class="detected".*?class="promoted".*?class="routed"', text, re.DOTALL)


Damage = Callable[[Path], None]


def without(name: str) -> Damage:
    return lambda run: (run / name).unlink()


def without_logs(run: Path) -> None:
    shutil.rmtree(run / "logs")


def cut_history(run: Path) -> None:
    text = (run / "history.jsonl").read_text()
    (run / "history.jsonl").write_text(text[: len(text) // 4])


def no_load(run: Path) -> None:
    kept = [line for line in (run / "history.jsonl").read_text().splitlines(keepends=True) if '"observe"' in line]
    (run / "history.jsonl").write_text("".join(kept))


def garbage(run: Path) -> None:
    (run / "verdicts.json").write_text("[]")
    (run / "run.json").write_text("{")


def no_finals(run: Path) -> None:
    kept = [line for line in (run / "history.jsonl").read_text().splitlines(keepends=True) if '"final"' not in line]
    (run / "history.jsonl").write_text("".join(kept))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (without("verdicts.json"), "verdicts.json is missing: the run ended before it was judged."),
        (without("run.json"), "run.json is missing: the run\u2019s settings are unknown.".replace("\u2019", "'")),
        (without("history.jsonl"), "history.jsonl is missing: nothing was recorded"),
        (without_logs, "No logs were collected."),
        (cut_history, "1 line could not be understood"),
        (cut_history, "The history has no end of load."),
        (cut_history, "The history has no end: the recorder was stopped at"),
        (no_load, "The history has no start of load: no client ran"),
        (no_finals, "The final state of the nodes was not recorded."),
        (garbage, "verdicts.json holds no JSON object"),
        (garbage, "run.json cannot be read"),
    ],
)
def test_a_half_dead_run_gets_a_page_that_says_so(run: Path, damage: Damage, says: str) -> None:
    damage(run)
    _, page = outline(run)
    assert says in page.text
    assert page.unbalanced == []


@pytest.mark.parametrize("hosts", [5, "pg1", [5], [{"name": "a", "groups": 5}], [{"name": "\ud800", "groups": None}]])
def test_settings_of_a_wrong_shape_do_not_keep_the_page_away(run: Path, hosts: object) -> None:
    (run / "run.json").write_text(json.dumps({"ended": "x", "cluster": {"name": "lab", "hosts": hosts}}))
    assert outline(run)[1].unbalanced == []


def test_a_run_that_was_not_judged_is_unknown(run: Path) -> None:
    (run / "verdicts.json").unlink()
    text, page = outline(run)
    assert '<header class="unknown">' in text
    assert "Not proven: this run was never judged." in page.text


def test_an_empty_folder_gets_a_page(tmp_path: Path) -> None:
    text, page = outline(tmp_path)
    assert '<header class="unknown">' in text
    assert "Nothing was recorded that could be drawn." in page.text


def test_a_scenario_without_load_is_not_reported_as_damaged(run: Path) -> None:
    meta = json.loads((run / "run.json").read_text())
    del meta["scenario"]["workload"]
    (run / "run.json").write_text(json.dumps(meta))
    kept = [line for line in (run / "history.jsonl").read_text().splitlines(keepends=True) if "load-" not in line]
    (run / "history.jsonl").write_text("".join(line for line in kept if '"op"' not in line))
    _, page = outline(run)
    assert "This record is not whole" not in page.text


def test_a_missing_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such run folder"):
        html.render(tmp_path / "absent")


def test_a_failed_attempt_keeps_the_old_page(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = html.render(run).read_text()

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        html.render(run)
    assert (run / "report.html").read_text() == before
    assert not list(run.glob(".report-*"))


def test_rendering_twice_gives_the_same_page(run: Path) -> None:
    assert html.render(run).read_bytes() == html.render(run).read_bytes()


def test_long_runs_and_long_logs_stay_small(tmp_path: Path) -> None:
    shape = sample.Shape(length=200, writers=16, down=60, promoted=75, routed=76, power_back=120, streaming=130)
    run = sample.write_run(tmp_path / "primary-failure" / "x", shape)
    for number in range(20):
        (run / "logs" / f"node{number}.log").write_text(f"{sample.wall(150)} {'long ' * 200}\n" * 1000)
    text, page = outline(run)
    assert len(text.encode()) < MOST_BYTES
    assert page.unbalanced == []
