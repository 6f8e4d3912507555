"""What ``--engine ray`` costs against processes of one machine, and how far it scales.

``python -m tests.benchmarks.ray_engine measure`` writes ``measured.json`` beside this file;
``... simulate`` goes on from there, and needs simpy and matplotlib, but no Ray.
"""
