"""Events of a run: from every process to the main process, and from there to whoever watches."""

from mario_agents.parallel.events.address import EventDirectory, EventServer, read_server
from mario_agents.parallel.events.decoding import EventDecoder, Rejected
from mario_agents.parallel.events.messages import (
    COORDINATOR,
    MAIN,
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
    AnyEvent,
    DeathPositions,
    Envelope,
    LearnerStatus,
    Log,
    MemberPulse,
    Metrics,
    Pulses,
    WorkerStatus,
    new_token,
)
from mario_agents.parallel.events.observer import EventBroadcast, EventObserver
from mario_agents.parallel.events.publisher import EventLogHandler, EventPublisher, Publisher
from mario_agents.parallel.events.subscriber import EventSubscriber

__all__ = [
    "COORDINATOR",
    "MAIN",
    "MAX_MESSAGE_BYTES",
    "PROTOCOL_VERSION",
    "AnyEvent",
    "DeathPositions",
    "Envelope",
    "EventBroadcast",
    "EventDecoder",
    "EventDirectory",
    "EventLogHandler",
    "EventObserver",
    "EventPublisher",
    "EventServer",
    "EventSubscriber",
    "LearnerStatus",
    "Log",
    "MemberPulse",
    "Metrics",
    "Publisher",
    "Pulses",
    "Rejected",
    "WorkerStatus",
    "new_token",
    "read_server",
]
