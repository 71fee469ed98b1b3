"""Takes the pictures of the server's page for the documents, in a real browser.

    python tools/page_pictures.py runs/quickstart [--chromium /usr/bin/chromium]

Needs the extra `dev` and Chromium. Writes docs/images/page*.png: the page at work on its example,
in English and Korean; on a telephone, in the dark, while somebody speaks.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import soundfile
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
EXAMPLE = ROOT / "sorigeul" / "serving" / "page" / "example.mp3"
DESK: dict[str, Any] = {
    "viewport": {"width": 1280, "height": 760},
    "color_scheme": "light",
}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "color_scheme": "dark",
    "device_scale_factor": 2,
    "has_touch": True,
}


@contextmanager
def server(run: Path) -> Iterator[str]:
    """Serve a model; gives the address."""
    command = [sys.executable, "-m", "sorigeul", "serve", str(run), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            sys.exit(f"error: the server does not start: {' '.join(command)}")
        try:
            yield address
        finally:
            process.terminate()


def opened(browser: Browser, address: str, locale: str, device: dict[str, Any]) -> Page:
    """The page in a language on a device."""
    page = browser.new_context(locale=locale, **device).new_page()
    page.goto(address)
    page.locator(".record").wait_for()
    return page


def at_work(page: Page) -> None:
    """Let the example be written, and show a word and its attention."""
    page.locator(".others button").nth(1).click()
    page.locator(".card.done").wait_for()
    segment = page.locator(".segment").nth(1)
    segment.locator(".word").nth(1).click()
    segment.locator(".tool").nth(1).click()
    segment.hover()
    page.locator(".attention canvas").wait_for()


def speaking(page: Page) -> None:
    """Record until a sentence is written and another one is being said."""
    page.locator(".record").click()
    page.locator(".words").first.wait_for()
    page.locator(".spoken em").wait_for()
    page.wait_for_timeout(1200)


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path, help="run folder of a model that knows the example")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        server(arguments.run) as address,
        sync_playwright() as playwright,
    ):
        spoken = Path(folder) / "spoken.wav"
        soundfile.write(spoken, *soundfile.read(EXAMPLE))
        browser = playwright.chromium.launch(
            executable_path=arguments.chromium,
            args=[
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={spoken}",
            ],
        )
        for locale, suffix in (("en-US", ""), ("ko-KR", ".ko")):
            page = opened(browser, address, locale, DESK)
            page.screenshot(path=IMAGES / f"page_start{suffix}.png")
            at_work(page)
            page.screenshot(path=IMAGES / f"page{suffix}.png", full_page=True)
            page = opened(browser, address, locale, PHONE)
            speaking(page)
            page.screenshot(path=IMAGES / f"page_phone{suffix}.png")
        browser.close()


if __name__ == "__main__":
    main()
