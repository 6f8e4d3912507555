"""The level of log records that are good news."""

from __future__ import annotations

import logging

NOTICE = 25
"""People see it, as they see warnings."""
logging.addLevelName(NOTICE, "NOTICE")
