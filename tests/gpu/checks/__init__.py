"""What is checked: functions of a :class:`~tests.gpu.job.Job`, many of them in one process."""
