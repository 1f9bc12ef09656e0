"""Faults on real processes. `make test-faults` runs them at length; CI runs them short and seeded."""
