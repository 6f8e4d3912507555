"""Events of a run: sent by every process to the main process, which rebroadcasts them."""

from mario_agents.telemetry.events.address import EventDirectory, EventServer, read_server
from mario_agents.telemetry.events.decoding import EventDecoder, Rejected
from mario_agents.telemetry.events.messages import (
    COORDINATOR,
    MAIN,
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
    AnyEvent,
    DeathPositions,
    Envelope,
    Heartbeats,
    LearnerStatus,
    LevelOutcomes,
    Log,
    Metrics,
    ProcessHeartbeat,
    WorkerStatus,
    new_token,
)
from mario_agents.telemetry.events.observer import EventBroadcast, EventObserver
from mario_agents.telemetry.events.publisher import EventLogHandler, EventPublisher, Publisher
from mario_agents.telemetry.events.subscriber import EventSubscriber

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
    "Heartbeats",
    "LearnerStatus",
    "LevelOutcomes",
    "Log",
    "Metrics",
    "ProcessHeartbeat",
    "Publisher",
    "Rejected",
    "WorkerStatus",
    "new_token",
    "read_server",
]
