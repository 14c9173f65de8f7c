"""The names of ``opentelemetry.sdk.trace.sampling``: upstream's samplers, which native tracers run natively."""

from opentelemetry.sdk.trace.sampling import *  # noqa: F403
