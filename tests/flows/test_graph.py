"""Which step is drawn behind which; the input is the program itself."""

from flows.nurture import forward_edges
from leadnurture.domain.condition import Condition, Reacted
from leadnurture.domain.program import Arm, Go, Handoff, Program, Send, Step


def arm(text: str, step: str) -> Arm:
    return Arm(text, Condition(text, Reacted("clicked")), Go(step=step))


SERIES = Program(
    name="series",
    track="prospects",
    title="Series",
    owner="dana",
    on=(arm("replied", "call"),),
    steps=(
        Step("invite", send=Send("webinar"), on=(arm("registered", "seat"),), otherwise=Go(step="letter")),
        Step("again", then=(arm("visit < 3", "invite"), Arm("", None, Go(step="letter")))),
        Step("seat"),
        Step("letter", send=Send("letter"), then=(Arm("", None, Go(program="digest")),)),
        Step("call", handoff=Handoff("Answered")),
    ),
)


def edges(program: Program, *more: str) -> dict[str, list[str]]:
    return forward_edges(program, [*(step.name for step in program.steps), *more])


def test_steps_hang_on_what_leads_to_them_and_loops_go_forwards_only() -> None:
    assert edges(SERIES) == {
        "invite": [],
        "again": ["invite"],
        "seat": ["invite"],
        "letter": ["invite", "again", "seat"],
        "call": ["invite"],
    }


def test_a_step_of_a_kept_version_stands_alone() -> None:
    assert edges(SERIES, "old-letter")["old-letter"] == []
