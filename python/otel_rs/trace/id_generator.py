"""The names of ``opentelemetry.sdk.trace.id_generator``: native tracers make ``RandomIdGenerator``'s ids natively."""

from opentelemetry.sdk.trace.id_generator import *  # noqa: F403
