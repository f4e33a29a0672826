"""Hooks of MkDocs: what the plugins leave undone.

Links that leave docs/ lead to the repository, or are text where no repository is known; on a code
host they work as they stand.  Examples in the help of a command keep their lines.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>\.\.?/[^)\s#]*)(?P<anchor>#[^)\s]*)?\)")
_EXAMPLES = re.compile(r"<p>(Examples?:)\n(.*?)</p>", re.DOTALL)
_NO_DEFAULT = "<td><code>Sentinel.UNSET</code></td>"  # click's mark for an option without one


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Rewrite the links of one page."""
    folder = posixpath.dirname(page.file.src_uri)

    def rewritten(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", folder, match["target"]))
        if target.split("/")[0] == "docs":
            return match[0]
        if not config.repo_url:
            return match["text"]
        address = f"{config.repo_url.rstrip('/')}/blob/HEAD/{target}{match['anchor'] or ''}"
        return f"[{match['text']}]({address})"

    return _LINK.sub(rewritten, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Mend the reference of commands."""

    def block(match: re.Match[str]) -> str:
        lines = "\n".join(line.strip() for line in match[2].splitlines())
        return f"<p>{match[1]}</p>\n<pre><code>{lines}</code></pre>"

    return _EXAMPLES.sub(block, html).replace(_NO_DEFAULT, "<td></td>")
