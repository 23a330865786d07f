"""Passing features on: what may go (policy), what is said of it (sharecard), and who is asked for proof (gate)."""
