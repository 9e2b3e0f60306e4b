"""What a checkpoint says about its prompt: ``gmr.json`` where we saved it, ``config.json`` elsewhere."""

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from gmr.core.errors import ModelError
from gmr.core.items import replace_surrogates
from gmr.modeling.templates import Template, find_template, guess_template

logger = logging.getLogger(__name__)

SETTINGS_TYPES: dict[str, type] = {
    "format": int,
    "template": str,
    "max_tokens": int,
    "answers": dict,
    "default_instruction": str,
    "readout": str,
    "head": dict,
}


def read_settings(path: Path) -> dict[str, Any]:
    """Contents of ``gmr.json``, empty where there is none.

    Raises:
        ModelError: It is unreadable or of another format, or has an unknown key or a value of another type.
    """
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: {error}") from error
    if not isinstance(settings, dict) or settings.get("format") != 1:
        raise ModelError(f"{path}: not a gmr.json of format 1, the only one this version reads")
    for key, value in settings.items():
        if key not in SETTINGS_TYPES:
            raise ModelError(f"{path}: unknown key {key!r} (known: {', '.join(SETTINGS_TYPES)})")
        if key != "max_tokens" and not isinstance(value, SETTINGS_TYPES[key]):
            raise ModelError(f"{path}: {key} must be of type {SETTINGS_TYPES[key].__name__}, not {value!r}")
    for sign, answers in settings.get("answers", {}).items():
        if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
            raise ModelError(f"{path}: answers.{sign} must be a list of strings, not {answers!r}")
    max_tokens = settings.get("max_tokens", 1)
    if not isinstance(max_tokens, int) or max_tokens < 1:
        raise ModelError(f"{path}: max_tokens must be a positive whole number, this is {max_tokens!r}")
    return settings


def read_config(folder: str) -> Mapping[str, Any]:
    """Contents of ``config.json`` in a local folder or at a hub id, with the defaults of its architecture.

    Raises:
        ModelError: It is absent or of an unknown architecture.
    """
    try:
        config: dict[str, Any] = AutoConfig.from_pretrained(folder, trust_remote_code=False).to_dict()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{folder}: its config.json cannot be loaded: {error}") from error
    return config


def choose_template(
    template: str | Template | None, settings: Mapping[str, Any], config: Mapping[str, Any], *, where: str
) -> Template:
    """The template given, else that of ``gmr.json`` with its answers and instruction, else a guess.

    Raises:
        ConfigError: The template is unknown or cannot be guessed.
    """
    if isinstance(template, Template):
        return template
    if template is not None and template != settings.get("template"):
        return find_template(template)
    if "template" not in settings:
        chosen = guess_template(config, where=where)
        logger.info("%s: no gmr.json; using the prompt template %r", where, chosen.name)
        return chosen
    chosen = find_template(settings["template"])
    answers = settings.get("answers", {})
    return dataclasses.replace(
        chosen,
        positive=tuple(answers.get("positive", chosen.positive)),
        negative=tuple(answers.get("negative", chosen.negative)),
        default_instruction=replace_surrogates(
            settings.get("default_instruction", chosen.default_instruction)
        ),
    )
