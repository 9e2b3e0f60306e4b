"""The Jinja form of a template: what sentence-transformers and vLLM render is our prompt to the character."""

import json

from gmr.core.errors import ModelError
from gmr.modeling.templates import Control, Slot, Template, TokenId

# Everything is an expression: trim_blocks eats a newline after a block, and Jinja drops a file's last one.
# The content of a message is one string or a list of parts; a string goes through as it is.
_HEAD = """\
{%- macro parts(content, kinds) -%}
{%- if content is string -%}
{%- if 't' in kinds -%}{{- content -}}{%- endif -%}
{%- else -%}
{%- for part in content -%}
{%- if part.type in ('image', 'image_url') or 'image' in part or 'image_url' in part -%}
{%- if 'i' in kinds -%}{{- PICTURE -}}{%- endif -%}
{%- elif 'text' in part and 't' in kinds -%}{{- part.text -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{%- set given = namespace(instruction=DEFAULT_INSTRUCTION, query=none, document=none) -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}{%- set given.instruction = parts(message.content, 't') -%}
{%- elif message.role == 'query' -%}{%- set given.query = message.content -%}
{%- elif message.role == 'document' -%}{%- set given.document = message.content -%}
{%- endif -%}
{%- endfor -%}
{%- if given.query is none or given.document is none -%}
{{- raise_exception('this prompt needs one message of role query and one of role document') -}}
{%- endif -%}
"""


def chat_template(template: Template) -> str:
    """Jinja source that renders messages of the roles system (the instruction), query and document.

    Whoever renders this must watch for control tokens in messages: only our own processor encodes them as
    plain text.

    Raises:
        ModelError: The prompt holds a token by its id, which no text gives.
    """
    source = _HEAD.replace("PICTURE", _quote("".join(template.picture)))
    source = source.replace("DEFAULT_INSTRUCTION", _quote(template.default_instruction))
    literal = ""
    for segment in template.segments:
        if isinstance(segment, TokenId):
            raise ModelError(
                f"template {template.name!r} cannot be a chat template: "
                f"its prompt holds token {segment.token_id}, which no text gives"
            )
        if isinstance(segment, Slot):
            source += _expression(literal) + _slot(segment)
            literal = ""
        else:
            literal += segment.token if isinstance(segment, Control) else segment
    return source + _expression(literal)


def _slot(slot: Slot) -> str:
    if slot.side == "instruction":
        return "{{- given.instruction -}}\n"
    content = f"given.{slot.side}"
    orders = ("i", "t") if slot.images_first else ("it",)
    body = " ~ ".join(f"parts({content}, '{kinds}')" for kinds in orders)
    if not slot.if_empty:
        return "{{- " + body + " -}}\n"
    return f"{{{{- ({body}) or {_quote(slot.if_empty)} -}}}}\n"


def _expression(literal: str) -> str:
    return "{{- " + _quote(literal) + " -}}\n" if literal else ""


def _quote(text: str) -> str:
    # JSON's escapes are Jinja's; single quotes, double quotes and newlines all survive.
    return json.dumps(text, ensure_ascii=False)
