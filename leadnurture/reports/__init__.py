"""Hides how pages, commands and runs learn what is: read-only questions, each a frozen value."""

from leadnurture.reports.chart import ChartCounts, program_chart
from leadnurture.reports.content import ContentPage, ContentRow, content_page, contents
from leadnurture.reports.handoffs import HandoffList, HandoffRow, handoff, handoff_list
from leadnurture.reports.journeys import Journey, journey
from leadnurture.reports.lists import LeadRow, MailRow, leads, outbox
from leadnurture.reports.plain import as_json
from leadnurture.reports.programs import (
    ProgramChart,
    ProgramPage,
    ProgramRow,
    chart_of,
    program_page,
    programs,
)
from leadnurture.reports.replies import ReplyRow, render_replies, unsorted_replies
from leadnurture.reports.status import Status, duplicates, render_status, status
from leadnurture.reports.tasks import TaskList, TaskRow, open_tasks, render_tasks
from leadnurture.reports.terminal import render_journey
from leadnurture.reports.watchdog import asleep

__all__ = [
    "ChartCounts",
    "ContentPage",
    "ContentRow",
    "HandoffList",
    "HandoffRow",
    "Journey",
    "LeadRow",
    "MailRow",
    "ProgramChart",
    "ProgramPage",
    "ProgramRow",
    "ReplyRow",
    "Status",
    "TaskList",
    "TaskRow",
    "as_json",
    "asleep",
    "chart_of",
    "content_page",
    "contents",
    "duplicates",
    "handoff",
    "handoff_list",
    "journey",
    "leads",
    "open_tasks",
    "outbox",
    "program_chart",
    "program_page",
    "programs",
    "render_journey",
    "render_replies",
    "render_status",
    "render_tasks",
    "status",
    "unsorted_replies",
]
