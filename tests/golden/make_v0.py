"""Makes v0.jsonl: token ids and f32 logits of the reference implementation for the lines of sentences.txt.

    python tests/golden/make_v0.py MODEL_DIR

MODEL_DIR holds config.json, tokenizer.json and model.safetensors (f16 weights, computed in f32).
The first line of v0.jsonl names the versions that it was made with.
"""

import json
import pathlib
import sys

import safetensors
import tokenizers
import torch
import transformers
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

here = pathlib.Path(__file__).parent
model_dir = pathlib.Path(sys.argv[1])

config = json.loads((model_dir / "config.json").read_text())
config.pop("heads")
weights = {name: tensor.float() for name, tensor in load_file(model_dir / "model.safetensors").items()}
bert = BertModel(BertConfig(**config, attn_implementation="eager")).eval()
state = {name.removeprefix("bert."): tensor for name, tensor in weights.items() if name.startswith("bert.")}
missing, unexpected = bert.load_state_dict(state, strict=False)
assert not unexpected and all("position_ids" in name for name in missing), (missing, unexpected)

tokenizer = tokenizers.Tokenizer.from_file(str(model_dir / "tokenizer.json"))
tokenizer.no_padding()
tokenizer.no_truncation()
torch.set_num_threads(1)

head = {
    "made_by": "python tests/golden/make_v0.py MODEL_DIR",
    "python": sys.version.split()[0],
    "torch": torch.__version__,
    "transformers": transformers.__version__,
    "tokenizers": tokenizers.__version__,
    "safetensors": safetensors.__version__,
}
with (here / "v0.jsonl").open("w") as out, torch.no_grad():
    print(json.dumps(head), file=out)
    for line in (here / "sentences.txt").read_text().split("\n"):
        if not line:
            continue
        ids = tokenizer.encode(line).ids
        assert len(ids) <= 128, (len(ids), line)
        pooled = bert(input_ids=torch.tensor([ids])).pooler_output[0]
        logits = {
            head: [round(value, 6) for value in (weights[f"{head}.weight"] @ pooled + weights[f"{head}.bias"]).tolist()]
            for head in ("sentiment", "events")
        }
        print(json.dumps({"text": line, "ids": ids, **logits}, ensure_ascii=False), file=out)
