"""Runs in lockstep: many small networks are trained as one batch of models, each with numbers of its own."""
