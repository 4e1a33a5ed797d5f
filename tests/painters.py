"""A tiny real painter: latent diffusion whose network wants the colours that the prompt names.

B batch, T tokens, V tokens that there are, C h w latents, H W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from service.bundle import Bundle, Manifest, Tensors, TensorSpec
from service.sampling import schedule_of
from tests.bundles import COLOURS
from tests.graphs import PROVENANCE, TO_COME, graph_of, onnx_of, write_made
from tests.towers import BEGIN, END, UNKNOWN, word_tokenizer

Floats = npt.NDArray[np.float64]

WORDS = (BEGIN, END, UNKNOWN, *COLOURS, "a", "ball", "and", "the")
CHANNELS = 4
SCALE = 4
"""Pixels of an image for each cell of its latents."""
FIELD = 0.4
"""How far the network strays from the colour, as the latents around a cell lead it to."""
STRENGTH = 0.4
"""Of a colour that is named: what no guidance drives to the edge."""
TRAIN_STEPS = 100
PREVIEW = "127.5,0,0, 0,127.5,0, 0,0,127.5, 0,0,0, 127.5,127.5,127.5"
PAINTER_DEFAULTS: Mapping[str, bool | int | float | str] = MappingProxyType(
    {
        "schedule": "linear",
        "train_steps": TRAIN_STEPS,
        "beta_start": 1e-3,
        "beta_end": 0.2,
        "prediction": "epsilon",
        "steps": 6,
        "sampler": "ddim",
        "guidance_scale": 1.5,
        "preview": PREVIEW,
        "max_steps": 60,
    }
)


def write_tiny_painter(
    repository: Path,
    *,
    name: str = "painter",
    version: int = 1,
    cells: int = 8,
    tokens: int = 6,
    max_batch: int = 8,
    defaults: Mapping[str, bool | int | float | str] = PAINTER_DEFAULTS,
) -> Bundle:
    """Latents are red, green, blue from -1 to 1, and one more that the decoder ignores.

    What the network takes the clean latents to be is the sum of the colours that are named, and
    FIELD · tanh of a convolution of the latents: so that every seed paints another picture.
    """
    shape = (CHANNELS, cells, cells)
    latents, previous, noise = (_spec(each, shape) for each in ("latents", "previous", "noise"))
    hidden = _spec("hidden", (tokens, CHANNELS))
    step_inputs = [
        latents,
        _spec("timestep", ()),
        *(_spec(each, (tokens, CHANNELS)) for each in ("cond", "uncond")),
        _spec("guidance", ()),
        _spec("coefficients", (6,)),
        previous,
        noise,
    ]
    step_outputs = [_spec("next_latents", shape), _spec("clean", shape)]
    pixels = (cells * SCALE, cells * SCALE, 3)
    image = TensorSpec(name="image", dtype="uint8", shape=("batch", *pixels))
    ids = TensorSpec(name="tokens", dtype="int64", shape=("batch", tokens))
    tokenizer = word_tokenizer(tokens, WORDS)
    prompts = ["a red ball", "the green and the blue", ""]
    graphs = {
        "text": graph_of("text.onnx", [ids], [hidden], max_batch),
        "step": graph_of("step.onnx", step_inputs, step_outputs, max_batch),
        "decode": graph_of("decode.onnx", [latents], [image], max_batch),
    }
    models = {
        "text": onnx_of(
            [helper.make_node("Gather", ["meanings", "tokens"], ["hidden"], axis=0)],
            [ids],
            [hidden],
            meanings=_meanings(),
        ),
        "step": _step_model(step_inputs, step_outputs, defaults),
        "decode": _decode_model(latents, image, cells),
    }
    encoded = np.array([tokenizer.encode(text).ids for text in prompts], np.int64)
    return write_made(
        repository,
        Manifest(
            name=name,
            version=version,
            task="generate",
            summary="Paints the colours that the prompt names",
            graphs=graphs,
            tokenizer="tokenizer.json",
            files=dict.fromkeys(
                (*(g.file for g in graphs.values()), "golden.npz", "tokenizer.json"), TO_COME
            ),
            defaults=dict(defaults),
            provenance=PROVENANCE,
            licence="Apache-2.0",
        ),
        models,
        _golden(encoded, shape, defaults),
        texts={"tokenizer.json": tokenizer.to_str()},
    )


# -- the same in numpy


def meaning(words: Sequence[str]) -> Floats:
    """The colour that a text asks for: [C]"""
    wanted = np.zeros(CHANNELS)
    for word in words:
        if word in COLOURS:
            wanted[:3] += STRENGTH * (np.array(COLOURS[word]) / 127.5 - 1)
    return wanted


def clean_estimate(
    latents: Floats, cond: Floats, uncond: Floats, guidance: Floats | float
) -> Floats:
    """What the network takes the clean latents [B, C, h, w] to be; cond and uncond [B, C]."""
    field = FIELD * np.tanh(_blur(latents))
    wanted = uncond + np.reshape(guidance, (-1, 1)) * (cond - uncond)
    return wanted[:, :, None, None] + field


def decoded(latents: Floats) -> npt.NDArray[np.uint8]:
    """[B, C, h, w] to [B, H, W, 3]"""
    shown = np.clip(np.rint((latents[:, :3] + 1) * 127.5), 0, 255).astype(np.uint8)
    return shown.repeat(SCALE, axis=2).repeat(SCALE, axis=3).transpose(0, 2, 3, 1)


def _blur(latents: Floats) -> Floats:
    """A 3 × 3 mean, times 3, within each channel; nothing lies beyond the edge."""
    padded = np.pad(latents, ((0, 0), (0, 0), (1, 1), (1, 1)))
    high, wide = latents.shape[2:]
    return sum(padded[:, :, y : y + high, x : x + wide] for y in range(3) for x in range(3)) / 3


def _golden(
    tokens: npt.NDArray[np.int64],
    shape: tuple[int, int, int],
    defaults: Mapping[str, bool | int | float | str],
) -> dict[str, tuple[Tensors, Tensors]]:
    batch, random = len(tokens), np.random.default_rng(0)
    latents, previous, noise = random.standard_normal((3, batch, *shape)).astype(np.float32)
    hidden = _meanings()[tokens]
    times = np.linspace(20, 60, batch)
    abar = schedule_of(defaults).alpha_bar(times)
    signal, spread = np.sqrt(abar), np.sqrt(1 - abar)
    abcd = random.uniform(-1, 1, (batch, 4))
    coefficients = np.column_stack([abcd, -spread / signal, 1 / signal]).astype(np.float32)
    guidance = np.linspace(1, 3, batch, dtype=np.float32)
    wanted = hidden.sum(axis=1)
    uncond = np.roll(hidden, 1, axis=0)
    clean = clean_estimate(latents, wanted, uncond.sum(axis=1), guidance)
    parts = (latents, clean, previous, noise)
    after = sum(abcd[:, i, None, None, None] * part for i, part in enumerate(parts))
    steps: Tensors = {
        "latents": latents,
        "timestep": times.astype(np.float32),
        "cond": hidden,
        "uncond": uncond,
        "guidance": guidance,
        "coefficients": coefficients,
        "previous": previous,
        "noise": noise,
    }
    done: Tensors = {"next_latents": np.float32(after), "clean": np.float32(clean)}
    return {
        "text": ({"tokens": tokens}, {"hidden": hidden}),
        "step": (steps, done),
        "decode": ({"latents": latents}, {"image": decoded(latents)}),
    }


# -- graphs


def _spec(name: str, shape: tuple[int, ...]) -> TensorSpec:
    return TensorSpec(name=name, dtype="float32", shape=("batch", *shape))


def _meanings() -> npt.NDArray[np.float32]:
    """[V, C]"""
    return np.array([meaning([word]) for word in WORDS], np.float32)


def _step_model(
    inputs: list[TensorSpec],
    outputs: list[TensorSpec],
    defaults: Mapping[str, bool | int | float | str],
) -> onnx.ModelProto:
    abar = schedule_of(defaults).alphas_cumprod
    blur = np.zeros((CHANNELS, 1, 3, 3), np.float32) + 1 / 3
    columns = ["a", "b", "c", "d", "p", "q"]
    return onnx_of(
        [
            helper.make_node("Round", ["timestep"], ["whole"]),
            helper.make_node("Cast", ["whole"], ["time"], to=TensorProto.INT64),
            *(
                node
                for table in ("signal", "spread")
                for node in (
                    helper.make_node("Gather", [f"{table}s", "time"], [f"{table}_now"], axis=0),
                    helper.make_node("Unsqueeze", [f"{table}_now", "axes_123"], [table]),
                )
            ),
            helper.make_node(
                "Conv", ["latents", "blur"], ["around"], pads=[1, 1, 1, 1], group=CHANNELS
            ),
            helper.make_node("Tanh", ["around"], ["bent"]),
            helper.make_node("Mul", ["bent", "how_far"], ["field"]),
            *_epsilon("cond"),
            *_epsilon("uncond"),
            helper.make_node("Unsqueeze", ["guidance", "axes_123"], ["scale"]),
            helper.make_node("Sub", ["cond_e", "uncond_e"], ["apart"]),
            helper.make_node("Mul", ["scale", "apart"], ["pulled"]),
            helper.make_node("Add", ["uncond_e", "pulled"], ["output"]),
            helper.make_node(
                "Split", ["coefficients"], [f"{c}_2" for c in columns], axis=1, num_outputs=6
            ),
            *(helper.make_node("Unsqueeze", [f"{c}_2", "axes_23"], [c]) for c in columns),
            *_weighted("clean", [("p", "output"), ("q", "latents")]),
            *_weighted(
                "next_latents",
                [("a", "latents"), ("b", "clean"), ("c", "previous"), ("d", "noise")],
            ),
        ],
        inputs,
        outputs,
        signals=np.sqrt(abar).astype(np.float32),
        spreads=np.sqrt(1 - abar).astype(np.float32),
        blur=blur,
        how_far=np.array(FIELD, np.float32),
        axis_1=np.array([1]),
        axes_123=np.array([1, 2, 3]),
        axes_23=np.array([2, 3]),
    )


def _epsilon(text: str) -> list[onnx.NodeProto]:
    """(latents - signal · clean) / spread, with the clean latents that this text asks for."""
    return [
        helper.make_node("ReduceSum", [text, "axis_1"], [f"{text}_sum"], keepdims=0),
        helper.make_node("Unsqueeze", [f"{text}_sum", "axes_23"], [f"{text}_colour"]),
        helper.make_node("Add", [f"{text}_colour", "field"], [f"{text}_clean"]),
        helper.make_node("Mul", ["signal", f"{text}_clean"], [f"{text}_part"]),
        helper.make_node("Sub", ["latents", f"{text}_part"], [f"{text}_left"]),
        helper.make_node("Div", [f"{text}_left", "spread"], [f"{text}_e"]),
    ]


def _weighted(name: str, terms: Sequence[tuple[str, str]]) -> list[onnx.NodeProto]:
    parts = [f"{name}_{weight}" for weight, _ in terms]
    products = [
        helper.make_node("Mul", [weight, value], [part])
        for (weight, value), part in zip(terms, parts, strict=True)
    ]
    return [*products, helper.make_node("Sum", parts, [name])]


def _decode_model(latents: TensorSpec, image: TensorSpec, cells: int) -> onnx.ModelProto:
    return onnx_of(
        [
            helper.make_node("Slice", ["latents", "first", "last", "axis_1"], ["colours"]),
            helper.make_node("Add", ["colours", "one"], ["raised"]),
            helper.make_node("Mul", ["raised", "half"], ["levels"]),
            helper.make_node("Round", ["levels"], ["whole"]),
            helper.make_node("Clip", ["whole", "least", "most"], ["clipped"]),
            helper.make_node("Cast", ["clipped"], ["bytes"], to=TensorProto.UINT8),
            helper.make_node("Transpose", ["bytes"], ["cells"], perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", ["cells", "apart"], ["squares"]),
            helper.make_node("Expand", ["squares", "filled"], ["blocks"]),
            helper.make_node("Reshape", ["blocks", "together"], ["image"]),
        ],
        [latents],
        [image],
        first=np.array([0]),
        last=np.array([3]),
        axis_1=np.array([1]),
        one=np.array(1, np.float32),
        half=np.array(127.5, np.float32),
        least=np.array(0, np.float32),
        most=np.array(255, np.float32),
        apart=np.array([-1, cells, 1, cells, 1, 3]),
        filled=np.array([1, cells, SCALE, cells, SCALE, 3]),
        together=np.array([-1, cells * SCALE, cells * SCALE, 3]),
    )
