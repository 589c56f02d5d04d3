"""report.html in a real browser: what a reader can do with it, and that it works without a mouse and on paper."""

import itertools
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from study.records.status import mark_failed
from tests.conftest import run_folders, run_here

pytestmark = pytest.mark.slow

AXE = Path(__file__).parent / "axe" / "axe.min.js"
SCRIPT = "<script>alert(1)</script>"
FEW = ("data=digits", "data.train_size=200", "epochs=5", "model.hidden=[8]", "workers=1", "name=seen")
RUNS = 15


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of a study of a λ path, of an option whose name is a script, and of a run that failed."""
    folder = tmp_path_factory.mktemp("browser")
    option = folder / "own" / "reg" / f"{SCRIPT}.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("_target_: study.regularizers.penalties.L2\nlam: 1e-3\n")
    for regs in (("reg=none",), ("reg=l1", "lam=1e-5,1e-4,1e-3"), ("--config-dir=own", f'reg="{SCRIPT}"')):
        result = run_here("-m", *FEW, *regs, "seeds=3", cwd=folder)
        assert result.code == 0, result.err
    study = folder / "outputs" / "seen"
    mark_failed(next(run for run in run_folders(study) if run.name.startswith("none-seed0")), f"no memory {SCRIPT}")
    result = run_here("analyze", "name=seen", "figures=[gap]", "allow=[pairs]", cwd=folder)
    assert result.code == 0, result.err
    return study / "analysis" / "report.html"


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if "REGSTUDY_CI" not in os.environ:
        pytest.importorskip("playwright", reason="the extra browser is not installed; .ci/run installs it")
        if chromium is None:
            pytest.skip("chromium is not installed; .ci/run installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])


@pytest.fixture
def open_page(browser, report):
    """Open the page; afterwards, nothing may have gone wrong in it, and it may have asked for nothing else."""
    contexts, wrong = [], []

    def opened(width=1500, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or wrong.append(request.url))
        page.goto(report.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def column(page, number: int) -> list[str]:
    return page.locator(f"#table-gap_table tbody tr > :nth-child({number})").all_inner_texts()


def lines(page, chart: str) -> int:
    return page.evaluate(f"charts.get('{chart}').uplot.series.length - 1")


def test_a_table_is_sorted_by_its_header(open_page):
    page = open_page()
    header = page.get_by_role("button", name="Val acc. (%)").first
    place = page.evaluate("tableOf('gap_table').headers.indexOf('Val acc. (%)') + 1")
    for direction in ("descending", "ascending"):
        header.click()
        values = [float(text.partition(" ")[0]) for text in column(page, place)]
        assert values == sorted(values, reverse=direction == "descending")
        assert len(set(values)) > 2
        assert header.locator("xpath=ancestor::th").get_attribute("aria-sort") == direction
    header.click()
    assert page.locator("#gap [aria-sort]").count() == 0


def test_a_table_is_filtered_by_labels_and_keys(open_page):
    page = open_page()
    for text, rows in (("runs", 0), ("L1", 9), ("l1-lam0.001", 3), ("l1 10⁻⁴", 3), ("", RUNS - 1)):
        page.locator("#table-runs-filter").fill(text)
        assert page.locator("#table-runs tbody tr:has(th)").count() == rows, text
        assert page.locator("#runs .count").inner_text() == f"{rows} of {RUNS - 1} rows"


def test_boxes_show_and_hide_variants_in_all_charts(open_page):
    page = open_page()
    before = lines(page, "curve-0"), lines(page, "weights-chart")
    assert before == (RUNS - 1, 5)
    page.locator("#curves").get_by_label("No regularizer").uncheck()
    assert (lines(page, "curve-0"), lines(page, "weights-chart")) == (before[0] - 2, 4)
    assert not page.locator("#weights").get_by_label("No regularizer").is_checked()
    page.locator("#weights").get_by_role("button", name="Hide all").click()
    assert lines(page, "curve-1") == 0
    page.locator("#weights").get_by_role("button", name="Show all").click()
    assert lines(page, "curve-1") == before[0]


def test_the_line_under_the_pointer_is_named(open_page):
    page = open_page()
    plot = page.locator("#curves .plot").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    readout = page.locator("#curves .readout").first
    for share in (0.3, 0.4, 0.5, 0.6, 0.7):
        page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + share * box["height"])
    assert re.search(r"seed \d, epoch \d: [\d.]+\. Run \S+-seed\d-[0-9a-f]{12}", readout.inner_text())
    page.mouse.move(5, 5)
    assert "Point at a line" in readout.inner_text()


def test_the_slider_moves_the_weights_through_the_epochs(open_page):
    page = open_page()
    slider, title = page.locator("#weights input[type=range]"), page.locator("#weights figcaption")
    assert "epoch 5:" in title.inner_text()
    trained = page.evaluate("charts.get('weights-chart').options.series[0].values")
    slider.focus()
    slider.press("Home")
    assert "epoch 0:" in title.inner_text()
    assert slider.get_attribute("aria-valuetext") == "epoch 0"
    assert page.evaluate("charts.get('weights-chart').options.series[0].values") != trained
    slider.press("ArrowRight")
    assert "epoch 1:" in title.inner_text()
    page.locator("#weights select").select_option("output.bias")
    assert "output.bias, epoch 1:" in title.inner_text()


def test_new_data_keeps_what_the_reader_has_chosen(open_page):
    page = open_page()
    page.locator("#table-gap_table-filter").fill("l1")
    page.get_by_role("button", name="Val acc. (%)").first.click()
    page.locator("#curves").get_by_label("No regularizer").uncheck()
    page.locator("#curves").get_by_role("radio", name="Training").check()
    page.locator("#weights input[type=range]").focus()
    page.keyboard.press("Home")
    page.get_by_role("button", name=re.compile("^Details of l1")).first.click()
    sorted_before, shown = column(page, 1), lines(page, "curve-0")
    page.locator("#table-gap_table-filter").focus()
    page.evaluate(
        """() => {
            const fresh = structuredClone(data);
            fresh.problems = [];
            fresh.question = "Fresh?";
            fresh.curves.runs.push({ ...fresh.curves.runs.at(-1), run: "another" });
            const table = fresh.tables.find((table) => table.stem === "gap_table");
            table.rows.push([...table.rows.find((row) => row[0].startsWith('l1'))]);
            study.update(fresh);
        }"""
    )
    assert page.locator("#question").inner_text() == "Fresh?"
    assert "No run failed" in page.locator("#problems").inner_text()
    assert page.locator("#problems table").count() == 0
    assert lines(page, "curve-0") == shown + 1
    assert len(column(page, 1)) == len(sorted_before) + 1
    assert dict.fromkeys(column(page, 1)) == dict.fromkeys(sorted_before)
    assert page.locator("#gap .count").inner_text() == f"{len(sorted_before) + 1} of 6 rows"
    assert page.locator("#table-gap_table-filter").input_value() == "l1"
    assert page.evaluate("document.activeElement.id") == "table-gap_table-filter"
    assert page.locator("#curves").get_by_role("radio", name="Training").is_checked()
    assert "epoch 0:" in page.locator("#weights figcaption").inner_text()
    assert page.locator("#runs tr.detail").count() == 1


def test_all_is_reached_with_the_keyboard(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("#curves .plot").first.focus()
    readout = page.locator("#curves .readout").first
    page.keyboard.press("ArrowRight")
    assert "epoch 0:" in readout.inner_text()
    page.keyboard.press("ArrowRight")
    first = readout.inner_text()
    assert "epoch 1:" in first
    page.keyboard.press("ArrowDown")
    assert "epoch 1:" in readout.inner_text() != first
    header = page.get_by_role("button", name="Val acc. (%)").first
    header.focus()
    page.keyboard.press("Enter")
    assert header.locator("xpath=ancestor::th").get_attribute("aria-sort") == "descending"
    assert page.evaluate("document.activeElement.closest('th').getAttribute('aria-sort')") == "descending"
    page.get_by_role("button", name=re.compile("^Details of none")).first.focus()
    page.keyboard.press("Enter")
    detail = page.locator("#runs tr.detail").inner_text()
    assert "study reg=none" in detail
    assert "torch" in detail
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"


def test_failures_are_the_first_thing_that_a_reader_sees(open_page):
    page = open_page()
    assert page.locator("main section").first.get_attribute("id") == "problems"
    text = page.locator("#problems").inner_text()
    assert "One run failed" in text
    assert f"no memory {SCRIPT}" in text


def test_charts_have_their_numbers_as_tables(open_page):
    page = open_page()
    for section, rows in (("curves", RUNS - 1), ("weights", 5), ("path", 4)):
        page.locator(f"#{section} details.numbers > summary").first.click()
        found = page.locator(f"#{section} details.numbers tbody tr")
        found.first.wait_for()  # they come after the click
        assert found.count() == rows
    assert page.locator("#answer img").get_attribute("alt")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 900, 1500])
def test_axe_finds_nothing_serious_and_no_page_is_wider_than_its_window(open_page, width, scheme):
    page = open_page(width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
    page.get_by_role("button", name=re.compile("^Details of")).first.click()
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    serious = [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")]
    assert serious == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_shades_of_one_colour_differ_on_a_dark_page_and_are_not_too_dark(open_page):
    page = open_page(1500, "dark")
    shades = ["#ecb78c", "#e18a46", "#d55e00", "#a04600", "#6a2f00"]  # of L1, from the smallest to the largest λ
    drawn = page.evaluate(
        "(shades) => shades.map((shade) => lightnessOf(tone(shade).match(/\\d+/g).map(Number)))", shades
    )
    assert all(brighter - darker > 7 for brighter, darker in itertools.pairwise(drawn)), drawn
    assert drawn[-1] > 43  # a contrast of 3 to the page


def test_it_prints_in_light_colours_on_paper(open_page, tmp_path):
    page = open_page(1500, "dark")
    page.evaluate("globalThis.prints = []; addEventListener('beforeprint', () => prints.push(isDark()))")
    content = page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    assert content.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 30
    assert page.evaluate("prints") == [False]
    assert page.evaluate("isDark()")


def test_names_from_configs_stand_as_text(open_page):
    page = open_page()
    labels = page.locator("#curves .boxes label").all_inner_texts()
    assert any(SCRIPT in label for label in labels), labels
    assert SCRIPT in json.dumps(page.evaluate("data"))


def test_differences_with_a_margin_have_a_band_and_verdicts(browser, tmp_path):
    variants = "variants=[{reg: none}, {reg: l1, lam: 1e-9}]"
    assert run_here(*FEW, variants, "seeds=6", "equivalence=5", cwd=tmp_path).code == 0
    assert run_here("analyze", "name=seen", "figures=[]", cwd=tmp_path).code == 0
    context = browser.new_context(viewport={"width": 1500, "height": 900})
    page = context.new_page()
    page.goto((tmp_path / "outputs" / "seen" / "analysis" / "report.html").as_uri())
    forest = page.locator("table.forest")
    assert "equivalent within ±5" in forest.inner_text()
    assert forest.locator("rect.margin").count() == 1
    page.locator("#differences select").select_option("val_loss")
    assert "Verdict" not in forest.inner_text()
    assert forest.locator("rect.margin").count() == 0
    context.close()
