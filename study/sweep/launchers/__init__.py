"""Launchers train the runs of a sweep elsewhere than in this package's workers: Slurm, Ray, and Hydra's own plugins."""
