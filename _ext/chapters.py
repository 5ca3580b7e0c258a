"""Chapters are executed before any page is read, once a build, side by side: on `JOBS` cores, or on all.

Their outputs go to the cache from which MyST-NB takes them, which is emptied first. A cell that fails ends the build.
"""

import json
import os
import shutil
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import nbformat
import psutil
import stderr
from docutils import nodes
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from traitlets.config import Config

from gatedlib_book.chapters import LONGEST_FIRST

logger = logging.getLogger(__name__)

WIDGET = "application/vnd.jupyter.widget-view+json"

LAST = ("scorecard",)
"""Chapters that show what others compute come last, and those that take long first."""


class Chapter:
    """A notebook to be executed in a kernel of its own, and what that took."""

    def __init__(self, page, path, timeout):
        self.page, self.name, self.path = page, Path(path).stem, Path(path)
        self.notebook = nbformat.read(path, 4)
        self.wall, self.cpu, self.kernel = 0.0, 0.0, None
        self.client = NotebookClient(
            self.notebook,
            timeout=timeout,
            config=Config(KernelManager={"transport_encryption": "auto"}),  # else each kernel warns that it has none
            record_timing=False,  # which the cache would take for another notebook
            resources={"metadata": {"path": str(self.path.parent)}},
            on_cell_start=self._count,  # so that a kernel can be ended in its first cell
            on_cell_executed=self._count,
        )

    def run(self):
        begun = time.monotonic()
        self.client.execute()
        self.wall = time.monotonic() - begun

    def _count(self, **_):
        """CPU seconds of the kernel so far, and of the processes that it started and that have ended."""
        self.kernel = self.kernel or psutil.Process(self.client.km.provisioner.pid)
        self.cpu = sum(self.kernel.cpu_times()[:4])

    def stop(self):
        """End the kernel, whatever it is doing."""
        if self.kernel is not None and self.kernel.is_running():
            for process in (*self.kernel.children(recursive=True), self.kernel):
                process.kill()


def job_count():
    """How many chapters are executed side by side."""
    asked = os.environ.get("JOBS") or str(os.cpu_count())
    if not asked.isdecimal() or int(asked) < 1:
        raise ExtensionError(f"JOBS = {asked!r}: must be a whole number above 0. Leave it out to use all cores")
    return int(asked)


def execute(app, env, pages):
    """Execute all chapters and put them into the cache."""
    if app.config.nb_execution_mode != "cache":
        return
    jobs = job_count()
    paths = {page: env.doc2path(page) for page in pages}
    timeout = app.config.nb_execution_timeout
    chapters = [Chapter(page, path, timeout) for page, path in paths.items() if path.endswith(".ipynb")]
    order = [chapter.name for chapter in chapters if chapter.name not in LONGEST_FIRST + LAST]
    chapters.sort(key=lambda chapter: [*LONGEST_FIRST, *order, *LAST].index(chapter.name))
    folder = Path(env.mystnb_config.execution_cache_path)
    shutil.rmtree(folder, ignore_errors=True)
    cache, env.chapter_times = get_cache(str(folder)), {}
    left, running = list(chapters), {}
    begun = time.monotonic()
    logger.info("executing %d chapters, %d at a time …", len(chapters), min(jobs, len(chapters)))
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while left or running:
                while left and len(running) < jobs:
                    chapter = left.pop(0)
                    running[pool.submit(chapter.run)] = chapter
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    chapter = running.pop(future)
                    _finish(future, chapter, cache, Path(app.outdir).parent / "executed")
                    env.chapter_times[chapter.page] = chapter.wall, chapter.cpu
                    now = ", ".join(each.name for each in running.values())
                    done, passed = len(env.chapter_times), time.monotonic() - begun
                    line = f"{chapter.name} took {chapter.wall:.0f} s ({chapter.cpu:.0f} s of CPU)"
                    line += f"; running: {now}" if now else ""
                    logger.info("[%d of %d, %d s] %s; %d to begin", done, len(chapters), passed, line, len(left))
        except BaseException:
            for chapter in running.values():
                chapter.stop()
            raise


def _finish(future, chapter, cache, folder):
    try:
        future.result()
    except CellExecutionError as failure:
        raise ExtensionError(f"{chapter.path.name}: a cell failed\n{failure}") from None
    stderr.report(chapter.page, chapter.notebook)
    for cell in chapter.notebook.cells:
        if cell.cell_type == "code":  # an explorer's place is an output of its own; a page has no manager for widgets
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    folder.mkdir(exist_ok=True)
    nbformat.write(chapter.notebook, folder / chapter.path.name)  # for `python -m benchmarks.builds`
    data = {"execution_seconds": chapter.wall}
    cache.cache_notebook_bundle(CacheBundleIn(chapter.notebook, str(chapter.path), data=data), check_validity=False)


class ChapterTimes(SphinxDirective):
    """A table of all chapters with the seconds that each took, and the seconds of CPU."""

    def run(self):
        times = getattr(self.env, "chapter_times", {})
        by_cpu = sorted(times.items(), key=lambda item: -item[1][1])
        rows = [(f"[](/{page})", f"{wall:.0f}", f"{cpu:.0f}") for page, (wall, cpu) in by_cpu]
        total = "together", "", f"{sum(cpu for _, cpu in times.values()):.0f}"
        lines = ["| Chapter | Seconds | Seconds of CPU |", "|---|--:|--:|"]
        text = "\n".join(lines + [f"| {' | '.join(row)} |" for row in (*rows, total)])
        node = nodes.Element()
        self.state.nested_parse(text.splitlines(), self.content_offset, node)
        return node.children


def begin(app):
    """Note when the build began."""
    app.begun = time.monotonic()


def report(app, failure):
    """Write what the build took beside the pages, for comparison with other builds."""
    times = getattr(app.env, "chapter_times", None)
    if failure is None and times:
        chapters = {
            Path(page).name: {"wall": round(wall, 1), "cpu": round(cpu, 1)} for page, (wall, cpu) in times.items()
        }
        wall, pages = time.monotonic() - app.begun, time.process_time()
        times = {"chapters": chapters, "pages_cpu": round(pages, 1), "wall": round(wall, 1)}
        Path(app.outdir).parent.joinpath("times.json").write_text(json.dumps(times, indent=1), encoding="utf-8")


def setup(app):
    """Execute when it is known which pages are read."""
    app.connect("builder-inited", begin)
    app.connect("env-before-read-docs", execute)
    app.connect("build-finished", report)
    app.add_directive("chapter-times", ChapterTimes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
