"""Speed on a GPU with models of real size, in fractions of what the GPU can do; without one the same in small.

python -m benchmarks.device --name h100                     Qwen2.5-VL-3B and 7B, everything
python -m benchmarks.device --name h100 --model qwen2.5-vl-3b --part inference --workload "T->T 150"
python -m benchmarks.device                                 toy size on a CPU, about a minute

Short commands add up: what is measured goes into the same file, beside what was measured there before.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tests.helpers.processors import without_videos

from benchmarks.device import exactness, inference, profile, training
from benchmarks.device.models import SIZES, as_reranker, random_backbone
from benchmarks.device.timing import Device
from benchmarks.device.workloads import INFERENCE, TRAINING, toy
from benchmarks.measure import machine, write
from benchmarks.workloads import Workload

Keep = Callable[[], None]

END_TO_END = "end to end"
TABLES = ("pixels at hand", END_TO_END)
PROVED = ("T->T 150", "I->T 256")
PARTS = ("exactness", "inference", "training", "profile")
TOY = "cpu, toy size"
SHOWN_KERNELS = 8
NOT_MEASURED_ON_A_CPU = (
    "speed on any GPU: models, pictures and numbers of candidates are toys here",
    "variable-length kernels, half precision and compiled layers",
    "memory of the device",
)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", help="of the result: device-<name>.json")
    parser.add_argument("--model", choices=SIZES, action="append", help="both Qwen2.5-VL where none is named")
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--workload", action="append", help="name of a workload of inference or training")
    parser.add_argument(
        "--variant", action="append", help="beginning of the names of variants to time, and no others"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--warm-ups", type=int, default=2)
    parser.add_argument("--batch-tokens", type=int, default=32_768)
    parser.add_argument("--table", choices=TABLES, action="append", help="whether every run preprocesses")
    parser.add_argument("--toy", action="store_true", help="toy size; implied without a GPU")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


def chosen_of(workloads: tuple[Workload, ...], chosen: argparse.Namespace) -> tuple[Workload, ...]:
    """The workloads asked for, in toy size where that is asked for."""
    named = [each for each in workloads if not chosen.workload or each.name in chosen.workload]
    return tuple(toy(each) if chosen.toy else each for each in named)


def measure_template(
    name: str, template: str, device: Device, chosen: argparse.Namespace, record: Any, *, keep: Keep
) -> None:
    """All workloads of a template: a model for ours, and another one for the peers."""
    workloads = [each for each in chosen_of(INFERENCE, chosen) if each.template == template]
    if not workloads:
        return
    wanted, tables = tuple(chosen.variant or ("",)), chosen.table or TABLES
    is_compared = inference.wants_cross_encoder(wanted) and any(
        END_TO_END in tables or not each.shows_pictures for each in workloads
    )
    model = as_reranker(random_backbone(name, device), template=template)
    peer = None
    if is_compared:  # to write and read gigabytes takes longer than many a workload
        with tempfile.TemporaryDirectory() as temporary:
            peer = inference.cross_encoder(model, Path(temporary) / "saved", device)
    plain = random_backbone(name, device) if peer is None else peer.transformers_model
    if peer is None and is_compared:
        record["not_measured"].append("CrossEncoder: sentence-transformers is not installed")
    for workload in workloads:
        for table in tables:
            if table == END_TO_END and not workload.shows_pictures:
                continue  # the same
            result = inference.measure(
                model,
                workload,
                device,
                peer=peer,
                causal_model=plain,
                ceiling=record["ceiling_tflops"] * 1e12,
                batch_tokens=chosen.batch_tokens,
                end_to_end=table == END_TO_END,
                wanted=wanted,
            )
            record["models"][name].setdefault(f"inference, {table}", {})[workload.name] = result
            keep()
            for variant, values in result["variants"].items():
                print(f"{name} {workload.name} ({table}) {variant}: {values}", flush=True)
            for variant, error in result["failed"].items():
                print(f"{name} {workload.name} ({table}) {variant} FAILED: {error}", flush=True)


def measure_model(
    name: str, device: Device, chosen: argparse.Namespace, record: dict[str, Any], *, keep: Keep
) -> None:
    """All parts of one model, noted in ``record``; every part builds its model anew and leaves none behind."""
    parts = chosen.part or PARTS
    found = record["models"].setdefault(name, {})
    if "exactness" in parts:
        photos = tuple(toy(each) if chosen.toy else each for each in INFERENCE if each.name in PROVED)
        found["kernel"] = exactness.chosen_kernel(name, device)
        found["relative difference in float32, two layers"] = exactness.in_float32(name, photos, device)
        found["rms difference from one pair at a time"] = exactness.in_half_precision(name, photos, device)
        print(name, found, flush=True)
        keep()
    if "inference" in parts:
        for template in dict.fromkeys(each.template for each in INFERENCE):
            measure_template(name, template, device, chosen, record, keep=keep)
    if "profile" in parts:
        for workload in chosen_of(INFERENCE, chosen):
            model = as_reranker(random_backbone(name, device), template=workload.template)
            result = profile.kernels_of(model, workload, device, batch_tokens=chosen.batch_tokens)
            found.setdefault("profile", {})[workload.name] = result
            keep()
            print(
                f"{name} {workload.name}: {result['busy_seconds']} of {result['seconds']} s busy", flush=True
            )
            for kernel in result["kernels"][:SHOWN_KERNELS]:
                print(f"  {kernel['seconds']:.4f} s in {kernel['calls']} x {kernel['name']}", flush=True)
    if "training" in parts:
        model = training.trainable(name, device)
        for workload in chosen_of(TRAINING, chosen):
            result = training.measure(model, workload, device)
            found.setdefault("training, LoRA", {})[workload.name] = result
            keep()
            for kind, values in result.items():
                print(f"{name} {workload.name} {kind}: {values['times_faster']}", flush=True)


def main() -> None:
    """Command line."""
    chosen = arguments()
    device = Device("cuda" if torch.cuda.is_available() else "cpu", chosen.repeats, chosen.warm_ups)
    chosen.toy |= not device.is_gpu
    names = ["toy"] if chosen.toy else chosen.model or ["qwen2.5-vl-3b", "qwen2.5-vl-7b"]
    measured_on = torch.cuda.get_device_name() if device.is_gpu else TOY
    path = chosen.results / f"device-{chosen.name or ('gpu' if device.is_gpu else 'toy')}.json"
    record: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    if record.get("measured_on") != measured_on:
        record = {"measured_on": measured_on, "models": {}}
    size = 8192 if device.is_gpu else 512
    record |= {
        "machine": machine(),
        "ceiling_tflops": round(device.ceiling(size=size) / 1e12, 4),
        "not_measured": list(NOT_MEASURED_ON_A_CPU) if not device.is_gpu else [],
    }
    print(f"{measured_on}: {record['ceiling_tflops']} TFLOP/s in a product of {size} cubed", flush=True)
    with without_videos():
        for name in names:
            # After every workload: what is measured is not lost.
            measure_model(name, device, chosen, record, keep=lambda: write(path, record))
    for each in record["not_measured"]:
        print(f"NOT MEASURED: {each}")


if __name__ == "__main__":
    main()
