"""Native parts under contrib's instrumentations: what they run in each request.

`otel_rs.installation.instrumentations` puts them in the place of contrib's functions, in releases whose code is known.
Spans, names, attributes, metrics and exceptions are contrib's; what a function cannot do it leaves to contrib's own.
"""
