"""Hides where what we know of a lead lies: the evidence that notices and pages show, in the same words."""

from leadnurture.profile.evidence import Colleague, Evidence, FitReason, Reading, Reason, evidence

__all__ = ["Colleague", "Evidence", "FitReason", "Reading", "Reason", "evidence"]
