"""multiprocessing's fork server preloads this: it configures tracing before the fork."""

import telemetry

telemetry.configure()
