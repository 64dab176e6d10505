"""Hides how leads reach sales: who gets one, until when an answer is owed, and the mails that say so.

Everything is decided in rows first (`assign_handoffs`, `watch_sla`) and told afterwards (`send_notices`).
"""

from leadnurture.sales.assignment import assign_handoffs
from leadnurture.sales.notices import NoticeLinks, NoticeMail, Sent, next_notice, send_notices
from leadnurture.sales.sla import count_owed, next_sla, watch_sla
from leadnurture.sales.tasks import assign_tasks
from leadnurture.sales.templates import notice_problems

__all__ = [
    "NoticeLinks",
    "NoticeMail",
    "Sent",
    "assign_handoffs",
    "assign_tasks",
    "count_owed",
    "next_notice",
    "next_sla",
    "notice_problems",
    "send_notices",
    "watch_sla",
]
