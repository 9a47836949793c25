"""What Snowflake lacks, as functions of the platform's own in the schema `cdp_functions`, made where they are missing.

A function that changes takes another name: two versions of the platform may work beside each other.
"""

from typing import Final

SCHEMA: Final = "cdp_functions"

FUNCTIONS: Final = (
    f"""create function if not exists "{SCHEMA}".nfc(text varchar) returns varchar
        language javascript strict immutable as $$ return TEXT.normalize("NFC"); $$""",
    # Of flat documents: what the patch sets to null is taken away. Values stay as they are written, so that no long
    # number is rounded to what JavaScript counts with.
    f"""create function if not exists "{SCHEMA}".merged(document varchar, patch varchar) returns varchar
        language javascript strict immutable as $$
        const members = new Map();
        for (const text of [DOCUMENT, PATCH]) {{
            const pairs = text.matchAll(/("(?:[^"\\\\]|\\\\.)*"):("(?:[^"\\\\]|\\\\.)*"|[^,{{}}]+)/g);
            for (const [, name, value] of pairs) {{
                if (value.trim() === "null") {{ members.delete(name); }} else {{ members.set(name, value); }}
            }}
        }}
        return "{{" + [...members].map(([name, value]) => name + ":" + value).join(",") + "}}"; $$""",
)
