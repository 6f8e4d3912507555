"""Reports of runs: one HTML file that tells the whole story, and figures for papers.

Reads the files of run directories only, never a learner; what is damaged or missing is named.
"""
