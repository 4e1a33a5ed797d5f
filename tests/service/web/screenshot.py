"""Takes the README's picture of the page, of a running `panoptes serve`:

python -m tests.service.web.screenshot http://localhost:8000 docs/playground.png
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

from tests.service.web.browser import chromium, visit

SIZE = {"width": 1280, "height": 900}
SAMPLE = "Sample: red ball"
WARM_UP = 5


def main(url: str, file: Path) -> None:
    still = {"viewport": SIZE, "color_scheme": "light", "reduced_motion": "reduce"}
    with chromium() as browser, visit(browser, url, **still) as visited:
        page = visited.page
        page.locator("#state[data-state=ready]").wait_for()
        for _ in range(WARM_UP):  # the first round trips measure the browser's own start
            with page.expect_response("**/classify"):
                page.get_by_role("button", name=SAMPLE).click()
            page.locator("#answer[aria-busy=false] .headline").wait_for()
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        taken = page.screenshot()
    picture = Image.open(io.BytesIO(taken)).convert("RGB")
    # Six bits a colour: nobody sees it, and the file is a third smaller.
    picture.point(lambda value: value & 0xFC).save(file, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
