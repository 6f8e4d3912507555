"""What is checked: functions of a :class:`~tests.gpu.job.Job`, each in a process of its own."""
