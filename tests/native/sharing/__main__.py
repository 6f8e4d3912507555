"""The command line, see the package."""

import faulthandler
import sys

from tests.native.sharing import consoles, envs, vectors  # noqa: F401  (each adds its cases)
from tests.native.sharing.cases import CASES

if __name__ == "__main__":
    faulthandler.enable()
    sys.setswitchinterval(1e-5)
    CASES[sys.argv[1]]()
