"""google-genai, Google's client of generateContent."""

import pytest
from pydantic import BaseModel

from tests.clients.places import Place, asks

pytestmark = [pytest.mark.clients, pytest.mark.xdist_group("clients")]

TEXT = "Hello dear world"


class City(BaseModel):
    """A city."""

    name: str
    days: int


def weather(city: str) -> str:
    """The weather of a city."""
    return f"18 C in {city}"


@asks("gemini")
def test_google_genai(place: Place) -> None:
    """Only straight to the simulated provider: the simulator's Gemini is the one that Google's own client reads.

    Through the proxy there is nothing to show: its clients speak OpenAI or messages, so it has no endpoint under
    `/v1beta/`. What it makes of a Gemini provider for them is in `test_providers.py` and `tests/wire/dialects`.
    """
    assert place.proxy is None
    genai = pytest.importorskip("google.genai")
    client = genai.Client(api_key="key", http_options=genai.types.HttpOptions(base_url=place.url))
    plain = client.models.generate_content(model="echo", contents=TEXT)
    assert (plain.text, plain.candidates[0].finish_reason.value) == (TEXT, "STOP")
    pieces = list(client.models.generate_content_stream(model="reasoning", contents=TEXT))
    assert "".join(piece.text or "" for piece in pieces) == TEXT
    assert pieces[-1].usage_metadata.thoughts_token_count > 0
    structured = client.models.generate_content(
        model="json", contents=TEXT, config={"response_mime_type": "application/json", "response_schema": City}
    )
    assert structured.parsed == City(name=TEXT, days=1)
    told = client.models.generate_content(model="tools", contents="Rome", config={"tools": [weather]})
    assert told.text is not None
    assert "18 C in Rome" in told.text
    with pytest.raises(genai.errors.ClientError) as caught:
        client.models.generate_content(model="429", contents=TEXT)
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
    client.close()
