"""Preloaded by multiprocessing's fork server: it is configured before it forks."""

import telemetry

telemetry.configure()
