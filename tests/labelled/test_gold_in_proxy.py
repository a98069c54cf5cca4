"""The simulator inside the proxy: gold from the settings, and chains of airline users whom `sim/replay` answers."""

from pathlib import Path

import orjson
import pytest

from tests.labelled.contract import messages, schema
from tests.labelled.gold import dialogue_file, gold_file
from tests.labelled.loading import SUBSETS, multidogo_airline
from tests.running import proxy

pytestmark = pytest.mark.xdist_group("gold_in_proxy")
ITEMS = multidogo_airline(SUBSETS, "dev")
INTENTS = (*sorted({label for item in ITEMS for label in item.labels}), "none")


def test_an_airline_chain_is_replayed_and_its_turns_labelled(tmp_path: Path) -> None:
    (tmp_path / "dialogues.jsonl").write_bytes(dialogue_file(ITEMS))
    (tmp_path / "gold.jsonl").write_bytes(gold_file(ITEMS))
    files = f"dialogues = '{tmp_path / 'dialogues.jsonl'}'\ngold = ['{tmp_path / 'gold.jsonl'}']"
    turns = [item for item in ITEMS if item.chain == ITEMS[0].chain]
    said: list[dict[str, str]] = []
    with proxy(tmp_path / "data", f"[simulator]\n{files}\n") as running:
        for item in turns:
            said.append({"role": "user", "content": item.text})
            answer = orjson.loads(running.post({"model": "sim/replay", "messages": said}).content)
            said.append({"role": "assistant", "content": answer["choices"][0]["message"]["content"]})
            form = {"type": "json_schema", "json_schema": {"name": "label", "schema": schema(INTENTS)}}
            body = {"model": "sim/label", "messages": messages(item, INTENTS), "response_format": form}
            label = orjson.loads(running.post(body).content)["choices"][0]["message"]["content"]
            assert orjson.loads(label) == {"label": item.label}
        rows = running.rows(2 * len(turns))
    assert len(turns) >= 5
    assert all(row["status"] == "ok" for row in rows)
    assert "not sure" not in str(said)
