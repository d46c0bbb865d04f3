"""What Python offers for the sentences that `cargo bench --bench peers` measures with.

Started by that bench with the folder of the model, a folder to work in, and perhaps `without-amx`. The bench asks
over standard input, one JSON object a line:

    {"run": NAME, "every": N}     runs every Nth of the timed sentences once and answers {"seconds": S}
    {"read": NAME, "out": PATH}   writes what it finds for all sentences as little-endian f32: the pooled vectors of an
                                  encoder, or the compound score of VADER

Peers that cannot run here are named with the reason. All use one thread. Nothing is downloaded: the encoder is the
shipped model, whose int8 weights are taken back to the f32 that they stand for, and exported to ONNX from there.
Sequences of the same length share a batch, so that nothing is padded; the batch size is the fastest of BATCHES.
"""

import json
import logging
import sys
import time
from importlib.metadata import version
from inspect import signature
from pathlib import Path

BATCHES = [1, 4, 8, 16, 32, 64]


def say(answer):
    print(json.dumps(answer), flush=True)


class Vader:
    def __init__(self, texts, timed):
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        self.version = "vaderSentiment " + version("vaderSentiment")
        self.note = ""
        self.texts, self.timed = texts, timed
        self.analyzer = SentimentIntensityAnalyzer()

    def run(self, every):
        texts = self.texts[: self.timed : every]
        start = time.perf_counter()
        for text in texts:
            self.analyzer.polarity_scores(text)
        return time.perf_counter() - start

    def read(self):
        return [self.analyzer.polarity_scores(text)["compound"] for text in self.texts]


class Encoder:
    """An encoder over token ids; `forward` takes `[batch, tokens]` and gives `[batch, hidden]`."""

    def __init__(self, ids, timed):
        self.ids, self.timed = ids, timed

    def batches(self, chosen, size):
        """Sequences of the same length, at most `size` together: their places and their ids."""
        import numpy as np

        by_length = {}
        for at in chosen:
            by_length.setdefault(len(self.ids[at]), []).append(at)
        found = []
        for length in sorted(by_length):
            places = by_length[length]
            for start in range(0, len(places), size):
                some = places[start : start + size]
                found.append((some, np.array([self.ids[at] for at in some], dtype=np.int64)))
        return found

    def tune(self):
        chosen = range(0, self.timed, 4)
        best = None
        for size in BATCHES:
            batches = self.batches(chosen, size)
            seconds = min(self.time(batches) for _ in range(2))
            if best is None or seconds < best[0]:
                best = (seconds, size)
        self.seconds, self.size = best
        self.note = f"batches of at most {self.size}"

    def time(self, batches):
        start = time.perf_counter()
        for _, ids in batches:
            self.forward(ids)
        return time.perf_counter() - start

    def run(self, every):
        return self.time(self.batches(range(0, self.timed, every), self.size))

    def read(self):
        found = [None] * len(self.ids)
        for places, ids in self.batches(range(len(self.ids)), self.size):
            for at, vector in zip(places, self.forward(ids)):
                found[at] = vector
        return [number for vector in found for number in vector.tolist()]


class Transformers(Encoder):
    def __init__(self, ids, timed, model):
        import torch
        import transformers

        super().__init__(ids, timed)
        self.torch, self.model = torch, model
        self.version = f"transformers {transformers.__version__}, torch {torch.__version__}"
        self.tune()

    def forward(self, ids):
        with self.torch.inference_mode():
            return self.model(self.torch.from_numpy(ids)).pooler_output.numpy()


class Onnx(Encoder):
    """The fastest of the given files: as exported, and with fused attention, GELU and layer norm."""

    def __init__(self, ids, timed, paths):
        import onnxruntime

        super().__init__(ids, timed)
        self.version = f"onnxruntime {onnxruntime.__version__}"
        best = None
        for name, path in paths.items():
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            self.tune()
            if best is None or self.seconds < best[0]:
                best = (self.seconds, self.size, self.session, f"{name}, {self.note}")
        _, self.size, self.session, self.note = best

    def forward(self, ids):
        return self.session.run(None, {"ids": ids})[0]


def shipped(folder):
    """The shipped encoder as a module of transformers, in f32."""
    import safetensors.torch
    import torch
    import tomllib
    from transformers import BertConfig, BertModel

    encoder = tomllib.loads((folder / "model.toml").read_text())["encoder"]
    config = BertConfig(
        vocab_size=encoder["vocabulary"],
        hidden_size=encoder["hidden"],
        num_hidden_layers=encoder["layers"],
        num_attention_heads=encoder["heads"],
        intermediate_size=encoder["intermediate"],
        max_position_embeddings=encoder["positions"],
        type_vocab_size=encoder["token_types"],
        layer_norm_eps=encoder["norm_epsilon"],
    )
    stored = safetensors.torch.load_file(folder / "model.safetensors")
    weights = {}
    for name, tensor in stored.items():
        if name.startswith("bert.") and not name.endswith(".scale"):
            if tensor.dtype == torch.int8:
                tensor = tensor.float() * stored[name + ".scale"].float().unsqueeze(1)
            weights[name.removeprefix("bert.")] = tensor.float()
    # Two ways to compute attention: the faster one for transformers, the plain one for the export.
    models = []
    for attention in ["sdpa", "eager"]:
        model = BertModel._from_config(config, attn_implementation=attention)
        model.load_state_dict(weights)
        models.append(model.eval())
    return models


def export(model, work):
    """Writes ONNX files, f32 and int8; returns the paths of both kinds by name."""
    import onnx
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids):
            return self.model(ids).pooler_output

    plain = work / "plain.onnx"
    # Newer versions of torch export another way unless they are told not to.
    older = {"dynamo": False} if "dynamo" in signature(torch.onnx.export).parameters else {}
    with torch.no_grad():
        torch.onnx.export(
            Pooled(),
            (torch.ones(2, 9, dtype=torch.long),),
            str(plain),
            input_names=["ids"],
            output_names=["pooled"],
            dynamic_axes={"ids": {0: "batch", 1: "tokens"}, "pooled": {0: "batch"}},
            opset_version=17,
            **older,
        )
    paths = {"plain": plain}
    try:
        from onnxruntime.transformers.optimizer import optimize_model

        config = model.config
        fused = work / "fused.onnx"
        optimized = optimize_model(
            str(plain), model_type="bert", num_heads=config.num_attention_heads, hidden_size=config.hidden_size
        )
        optimized.save_model_to_file(str(fused))
        paths["fused"] = fused
    except Exception as error:
        print(f"no fused graph: {error}", file=sys.stderr)
    int8 = {}
    for name, path in paths.items():
        int8[name] = work / f"{name}-int8.onnx"
        # Behind a fused node the types of tensors are not known by themselves.
        types = {"DefaultTensorType": onnx.TensorProto.FLOAT}
        quantize_dynamic(str(path), str(int8[name]), weight_type=QuantType.QInt8, extra_options=types)
    return paths, int8


def deny_amx():
    """Has Linux refuse this process the use of AMX, so that ONNX Runtime takes AVX-512 VNNI as amends does."""
    import ctypes
    import struct

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    load, equal, answer = 0x20, 0x15, 0x06
    steps = [
        (load, 0, 0, 0),  # the number of the system call: arch_prctl?
        (equal, 0, 3, 158),
        (load, 0, 0, 16),  # its first argument: ARCH_REQ_XCOMP_PERM?
        (equal, 0, 1, 0x1023),
        (answer, 0, 0, 0x00050001),  # EPERM
        (answer, 0, 0, 0x7FFF0000),  # else go on
    ]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    held = ctypes.create_string_buffer(code, len(code))
    libc = ctypes.CDLL(None, use_errno=True)
    program = Filter(len(steps), ctypes.cast(held, ctypes.c_void_p).value)
    no_new_privileges, seccomp = 38, 22
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(seccomp, 2, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def main():
    logging.disable(logging.WARNING)
    folder, work = Path(sys.argv[1]), Path(sys.argv[2])
    without_amx = sys.argv[3:] == ["without-amx"]
    if without_amx:
        deny_amx()
    sentences = json.loads((work / "sentences.json").read_text(encoding="utf-8"))
    texts, ids = sentences["texts"], sentences["ids"]
    timed = sentences["timed_ids"]
    peers, missing = {}, {}

    def attempt(name, make):
        try:
            peers[name] = make()
        except Exception as error:
            missing[name] = f"{type(error).__name__}: {error}".splitlines()[0]

    made = {}

    def files():
        if "files" not in made:
            made["files"] = export(made["models"][1], work)
        return made["files"]

    def transformers():
        import torch

        torch.set_num_threads(1)
        made["models"] = shipped(folder)
        return Transformers(ids, timed, made["models"][0])

    if without_amx:
        int8 = {path.name.removesuffix("-int8.onnx"): path for path in sorted(work.glob("*-int8.onnx"))}
        attempt("onnx int8 without amx", lambda: Onnx(ids, timed, int8))
        return serve(peers, missing)
    attempt("vader", lambda: Vader(texts, sentences["timed_texts"]))
    attempt("transformers", transformers)
    if "models" in made:
        attempt("onnx f32", lambda: Onnx(ids, timed, files()[0]))
        attempt("onnx int8", lambda: Onnx(ids, timed, files()[1]))
    else:
        missing["onnx f32"] = missing["onnx int8"] = "the export needs transformers and torch"
    serve(peers, missing)


def serve(peers, missing):
    say(
        {
            "python": sys.version.split()[0],
            "peers": {name: {"version": peer.version, "note": peer.note} for name, peer in peers.items()},
            "missing": missing,
        }
    )
    for line in sys.stdin:
        asked = json.loads(line)
        if "run" in asked:
            every = asked["every"]
            say({"seconds": peers[asked["run"]].run(every)})
        else:
            from array import array

            numbers = array("f", peers[asked["read"]].read())
            if sys.byteorder == "big":
                numbers.byteswap()
            Path(asked["out"]).write_bytes(numbers.tobytes())
            say({"numbers": len(numbers)})


main()
