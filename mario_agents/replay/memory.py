"""How much memory there is for experience."""

from __future__ import annotations

from pathlib import Path

from mario_envkit.errors import ConfigError

GROUPS = Path("/sys/fs/cgroup")
PROC = Path("/proc")


def available_memory(proc: Path = PROC, groups: Path = GROUPS) -> int | None:
    """Bytes that processes can still take before others have to give something up: of this machine,
    or of the container (control group) that this process is in, whichever are less.

    Args:
        proc, groups: where Linux says so.

    Returns:
        None where it is not known, as on other systems.
    """
    found = []
    try:
        for line in (proc / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
        memberships = (proc / "self" / "cgroup").read_text().splitlines()
    except (OSError, ValueError):
        memberships = []
    for line in memberships:
        number, controllers, path = line.split(":", 2)
        if number == "0":  # version 2: one tree for everything
            top, limit, usage, cache = groups, "memory.max", "memory.current", "inactive_file"
        elif controllers == "memory":
            top, limit = groups / "memory", "memory.limit_in_bytes"
            usage, cache = "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        # A container may see itself as the top, whatever its path outside is; every group above
        # has a limit, too.
        group = top / path.lstrip("/")
        for each in {top, *(parent for parent in (group, *group.parents) if top in parent.parents)}:
            free = _free(each, limit, usage, cache)
            if free is not None:
                found.append(free)
    return max(min(found), 0) if found else None


def _free(group: Path, limit: str, usage: str, cache: str) -> int | None:
    """What a control group may still take; files that were read are dropped before it is full."""
    try:
        most, used = int((group / limit).read_text()), int((group / usage).read_text())
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None  # no such group, or no limit
    return most - used + int(statistics.get(cache, 0))


def gigabytes(size: float) -> str:
    """``7.55 GB``, or megabytes where it is less than one."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def check_memory(size: int) -> str:
    """What experience that grows to ``size`` bytes means for this machine, as a sentence.

    Raises:
        ConfigError: if it does not fit.
    """
    free = available_memory()
    need = f"Replay buffers grow to {gigabytes(size)} of memory"
    if free is None:
        return f"{need}."
    if size > free:
        raise ConfigError(
            f"{need}, and {gigabytes(free)} are free: give a --buffer-size that is smaller by a "
            f"factor of {size / free:.1f} or more, or fewer --workers if each has its own."
        )
    return f"{need}; {gigabytes(free)} are free."
