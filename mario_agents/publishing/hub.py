"""To and from a model hub that speaks the protocol of the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from mario_agents.run import RunDir
from mario_envkit.errors import BackendUnavailable, HubError, RunError

PATTERNS = ("config.json", "best.safetensors", "eval.json", "README.md", "videos/*.mp4")
"""All that an agent is; nothing else is sent or fetched, and none of it can run code."""


def push(folder: Path, repo: str, *, endpoint: str | None, private: bool) -> str:
    """Send an agent to a repository of a hub, which is made if it is not there.

    Args:
        folder: that ``mario-agents export`` made.
        repo: OWNER/NAME.
        endpoint: address of the hub; None is the Hugging Face Hub, or ``HF_ENDPOINT``.
        private: whether a new repository is one.

    Returns:
        Where it is to be seen.

    Raises:
        HubError: if the hub refuses, or cannot be reached.
        RunError: if ``folder`` is no agent.
    """
    RunDir.open(folder)
    with _asking(repo, endpoint) as api:
        api.create_repo(repo, exist_ok=True, private=private)
        api.upload_folder(
            repo_id=repo,
            folder_path=folder,
            allow_patterns=list(PATTERNS),
            commit_message="An agent of mario-envkit",
        )
        return f"{api.endpoint}/{repo}"


def pull(repo: str, folder: Path, *, endpoint: str | None, revision: str | None) -> RunDir:
    """Fetch an agent from a hub.

    Args:
        repo: OWNER/NAME.
        folder: new or empty.
        endpoint: see :func:`push`.
        revision: branch, tag or commit; None is the newest.

    Raises:
        HubError: if the hub refuses, or cannot be reached.
        RunError: if ``folder`` is not empty, or what came is no agent.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"The directory {folder} is not empty; choose another one with --out.")
    with _asking(repo, endpoint) as api:
        api.snapshot_download(
            repo, revision=revision, local_dir=folder, allow_patterns=list(PATTERNS)
        )
    return RunDir.open(folder)


@contextmanager
def _asking(repo: str, endpoint: str | None) -> Iterator[Any]:
    """The hub; what it answers becomes one sentence."""
    try:
        from huggingface_hub import HfApi

        errors: Any = import_module("huggingface_hub.errors")
    except ImportError as error:
        raise BackendUnavailable(
            "not installed: huggingface_hub; install it with: pip install 'mario-envkit[hub]'"
        ) from error
    api = HfApi(endpoint=endpoint)
    try:
        yield api
    except (errors.HTTPError, errors.HFValidationError, OSError) as error:
        said = " ".join(str(error).split())
        raise HubError(
            f"{repo} at {api.endpoint}: {said[:300]} (Who may write there is said by HF_TOKEN, or "
            "by 'hf auth login'.)"
        ) from error
