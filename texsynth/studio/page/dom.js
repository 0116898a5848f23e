/**
 * Elements made by script, since the page's policy allows neither inline styles nor handlers.
 */

/**
 * An element with its attributes and children.
 * @param {string} tag
 * @param {object} details attributes by name (false and null: left out); `text` is what it says, `on` its listeners by
 *   event, `value` and `checked` are set as properties
 * @param {...(Node|string)} children
 * @returns {HTMLElement}
 */
export function make(tag, details = {}, ...children) {
  const { text, on = {}, value, checked, ...attributes } = details;
  const element = document.createElement(tag);
  for (const [name, content] of Object.entries(attributes)) {
    if (content === false || content === null || content === undefined) continue;
    element.setAttribute(name, content === true ? "" : content);
  }
  if (value !== undefined) element.value = value;
  if (checked !== undefined) element.checked = checked;
  if (text !== undefined) element.textContent = text;
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children);
  return element;
}

/**
 * A button that shows a sign and says what it does.
 * @param {string|Node} sign what is seen
 * @param {string} label what it is called, also as its tip
 * @param {() => void} action
 */
export function iconButton(sign, label, action, details = {}) {
  const attributes = { type: "button", class: "icon", "aria-label": label, title: label, on: { click: action } };
  return make("button", { ...attributes, ...details }, sign);
}

const DRAWN = "http://www.w3.org/2000/svg";
const LINES = {
  viewBox: "0 0 24 24", width: 18, height: 18, fill: "none", stroke: "currentColor", "stroke-width": 1.8,
  "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true",
};

/** A sign drawn with lines: an SVG path in a square of 24. */
export function sign(path) {
  const [picture, line] = ["svg", "path"].map((name) => document.createElementNS(DRAWN, name));
  for (const [name, value] of Object.entries(LINES)) picture.setAttribute(name, value);
  line.setAttribute("d", path);
  picture.append(line);
  return picture;
}

/**
 * A labelled number or slider.
 * @param {string} label
 * @param {object} details attributes of the input
 * @param {(value: number) => void} action called with each finite number that is entered
 * @param {"input"|"change"} event while it is entered, or when that is complete
 * @returns {HTMLLabelElement} its input is `label.control`
 */
export function numberField(label, details, action, event = "input") {
  const listener = ({ target }) => Number.isFinite(target.valueAsNumber) && action(target.valueAsNumber);
  const input = make("input", { type: "number", ...details, on: { [event]: listener } });
  return make("label", { class: "field" }, make("span", { text: label }), input);
}

/**
 * One of a few, as a segmented switch.
 * @param {string} legend
 * @param {[string, string][]} choices values and labels
 * @param {string} chosen
 * @param {(value: string) => void} action
 */
export function choice(legend, choices, chosen, action) {
  const name = `choice-${legend.toLowerCase().replace(/\W+/g, "-")}`;
  const options = choices.map(([value, label]) => make(
    "label", {},
    make("input", { type: "radio", name, value, checked: value === chosen, on: { change: () => action(value) } }),
    make("span", { text: label }),
  ));
  return make("fieldset", { class: "choice" }, make("legend", { text: legend, class: "visually-hidden" }), ...options);
}

/** Is this element one in which keys are text, so that they must not be taken as commands? */
export function takesText(element) {
  return element instanceof HTMLElement && (element.isContentEditable || element.matches("textarea, select")
    || (element.matches("input") && !["range", "checkbox", "radio", "color", "button"].includes(element.type)));
}
