"""Moves sets of leads: records what they do, looks at who changed, runs waves, settles mails.

Hides every rule and all SQL of it.
"""

from leadnurture.domain.content import CompiledTemplate
from leadnurture.engine.answers import (
    Answered,
    Asking,
    Given,
    answer,
    asked_by_mail,
    asked_by_task,
    waits_for_task,
)
from leadnurture.engine.apply import Applied, apply_definitions
from leadnurture.engine.calendar import (
    later_by,
    local_day,
    next_opening,
    same_hour_next_working_day,
    window_close,
)
from leadnurture.engine.clicks import RawClick, keep_click, next_judging
from leadnurture.engine.current import current_definitions
from leadnurture.engine.handoffs import Decided, decide_handoff
from leadnurture.engine.identity import (
    CRM,
    EMAIL,
    FORMER,
    addresses_of,
    find_lead,
    lead_id_of,
    leads_by_key,
    lock_lead,
    numbers_of,
)
from leadnurture.engine.judging import Judged, judge, revise_click
from leadnurture.engine.leads import Imported, import_leads
from leadnurture.engine.look import Looked, look, next_look
from leadnurture.engine.merging import Merged, merge_leads, undo_merge
from leadnurture.engine.notes import CHANNELS, Channel, Feedback, add_note, feedback_answers, record_feedback
from leadnurture.engine.outcomes import MOST_ASKED, close_session, leads_matching, set_deal
from leadnurture.engine.preferences import (
    PACES,
    PAUSES,
    Choice,
    Preferences,
    about_unwanted,
    choose_preferences,
    preferences_of,
)
from leadnurture.engine.reactions import NewReaction, Recorded, record_in, record_reactions
from leadnurture.engine.replies import SORTINGS, NewReply, Sorted, Sorting, keep_reply, sort_reply
from leadnurture.engine.rescoring import Comparison, Crossing, Rescored, compare_agreements, rescore
from leadnurture.engine.sending import Settled, settle_by_hand, settle_messages
from leadnurture.engine.sql import among, few, lock_leads, merely, wake_leads
from leadnurture.engine.told_leads import LeadInput
from leadnurture.engine.vacancy import Obstacle, obstacle_of
from leadnurture.engine.wave import StepDone, WaveBegun, begin_wave, finish_wave, next_due, run_step

__all__ = [
    "CHANNELS",
    "CRM",
    "EMAIL",
    "FORMER",
    "MOST_ASKED",
    "PACES",
    "PAUSES",
    "SORTINGS",
    "Answered",
    "Applied",
    "Asking",
    "Channel",
    "Choice",
    "Comparison",
    "CompiledTemplate",
    "Crossing",
    "Decided",
    "Feedback",
    "Given",
    "Imported",
    "Judged",
    "LeadInput",
    "Looked",
    "Merged",
    "NewReaction",
    "NewReply",
    "Obstacle",
    "Preferences",
    "RawClick",
    "Recorded",
    "Rescored",
    "Settled",
    "Sorted",
    "Sorting",
    "StepDone",
    "WaveBegun",
    "about_unwanted",
    "add_note",
    "addresses_of",
    "among",
    "answer",
    "apply_definitions",
    "asked_by_mail",
    "asked_by_task",
    "begin_wave",
    "choose_preferences",
    "close_session",
    "compare_agreements",
    "current_definitions",
    "decide_handoff",
    "feedback_answers",
    "few",
    "find_lead",
    "finish_wave",
    "import_leads",
    "judge",
    "keep_click",
    "keep_reply",
    "later_by",
    "lead_id_of",
    "leads_by_key",
    "leads_matching",
    "local_day",
    "lock_lead",
    "lock_leads",
    "look",
    "merely",
    "merge_leads",
    "next_due",
    "next_judging",
    "next_look",
    "next_opening",
    "numbers_of",
    "obstacle_of",
    "preferences_of",
    "record_feedback",
    "record_in",
    "record_reactions",
    "rescore",
    "revise_click",
    "run_step",
    "same_hour_next_working_day",
    "set_deal",
    "settle_by_hand",
    "settle_messages",
    "sort_reply",
    "undo_merge",
    "waits_for_task",
    "wake_leads",
    "window_close",
]
