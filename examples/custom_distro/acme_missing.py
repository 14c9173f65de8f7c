"""An instrumentor for a library that is not installed: it is left out, and the others are not."""

import acme_library_that_nobody_has
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor


class MissingInstrumentor(BaseInstrumentor):
    library = acme_library_that_nobody_has
