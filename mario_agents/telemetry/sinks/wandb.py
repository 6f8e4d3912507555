"""Rows of metrics at Weights & Biases (https://wandb.ai), or in a folder for it."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mario_agents.run.storage import Deferrable
from mario_envkit.errors import OptionError, RunError
from mario_envkit.files import replace_text

STEP = "step"
"""Name of the x axis: agent steps."""


def require_wandb() -> None:
    """Find out early whether wandb is installed.

    Raises:
        OptionError: if it is not.
    """
    try:
        found = find_spec("wandb") is not None
    except ValueError:  # imports of it are blocked
        found = False
    if not found:
        raise OptionError(
            "--wandb needs the package wandb: pip install 'mario-envkit[wandb]', or leave it out."
        )


class WandbSink:
    """One run at Weights & Biases for one run directory, resumed with it.

    What wandb's own environment variables say holds: with ``WANDB_MODE=offline`` everything stays
    in ``<run directory>/wandb`` until ``wandb sync``. A run that resumes from a checkpoint measures
    the steps since then again, and shows both values: unlike our own files, what was sent is not
    taken back.

    Args:
        project: name of the project.
        directory: the run directory; ``wandb-id`` in it says which run there is its own.
        config: options of the run, shown beside it.

    Raises:
        OptionError: if wandb is not installed.
        RunError: if wandb cannot begin, for instance without a login.
    """

    def __init__(self, project: str, directory: Path, config: Mapping[str, Any]) -> None:
        require_wandb()
        # Imported here: it costs a second, and few want it.
        import wandb

        id_file = directory / "wandb-id"
        self._state = Deferrable("What goes to Weights & Biases")
        try:
            if not id_file.exists():
                replace_text(id_file, secrets.token_hex(8) + "\n")
            self._run = wandb.init(
                project=project,
                dir=str(directory),
                id=id_file.read_text(encoding="utf-8").strip(),
                name=directory.name,
                config=dict(config),
                resume="allow",
                settings=wandb.Settings(console="off", silent=True),
            )
        except (wandb.Error, OSError) as error:
            raise RunError(
                f"Weights & Biases cannot begin: {' '.join(str(error).split())}; run 'wandb "
                "login', set WANDB_MODE=offline, or leave out --wandb."
            ) from error
        # Processes are at different steps, which wandb's own step, one for all, does not allow.
        self._run.define_metric(STEP, hidden=True)
        self._run.define_metric("*", step_metric=STEP)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Send the values that are numbers; wandb's own process does the sending."""
        numbers = {name: value for name, value in values.items() if not math.isnan(value)}
        self._log({STEP: step, **numbers})

    def write_video(self, step: int, name: str, video: Path, caption: str) -> None:
        """Send an MP4 file; wandb takes a copy of it."""
        import wandb

        media = wandb.Video(str(video), caption=caption, format="mp4")
        self._log({STEP: step, name: media})

    def _log(self, values: Mapping[str, Any]) -> None:
        """Send values; training goes on without those that cannot be sent."""
        import wandb

        try:
            self._run.log(dict(values))
        except OSError as error:
            self._state.failed(error)
        except wandb.Error as error:
            self._state.failed(RunError(f"Weights & Biases takes no more: {error}."))
        else:
            self._state.worked()

    def close(self) -> None:
        """Send the rest, and end; harmless when repeated."""
        self._run.finish()
