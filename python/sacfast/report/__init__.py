"""A finished scan as one page to look at.

`write_report` reads a scan and its fingerprints from a store and writes a single HTML file: no
network, no server, nothing beside it. Three modules make what the page shows, one puts it together:

    summary.py   the verdict in a sentence, counts, table rows, run facts      scan   -> plain data
    figures.py   the null bank's scores and thresholds a source                scan   -> plain data
    heatmap.py   correlation matrices, side by side                            store  -> plain data
    page.py      template + data + scripts -> one file, written whole or not at all
    inline.py    data and scripts that a page carries within it, and nothing else

Every name in a registry is somebody else's text. It reaches the page through an escaping template
or as escaped JSON that scripts show as text, control characters are made visible, and the page's
own content security policy forbids the browser every script but ours and every request.
"""

from __future__ import annotations

from sacfast.report.page import write_report

__all__ = ["write_report"]
