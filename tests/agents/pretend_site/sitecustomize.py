"""Every Python that has this folder on its path begins with a device that is not there."""

from tests.agents import pretend_device

pretend_device.install()
