"""langfuse, whose processor derives from the SDK's BatchSpanProcessor."""

import os

from langfuse import Langfuse, observe

langfuse = Langfuse(public_key="public", secret_key="secret", base_url=os.environ["HTTP_ENDPOINT"])


@observe()
def answer(question: str) -> str:
    return f"about {question}"


with langfuse.start_as_current_observation(name="ask", as_type="span", input={"question": "tea?"}) as span:
    with langfuse.start_as_current_observation(name="model", as_type="generation", model="small") as generation:
        generation.update(output="green", usage_details={"input": 1, "output": 2})
    span.update(output=answer("tea?"))
langfuse.flush()
langfuse.shutdown()
