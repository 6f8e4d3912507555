"""A run from its beginning, or from a checkpoint, to the end of its budget."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any, Protocol

from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm, share_of
from mario_agents.run import Checkpoint, CheckpointStore, RunDir
from mario_agents.runtime.build import open_hub
from mario_agents.runtime.heartbeat_monitor import HeartbeatMonitor
from mario_agents.runtime.initial import begin_by_imitation
from mario_agents.runtime.local import local_topology
from mario_agents.runtime.processes.supervisor import process_topology
from mario_agents.runtime.reporters import headline
from mario_agents.runtime.rewind import rewind
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.signals import StopRequest
from mario_agents.runtime.step_interval import StepInterval
from mario_agents.telemetry.event_hub import EventHub
from mario_agents.telemetry.progress import open_display
from mario_envkit.files import remove_unfinished

log = logging.getLogger(__name__)


class Topology(Protocol):
    """Where worker and coordinator of a run are: in this process, or in others.

    Attributes:
        heartbeat: counts what the workers do.
    """

    heartbeat: SharedHeartbeat

    @property
    def nodes(self) -> Mapping[str, str]:
        """Names of the machines that processes are on, by the names of the processes; empty if all
        are on this one."""

    @property
    def done(self) -> bool:
        """Whether all workers have made the steps of the run's budget."""

    def begin(self) -> None:
        """Training begins now; its beginning is saved before anything else."""

    def watch(self) -> None:
        """Do what is due by now; called before every :meth:`advance`."""

    def advance(self) -> None:
        """Let the run go on for a round, or for a moment."""

    def end(self, *, complete: bool) -> None:
        """End training, evaluate its last weights if it is ``complete``, and save."""


def train(
    algorithm: Algorithm[Any, Any], config: TrainConfig, run: RunDir, *, resume: bool
) -> None:
    """Train until a budget is used up.

    Args:
        algorithm: the algorithm.
        config: of ``algorithm.config_class``; the run directory holds the same.
        run: where everything is written.
        resume: whether to go on from the newest checkpoint.

    Raises:
        ConfigError: if workers of this algorithm cannot share what they are to.
        CheckpointError: if ``resume`` finds no checkpoint that is whole.
        RunError: if what must be there at the beginning, or the end, cannot be written; see
            :mod:`mario_agents.run.storage`.
        KeyboardInterrupt: after saving, if Ctrl-C, SIGTERM or SIGHUP asked to stop; at once, as
            long as nothing has begun.
    """
    share_of(algorithm, config)  # complains before anything is written
    checkpoint = _rewound(run, config) if resume else None
    with ExitStack() as opened:
        remove_unfinished(run.path)
        opened.callback(remove_unfinished, run.path)
        with _opening(run, resume=resume):
            if config.imitate is not None and not resume:
                begin_by_imitation(algorithm, config, run)
            host, open_topology = opened.enter_context(_engine(config))
            hub = opened.enter_context(open_hub(algorithm, config, run, checkpoint, host=host))
            topology = opened.enter_context(open_topology(algorithm, config, run, hub, checkpoint))
        with StopRequest() as stop:
            loop = Run(config, run, hub, topology)
            with loop.display:
                topology.begin()
                while not (topology.done or stop.requested or loop.out_of_time or loop.succeeded):
                    topology.watch()
                    loop.show()
                    topology.advance()
                topology.end(complete=not stop.requested)
                loop.end()
    if stop.requested:
        raise stop.exception()


OpenTopology = Callable[..., AbstractContextManager[Topology]]


@contextmanager
def _engine(config: TrainConfig) -> Iterator[tuple[str | None, OpenTopology]]:
    """What opens the topology of a run; and the address by which other machines reach this one, if
    its processes are there."""
    if config.engine == "ray":
        from mario_agents.runtime.ray.cluster import joined

        cpus = config.learner_cpus + config.workers * config.worker_cpus
        with joined(config.address, cpus=cpus, runtime_env=config.runtime_env) as cluster:
            from mario_agents.runtime.ray.supervisor import ray_topology

            yield cluster.host, partial(ray_topology, cluster=cluster)
    else:
        yield None, process_topology if config.workers else local_topology


@contextmanager
def _opening(run: RunDir, *, resume: bool) -> Iterator[None]:
    """Meanwhile a request to stop is obeyed at once: nothing has begun that could be half-made."""
    try:
        with StopRequest(at_once=True):
            yield
    except KeyboardInterrupt as stop:
        if resume:
            raise
        raise type(stop)(f"Nothing was trained; remove {run.path}, and start again.") from None


class Run:
    """What the main process of a run has, wherever the workers are: the budget of time, the rows of
    all processes together, and the display.

    Args:
        config: says how long, and how often.
        run: the directory.
        hub: knows the metrics of all processes.
        topology: of the run, opened and not begun.

    Attributes:
        display: a context, to be entered while the run goes on.
    """

    def __init__(self, config: TrainConfig, run: RunDir, hub: EventHub, topology: Topology) -> None:
        self._hub, self._heartbeat = hub, topology.heartbeat
        minutes = math.inf if config.max_minutes is None else config.max_minutes
        self._deadline = time.monotonic() + 60 * minutes
        self._enough = config.stop_at_success
        self._rows = StepInterval(config.log_interval, self._step)
        self._headline: dict[str, float] = {}
        self._monitor = HeartbeatMonitor(topology.heartbeat, topology.nodes)
        self.display = open_display(
            run.path, config.total_steps, initial_step=self._step, enabled=config.ui
        )

    @property
    def out_of_time(self) -> bool:
        """Whether ``max_minutes`` are over."""
        return time.monotonic() > self._deadline

    @property
    def succeeded(self) -> bool:
        """Whether the best weights, as far as this call has heard, are as good as
        ``stop_at_success``."""
        enough = self._enough
        return enough is not None and self._hub.coordinator.combined()["eval_best"] >= enough

    @property
    def _step(self) -> int:
        return self._heartbeat.total("steps")

    def show(self) -> None:
        """Show how far the run is, and write a row if one is due; call it often."""
        heartbeats = self._monitor.take()
        if heartbeats is not None:
            self._hub.announce(heartbeats)
        step = self._step
        # A worker that has ended, or is being replaced, measures nothing: what it last said stays.
        now = headline(self._hub)
        self._headline.update({label: x for label, x in now.items() if not math.isnan(x)})
        self.display.update(step, **{label: self._headline.get(label, math.nan) for label in now})
        if self._rows.due(step):
            self._hub.write(step)

    def end(self) -> None:
        """Write the last row; the display keeps its values."""
        self.display.update(self._step)
        self._hub.write(self._step)


def _rewound(run: RunDir, config: TrainConfig) -> Checkpoint:
    """The newest checkpoint; what the run wrote after it is cut."""
    checkpoint = CheckpointStore(run.checkpoint_path, keep=config.keep_checkpoints).load_latest()
    rewind(run, checkpoint.step)
    log.info("Going on from step %d; rows and evaluations after it were cut.", checkpoint.step)
    return checkpoint
