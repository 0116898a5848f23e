"""What keeps people from using a page: `troubles` walks a page of Playwright as assistive technology sees it."""

from __future__ import annotations

from typing import Any

CONTROLS = {"button", "checkbox", "combobox", "link", "listbox", "menuitem", "progressbar", "radio", "radiogroup"}
CONTROLS |= {"searchbox", "slider", "spinbutton", "switch", "tab", "textbox"}
NAMED = CONTROLS | {"image", "img", "Canvas", "dialog", "region", "figure"}

# Structure: ids that are there twice or that nothing has, headings that skip a level, and what is one on every page.
STRUCTURE = """() => {
  const wrong = [], ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  const twice = ids.filter((id, at) => ids.indexOf(id) < at);
  wrong.push(...twice.map((id) => `two have the id ${id}`));
  for (const name of ["for", "aria-labelledby", "aria-describedby", "aria-controls", "aria-activedescendant"])
    for (const one of document.querySelectorAll(`[${name}]`))
      for (const id of one.getAttribute(name).split(/\\s+/))
        if (id && !ids.includes(id)) wrong.push(`${name} refers to ${id}, which nothing has`);
  const headings = [...document.querySelectorAll("h1, h2, h3, h4")].filter((one) => one.checkVisibility());
  const levels = headings.map((one) => Number(one.tagName[1]));
  const deep = headings.filter((_, at) => levels[at] > (levels[at - 1] ?? 0) + 1);
  wrong.push(...deep.map((one) => `no level above ${one.textContent}`));
  for (const tag of ["main", "h1", "title"])
    if (document.querySelectorAll(tag).length !== 1) wrong.push(`${document.querySelectorAll(tag).length} ${tag}`);
  if (!document.documentElement.lang) wrong.push("no language");
  return wrong;
}"""

# Contrast of WCAG 2.1, AA: 4.5 for text and 3 for large text and for the edges of fields. Text on pictures is left out.
CONTRAST = """() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [...[r, g, b].map((value, at) => value * a + under[at] * (1 - a)), 1];
  const ground = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      const style = getComputedStyle(one);
      if (style.backgroundImage !== "none") return null;
      layers.push(rgba(style.backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reduceRight((under, layer) => over(layer, under), [255, 255, 255, 1]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => {
      return value <= 10.3 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const wrong = new Set();
  const check = (element, colour, under, least, what) => {
    if (!under) return;
    const found = ratio(over(rgba(colour), under), under);
    if (found < least) wrong.add(`contrast ${found.toFixed(2)} of ${what} in ${element.tagName} ${element.className}`);
  };
  const shown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    && !element.closest(":disabled, label:has(:disabled), .visually-hidden");
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const [text, element] = [texts.currentNode.data.trim(), texts.currentNode.parentElement];
    if (!text || element.closest("option, script, svg") || !shown(element)) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.6 && style.fontWeight >= 700);
    check(element, style.color, ground(element), large ? 3 : 4.5, text.slice(0, 30));
  }
  const fields = 'input:not([type="checkbox"], [type="radio"], [type="range"], [type="color"]), select, textarea';
  for (const field of [...document.querySelectorAll(fields)].filter(shown)) {
    check(field, getComputedStyle(field).color, ground(field), 4.5, "a value");
    check(field, getComputedStyle(field, "::placeholder").color, ground(field), 4.5, "a placeholder");
    check(field, getComputedStyle(field).borderTopColor, ground(field.parentElement), 3, "an edge");
  }
  return [...wrong];
}"""


def troubles(page: Any) -> list[str]:
    """What is wrong with a page as it is now: controls and pictures without a name, ids that are there twice, headings
    that skip a level, and text that is too faint."""
    return [*_nameless(page), *page.evaluate(STRUCTURE), *page.evaluate(CONTRAST)]


def _nameless(page: Any) -> list[str]:
    """The controls and pictures that have no name in the tree of assistive technology."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    bare = [node for node in nodes if not node["ignored"] and _word(node, "role") in NAMED and not _word(node, "name")]
    markup = [_markup(session, node["backendDOMNodeId"]) for node in bare]
    session.detach()
    return [f"no name: {text}" for text in markup]


def _word(node: dict[str, Any], key: str) -> str:
    return str(node.get(key, {}).get("value", "")).strip()


def _markup(session: Any, number: int) -> str:
    text: str = session.send("DOM.getOuterHTML", {"backendNodeId": number})["outerHTML"]
    return text[:150]
