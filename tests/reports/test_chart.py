import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page

from leadnurture.domain.program import Program, Step
from leadnurture.domain.timing import Anchored, Duration, FactAnchor
from leadnurture.engine.steps import build_statements
from leadnurture.reports import ChartCounts, program_chart
from leadnurture.reports.ways import does, rules_of
from tests.profile.rows import ROOT, sample_company

MERMAID = ROOT / "leadnurture" / "web" / "static" / "vendor" / "mermaid.min.js"
PROGRAMS = sample_company().programs
SERIES = sample_company().program("scaling-series")
COUNTS = ChartCounts(
    here={"invite": 1318, "letter": 336, "old-step": 3},
    moved={
        ("invite", "on registered"): 231,
        ("invite", "time is up"): 402,
        ("seat", "on replied (program)"): 40,
        ("letter", "on replied (program)"): 7,
    },
    entered=212,
    trouble={"letter"},
)

BOX = re.compile(r'(\w+)(?:\(\["(.*)"\]\)|\[\["(.*)"\]\]|\["(.*)"\]|\{"(.*)"\})')
LINE = re.compile(r'(\w+) (?:-->|-\.->)(?:\|"(.*)"\|)? (\w+)')
WORDS_OF_MERMAID = {
    "end",
    "call",
    "class",
    "click",
    "default",
    "graph",
    "style",
    "subgraph",
    "linkStyle",
    "href",
}


def problems_of(chart: str) -> list[str]:
    """What Mermaid would stumble over: our own small reading of its grammar."""
    first, *rest = chart.splitlines()
    found = [] if first == "flowchart TD" else [first]
    boxes: set[str] = set()
    lines = 0
    for text in map(str.strip, rest):
        if box := BOX.fullmatch(text):
            boxes.add(box[1])
            found += _wrong_label(next(label for label in box.groups()[1:] if label is not None))
        elif line := LINE.fullmatch(text):
            found += [end for end in (line[1], line[3]) if end not in boxes] + _wrong_label(line[2] or "")
            lines += 1
        elif named := re.fullmatch(r"class ([\w,]+) (outer|trouble)", text):
            found += [each for each in named[1].split(",") if each not in boxes]
        elif style := re.fullmatch(r"linkStyle (\d+) stroke-width:\d\.\dpx", text):
            found += [text] if int(style[1]) >= lines else []
        else:
            found.append(text)
    return found + [each for each in boxes if each in WORDS_OF_MERMAID]


def _wrong_label(label: str) -> list[str]:
    bare = re.sub(r"</?(b|small)>|<br/>|&lt;|&gt;|&amp;|#quot;|#35;|#96;", "", label)
    return [label] if set(bare) & set('"<>&#`|') else []


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
@pytest.mark.parametrize("counts", [None, COUNTS], ids=["bare", "counted"])
def test_every_program_is_drawn_as_mermaid_reads_it(program: Program, counts: ChartCounts | None) -> None:
    assert problems_of(program_chart(program, counts)) == []


def test_mermaid_itself_accepts_every_chart(page: Page) -> None:
    page.goto("about:blank")
    page.add_script_tag(path=MERMAID)
    charts = [program_chart(program, counts) for program in PROGRAMS for counts in (None, COUNTS)]
    parse = "async charts => { for (const chart of charts) await mermaid.parse(chart); return charts.length }"
    assert page.evaluate(parse, charts) == len(charts)


def test_the_small_reading_finds_what_mermaid_refuses() -> None:
    assert problems_of('flowchart TD\n  end["a"]') == ["end"]
    assert problems_of('flowchart TD\n  s_a["say "no""]') == ['say "no"']
    assert problems_of('flowchart TD\n  s_a["a"]\n  s_a --> s_b') == ["s_b"]


@pytest.mark.parametrize(
    ("amount", "says"), [(0, "waits until budget_on"), (45, "waits until 45 days before budget_on")]
)
def test_a_wait_for_the_very_day_names_the_day_alone(amount: int, says: str) -> None:
    after = Anchored(Duration(amount, "days"), "before", FactAnchor("budget_on"))
    assert does(Step("wait", after=after)) == says


def test_the_count_stands_in_the_box_and_what_moved_on_the_line() -> None:
    chart = program_chart(SERIES, COUNTS)
    assert 's_invite["invite <b>1,318</b><br/><small>next webinar about scaling</small>"]' in chart
    assert 's_invite -->|"registered <b>231</b>"| s_seat' in chart
    assert 's_invite -->|"time is up <b>402</b>"| s_last_call' in chart
    assert 'o_enter -->|"<b>212</b>"| s_invite' in chart


def test_what_the_program_says_for_every_step_is_drawn_once() -> None:
    chart = program_chart(SERIES, COUNTS)
    assert 'o_every -.->|"replied,<br/>visited(#quot;/pricing*#quot;) <b>47</b>"| s_call' in chart
    assert chart.count("replied") == 1


def test_shapes_tell_handoffs_branches_and_the_outside() -> None:
    chart = program_chart(SERIES)
    assert 's_call[["call<br/><small>handoff to sales</small>"]]' in chart
    assert 's_again{"again<br/><small>visit &lt; 3</small>"}' in chart
    assert 'p_quarterly_digest(["quarterly-digest"])' in chart
    assert "class o_enter,s_call,o_every,p_quarterly_digest outer" in chart


def test_without_counts_there_is_no_number() -> None:
    chart = program_chart(SERIES)
    assert "<b>" not in chart
    assert "linkStyle" not in chart


def test_a_step_in_trouble_and_a_step_of_an_earlier_version_are_seen() -> None:
    chart = program_chart(SERIES, COUNTS)
    assert "▲ letter" in chart
    assert "class s_letter trouble" in chart
    assert 's_old_step["old-step <b>3</b><br/><small>of an earlier version</small>"]' in chart


def test_trouble_at_a_step_that_is_gone_draws_no_line_to_nowhere() -> None:
    assert problems_of(program_chart(SERIES, replace(COUNTS, trouble={"gone"}))) == []


def test_the_more_moved_the_thicker_the_line() -> None:
    widths = re.findall(r"linkStyle (\d+) stroke-width:(.*)px", program_chart(SERIES, COUNTS))
    by_line = {int(index): float(width) for index, width in widths}
    assert by_line[3] == 4.0
    assert by_line[1] == 3.5
    assert by_line[4] == 1.0


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_the_ways_bear_the_words_that_history_keeps(program: Program) -> None:
    for step in program.steps:
        kept = {way.rule for way in build_statements(sample_company(), 1, program, step).ways}
        drawn = {rule for rule, go in rules_of(program, step) if go.step != step.name}
        drawn |= {f"on {arm.text} (program)" for arm in program.on if arm.go.step != step.name}
        assert {rule for rule in kept if step.handoff is None or rule.startswith("on ")} == drawn, Path(
            program.file
        )
