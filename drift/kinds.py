"""The kinds of monitors."""

from drift.combine import CombinationMonitor
from drift.plan import Plan
from drift.route import Monitor, ShareMonitor
from drift.vectors.monitor import VectorMonitor


def monitor_of(plan: Plan) -> Monitor:
    """The monitor that a plan asks for."""
    if plan.clusters:
        return VectorMonitor(plan)
    if plan.combinations > 1:
        return CombinationMonitor(plan)
    return ShareMonitor(plan) if plan.statistic == "share" else Monitor(plan)
