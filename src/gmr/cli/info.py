"""``gmr info``: what is here, and what a model folder is."""

import json as json_format
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from gmr.cli.console import examples, json_line, print_line, print_table
from gmr.cli.train import recipes
from gmr.core.environment import machine, source
from gmr.core.errors import ModelError
from gmr.suites import SUITES

EPILOG = examples("gmr info", "gmr info runs/sft/model")


def info(
    model: Annotated[
        str | None,
        typer.Argument(help="A model folder, or the name of a packaged model.", show_default=False),
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Show versions, devices, packaged models, recipes and suites; or the facts of one model."""
    facts = model_facts(model) if model is not None else installation_facts()
    if json:
        print_line(json_line(facts))
        return
    rows = []
    for name, value in facts.items():
        entries = value.items() if isinstance(value, dict) else [("", value)]
        rows += [[name if place == 0 else "", key, str(text)] for place, (key, text) in enumerate(entries)]
    print_table(["", "", ""], rows, header=False)


def installation_facts() -> dict[str, Any]:
    """What is installed and what comes with it, by section."""
    import torch

    devices = {"cpu": f"{torch.get_num_threads()} threads"}
    devices |= {
        f"cuda:{index}": torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())
    }
    if torch.backends.mps.is_available():
        devices["mps"] = "Apple GPU"
    return {
        "versions": source(),
        "machine": machine(),
        "devices": devices,
        "models": {folder.name: model_facts(folder.name)["about"] for folder in packaged_models()},
        "recipes": recipes(),
        "suites": SUITES,
    }


def packaged_models() -> list[Path]:
    """Folders of the models that come with the package."""
    weights = Path(str(files("gmr").joinpath("weights")))
    return sorted(folder for folder in weights.glob("*") if (folder / "config.json").is_file())


def model_facts(name: str) -> dict[str, Any]:
    """The facts of a model folder, read from its small files alone: no weight is loaded.

    Raises:
        ModelError: There is no such folder, or its files cannot be read.
    """
    packaged = {folder.name: folder for folder in packaged_models()}
    folder = packaged.get(name, Path(name))
    if not folder.is_dir():
        known = ", ".join(packaged) or "none"
        raise ModelError(f"{name}: no such model folder, nor a packaged model ({known})")
    config, ours = _read_json(folder / "config.json"), _read_json(folder / "gmr.json")
    if not config and not ours:
        raise ModelError(f"{folder}: no model folder, it has neither config.json nor gmr.json")
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    architecture = str(config.get("model_type", "adapter"))
    template = str(ours.get("template", "by the model's name"))
    return {
        "about": f"{architecture}, template {template}, {size / 1e6:.1f} MB of weights",
        "folder": str(folder),
        "architecture": architecture,
        "weights": f"{size / 1e6:.1f} MB",
        "adapter": "yes" if (folder / "adapter_config.json").is_file() else "no",
        **{key: ours[key] for key in sorted(ours) if key not in ("format", "about", "folder")},
    }


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json_format.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path}: a JSON object is needed")
    return content
