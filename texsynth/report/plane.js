// The stage of the pages on tiles and on blending: one plane that is drawn without end beside one that repeats, both of
// the same place; it is moved and magnified by mouse, touch and keys. What is drawn is a page's own; no library.
//
// A page calls show({ ... }) with
//   fragment   GLSL after the version line, whose main() calls `place()` for where it is; see HEAD
//   size       [width, height] of what repeats, in pixels of the plane
//   bounds     [left, top, right, bottom] of the plane, or null where it has no end
//   begin(gl, uniform)       makes what is drawn; may be asynchronous
//   draw(gl, uniform, state) sets what depends on the form and on the place, once for all parts
"use strict";
const plane = document.getElementById("plane");
const canvas = plane.querySelector("canvas");
const field = (name) => plane.querySelector(`[name=${name}]`);

// Before the page's own: where a pixel of the canvas lies on the plane. Whole cells are apart from the rest, so that
// floats stay exact however far one goes.
const HEAD = `
uniform vec4 port;     // left, top, width and height of a part of the canvas, in its pixels
uniform float tall;    // the height of the canvas
uniform ivec2 corner;  // the cell in which the upper left corner of the part lies
uniform vec2 start;    // where in it, in pixels of the plane
uniform float pixel;   // a pixel of the canvas in pixels of the plane
uniform bool plain;    // is it the part that repeats?
out vec4 shown;
vec2 place() { return start + vec2(gl_FragCoord.x - port.x, tall - gl_FragCoord.y - port.y) * pixel; }
vec3 light(vec3 c) { return mix(c / 12.92, pow((c + 0.055) / 1.055, vec3(2.4)), step(0.04045, c)); }
vec3 srgb(vec3 c) { return mix(c * 12.92, 1.055 * pow(max(c, 0.0), vec3(1.0 / 2.4)) - 0.055, step(0.0031308, c)); }
vec4 chequered(vec4 c) {
  vec2 square = floor(gl_FragCoord.xy / 8.0);
  float grey = mod(square.x + square.y, 2.0) < 1.0 ? 0.73 : 0.87;
  return vec4(mix(vec3(grey), c.rgb, c.a), 1.0);
}
// A surface under a lamp: GGX microfacets (Walter et al. 2007), and some light from everywhere. n: its green is up.
uniform float lampAngle; // where the lamp stands, counterclockwise from the right
vec3 lit(vec3 base, vec3 n, float rough, float open) {
  vec3 lamp = normalize(vec3(cos(lampAngle), sin(lampAngle), 0.8)), middle = normalize(lamp + vec3(0.0, 0.0, 1.0));
  float nl = max(dot(n, lamp), 0.0), nh = max(dot(n, middle), 0.0), a2 = pow(max(rough, 0.08), 4.0);
  float bell = nh * nh * (a2 - 1.0) + 1.0;
  float glint = 0.04 * a2 / (bell * bell) / (4.0 * mix(max(n.z, 0.1), 1.0, rough * 0.5));
  return base * ((0.3 + 0.1 * n.z) * open + 1.15 * nl) + glint * nl;
}
`;
const VERTEX = `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0); }`;
const NEAREST = 16, STEP = 60, GAP = 2; // times as large; pixels of the page that a key moves; between the parts
const FIRST = 4; // how often what repeats is seen along a part at first, if half or a quarter of its size will do

// The number of a place, as texsynth has it (tiles/hashing.py), in [0, 2^32).
function mixed(x, y, seed) {
  let n = Math.imul(x, 0x9e3779b1) ^ Math.imul(y, 0x85ebca77) ^ Math.imul(seed, 0xc2b2ae3d);
  n = Math.imul(n ^ (n >>> 16), 0x7feb352d);
  n = Math.imul(n ^ (n >>> 15), 0x846ca68b);
  return (n ^ (n >>> 16)) >>> 0;
}

function compiled(gl, fragment) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, `#version 300 es\n${fragment}`]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) throw Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) throw Error(gl.getProgramInfoLog(program));
  return program;
}

async function picture(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

// What textures have in common: filters with mips, values as they are in the file, and the first row on top.
function filtered(gl, target, wrap) {
  gl.generateMipmap(target);
  gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
  gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
  gl.texParameteri(target, gl.TEXTURE_WRAP_S, wrap);
  gl.texParameteri(target, gl.TEXTURE_WRAP_T, wrap);
}

function show(page) {
  const state = { x: 0, y: 0, zoom: 1 }; // the upper left corner of each part, and pixels of the page for one of the plane
  const pointers = new Map();
  let gl, uniform, asked = false, ready = false;

  const dense = () => Math.min(3, window.devicePixelRatio || 1);
  const isTall = () => canvas.clientHeight > canvas.clientWidth * 0.9;
  const farthest = () => Math.min(1, 16 / Math.max(...page.size)); // what repeats is 16 pixels of the page then

  // The parts of the canvas in its pixels: is it plain, left, top, width, height.
  function parts() {
    const [width, height, gap] = [canvas.width, canvas.height, Math.round(GAP * dense())];
    const which = field("parts").value;
    if (which !== "both") return [[which === "plain", 0, 0, width, height]];
    if (isTall()) {
      const half = Math.floor((height - gap) / 2);
      return [[false, 0, 0, width, half], [true, 0, height - half, width, half]];
    }
    const half = Math.floor((width - gap) / 2);
    return [[false, 0, 0, half, height], [true, width - half, 0, half, height]];
  }

  // Pixels of the page that a part covers.
  function extent() {
    const [, , , width, height] = parts()[0];
    return [width / dense(), height / dense()];
  }

  function home() {
    const zoom = [1, 0.5].find((one) => Math.max(...extent()) >= FIRST * Math.max(...page.size) * one) || 0.25;
    Object.assign(state, { x: 0, y: 0, zoom });
    ask();
  }

  function kept() { // within the plane, and in sizes that make sense
    state.zoom = Math.max(farthest(), Math.min(NEAREST, state.zoom));
    const [left, top, right, bottom] = page.bounds || [-4e8, -4e8, 4e8, 4e8];
    const [width, height] = extent();
    state.x = Math.max(left, Math.min(right - width / state.zoom, state.x));
    state.y = Math.max(top, Math.min(bottom - height / state.zoom, state.y));
  }

  function fit() { // the canvas into its place, pixel by pixel
    const size = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.max(1, Math.round(side * dense())));
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    return size;
  }

  function draw() {
    asked = false;
    if (!gl || !ready) return;
    const [width, height] = fit();
    plane.toggleAttribute("data-tall", isTall());
    plane.dataset.parts = field("parts").value;
    kept();
    const scale = state.zoom * dense();
    const [x, y] = [state.x, state.y].map((side) => Math.round(side * scale) / scale); // on whole pixels: nothing shimmers
    const cell = [Math.floor(x / page.size[0]), Math.floor(y / page.size[1])];
    gl.viewport(0, 0, width, height);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform1f(uniform("tall"), height);
    gl.uniform2i(uniform("corner"), ...cell);
    gl.uniform2f(uniform("start"), x - cell[0] * page.size[0], y - cell[1] * page.size[1]);
    gl.uniform1f(uniform("pixel"), 1 / scale);
    gl.uniform1f(uniform("lampAngle"), (Number(field("lamp").value) * Math.PI) / 180);
    page.draw(gl, uniform, { cell, seed: seed(), map: field("map").value });
    gl.enable(gl.SCISSOR_TEST);
    for (const [plain, left, top, wide, high] of parts()) {
      gl.scissor(left, height - top - high, wide, high);
      gl.uniform4f(uniform("port"), left, top, wide, high);
      gl.uniform1i(uniform("plain"), plain ? 1 : 0);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    }
    gl.disable(gl.SCISSOR_TEST);
    field("zoom").value = `${state.zoom < 0.1 ? (state.zoom * 100).toFixed(1) : Math.round(state.zoom * 100)} %`;
    field("lamp").closest("label").hidden = field("map").value !== "lit";
  }

  function ask() {
    if (!asked && gl) requestAnimationFrame(draw);
    asked = true;
  }

  const seed = () => Number(field("seed").value) | 0;

  function move(x, y) { // by so many pixels of the page
    state.x += x / state.zoom;
    state.y += y / state.zoom;
    ask();
  }

  function magnify(times, at = extent().map((side) => side / 2)) { // what lies there stays there
    const zoom = Math.max(farthest(), Math.min(NEAREST, state.zoom * times));
    state.x += at[0] / state.zoom - at[0] / zoom;
    state.y += at[1] / state.zoom - at[1] / zoom;
    state.zoom = zoom;
    ask();
  }

  function say(text) {
    plane.querySelector(".spoken").textContent = text;
  }

  function another() {
    field("seed").value = crypto.getRandomValues(new Uint16Array(1))[0];
    say(`Seed ${field("seed").value}`);
    ask();
  }

  // Where an event is in the part that it is over, in pixels of the page.
  function within(event) {
    const box = canvas.getBoundingClientRect();
    const at = [event.clientX - box.left, event.clientY - box.top];
    for (const [, left, top, wide, high] of parts()) {
      const [x, y] = [at[0] - left / dense(), at[1] - top / dense()];
      if (x >= 0 && y >= 0 && x <= wide / dense() && y <= high / dense()) return [x, y];
    }
    return at;
  }

  function drag(event) {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const others = [...pointers.entries()].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    const shift = [before[0] - event.clientX, before[1] - event.clientY];
    if (others.length === 0) return move(...shift);
    const apart = (at) => Math.hypot(at[0] - others[0][0], at[1] - others[0][1]);
    const [old, now] = [apart(before), apart([event.clientX, event.clientY])];
    move(shift[0] / 2, shift[1] / 2);
    if (old > 8 && now > 8) {
      const middle = { clientX: (event.clientX + others[0][0]) / 2, clientY: (event.clientY + others[0][1]) / 2 };
      magnify(now / old, within(middle));
    }
  }

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const far = event.shiftKey ? 5 * STEP : STEP;
    const actions = {
      ArrowLeft: () => move(-far, 0), ArrowRight: () => move(far, 0),
      ArrowUp: () => move(0, -far), ArrowDown: () => move(0, far),
      "+": () => magnify(1.25), "=": () => magnify(1.25), "-": () => magnify(0.8),
      0: () => magnify(1 / state.zoom), Home: home,
      n: another, b: () => field("borders") && field("borders").click(),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  function listen() {
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    canvas.addEventListener("pointermove", drag);
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
    canvas.addEventListener("dblclick", (event) => magnify(2, within(event)));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 30 : 1;
      magnify(Math.exp(-Math.max(-300, Math.min(300, event.deltaY * lines)) * (event.ctrlKey ? 0.01 : 0.0015)), within(event));
    }, { passive: false });
    canvas.addEventListener("keydown", pressed);
    field("new").addEventListener("click", another);
    field("out").addEventListener("click", () => magnify(0.8));
    field("in").addEventListener("click", () => magnify(1.25));
    field("whole").addEventListener("click", () => magnify(1 / state.zoom));
    plane.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    plane.addEventListener("input", ask);
    new ResizeObserver(ask).observe(canvas);
    canvas.addEventListener("webglcontextlost", (event) => { event.preventDefault(); gl = null; });
    canvas.addEventListener("webglcontextrestored", begin);
  }

  async function begin() {
    const context = canvas.getContext("webgl2", { alpha: true, antialias: false });
    if (!context) return false;
    plane.dataset.state = "loading"; // its pictures
    const program = compiled(context, page.fragment.replace("/* head */", HEAD));
    context.useProgram(program);
    context.pixelStorei(context.UNPACK_COLORSPACE_CONVERSION_WEBGL, context.NONE);
    const places = new Map();
    uniform = (name) => {
      if (!places.has(name)) places.set(name, context.getUniformLocation(program, name));
      return places.get(name);
    };
    gl = context;
    page.again = ask; // for what is there later
    await page.begin(gl, uniform);
    plane.dataset.state = "shown";
    ready = true;
    ask(); // again, where what the browser had drawn was lost
    return true;
  }

  addEventListener("load", async () => {
    if (!(await begin())) return;
    fit();
    home();
    listen();
  });
}
