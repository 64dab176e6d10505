"""Hides where what we know of a lead lies: the evidence that notices and pages show in the same words, and
the copy of all that is held.
"""

from leadnurture.profile.evidence import Colleague, Evidence, FitReason, Reading, Reason, evidence
from leadnurture.profile.person import export_person

__all__ = ["Colleague", "Evidence", "FitReason", "Reading", "Reason", "evidence", "export_person"]
