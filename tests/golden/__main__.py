"""``python -m tests.golden [NAMES]``: train every case and compare; ``--record`` writes instead."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

# Kernels that compute the same on every x86-64 processor; to be said before they are loaded.
FIXED_ARITHMETIC = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}
os.environ.update(FIXED_ARITHMETIC)

import numpy as np  # noqa: E402
import torch  # noqa: E402

from mario_agents.config import make_config  # noqa: E402
from mario_agents.run import RunDir, read_weights  # noqa: E402
from mario_envkit.plugins import load_trainer  # noqa: E402
from tests.golden.cases import CASES, Case  # noqa: E402

RECORD = Path(__file__).with_name("record.json")


def exact_roots() -> None:
    """Roots as IEEE 754 has them, in this process.

    MKL, which torch has them from, refines the processor's estimate of ``1 / sqrt(x)``: another
    one on another make, and one root in six is not the nearest number.
    """

    def root(x: torch.Tensor) -> torch.Tensor:
        if x.requires_grad and torch.is_grad_enabled():
            raise NotImplementedError("no gradient goes through an exact root")
        return torch.from_numpy(np.asarray(np.sqrt(x.detach().numpy())))

    def root_(tensors: list[torch.Tensor]) -> None:
        for x in tensors:
            x.copy_(root(x))

    torch.sqrt = torch.Tensor.sqrt = root  # type: ignore[assignment]
    torch._foreach_sqrt = lambda tensors: [root(x) for x in tensors]
    torch._foreach_sqrt_ = root_


def digest(case: Case) -> str:
    """SHA-256 over names, shapes and bytes of the weights that a case ends with."""
    trainer = load_trainer(case.trainer)
    config = make_config(trainer.config_class, case.options, source=case.name)
    with tempfile.TemporaryDirectory() as folder:
        run = RunDir.create(Path(folder) / "run", trainer=case.trainer, config=config)
        trainer.train(config, run.path, resume=False)
        weights, _ = read_weights(run)
    whole = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        whole.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        whole.update(tensor.contiguous().numpy().tobytes())
    return whole.hexdigest()


def main() -> int:
    """Run the cases; 1 if a digest is not the recorded one."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("names", nargs="*", help="cases to run; all of them if none is given")
    parser.add_argument("--record", action="store_true", help="write the digests down")
    options = parser.parse_args()
    exact_roots()
    record = json.loads(RECORD.read_text())
    if options.record:
        record["torch"] = torch.__version__.split("+")[0]
    recorded = record["digests"]
    wrong = []
    for name in options.names or CASES:
        found = digest(CASES[name])
        same = found == recorded.get(name)
        print(f"{name:<42} {found[:16]} {'as recorded' if same else 'NOT as recorded'}", flush=True)
        if options.record:
            recorded[name] = found
        elif not same:
            wrong.append(name)
    if options.record:
        RECORD.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
