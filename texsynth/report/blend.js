// A texture without end beside the same texture repeated, drawn by blend.glsl, the very file for engines.
"use strict";
(() => {
  const set = JSON.parse(document.getElementById("set").textContent);
  const WIDE = 256; // values of a row of a table

  // The textures of each place that a map may take: by which it is blended, its table, and itself to be repeated.
  const PLACES = ["colour", "normal", "rough", "open", "other"];
  const [COLOURS, SCALAR, NORMALS] = ["colours", "scalar", "normals"];

  const MAIN = `
    /* head */
    uniform Blend blend;
    uniform sampler2D colourMap, normalMap, roughMap, openMap, otherMap;
    uniform sampler2D colourTable, roughTable, openTable, otherTable;
    uniform sampler2D colourPlain, normalPlain, roughPlain, openPlain, otherPlain;
    struct Numbers { float levels; vec3 same, origin; mat3 axes; };
    uniform Numbers colour, normal, rough, open, other;
    uniform int view;  // 0 the base colour, 1 lit, 2 other colours, 3 another map of one channel, 4 normals
    uniform bool borders, glossy, linear;
    uniform float green, dense;

    vec4 repeated(sampler2D map, BlendPlace at, vec2 whole) {
      return textureGrad(map, whole, at.across, at.down);
    }
    float scalar(sampler2D map, sampler2D table, sampler2D itself, BlendPlace at, vec2 whole, Numbers n) {
      if (plain) return repeated(itself, at, whole).r;
      return blendScalar(map, table, at, n.levels, n.same.x, n.origin.x, n.axes[0].x);
    }
    vec3 colours(sampler2D map, sampler2D table, sampler2D itself, BlendPlace at, vec2 whole, Numbers n) {
      if (plain) return repeated(itself, at, whole).rgb;
      return blendColour(map, table, at, n.levels, n.same, n.origin, n.axes);
    }
    vec3 slanted(BlendPlace at, vec2 whole) {
      if (plain) return repeated(normalPlain, at, whole).xyz * 2.0 - 1.0;
      return blendNormal(normalMap, at, normal.same.xy, normal.origin.xy);
    }
    // The grid of triangles.
    vec3 withBorders(vec3 c, vec2 at) {
      vec2 grid = vec2(at.x - at.y * 0.57735027, at.y * 1.15470054) / blend.grid, f = fract(grid);
      float third = fract(f.x + f.y);
      vec3 near = 0.5 - abs(vec3(f, third) - 0.5);
      float wide = min(near.x, min(near.y, near.z)) * blend.grid * 0.866 / (pixel * dense);
      c = mix(c, vec3(0.0), 0.45 * (1.0 - smoothstep(1.2, 2.4, wide)));
      return mix(c, vec3(1.0), 1.0 - smoothstep(0.4, 1.3, wide));
    }
    void main() {
      vec2 size = vec2(blend.size), from = place(), at = from + vec2(corner) * size, whole = from / size;
      BlendPlace p = blendPlace(at, vec2(pixel, 0.0), vec2(0.0, pixel), blend);
      vec3 c;
      if (view == 4) c = slanted(p, whole) * 0.5 + 0.5;
      else if (view == 3) c = vec3(scalar(otherMap, otherTable, otherPlain, p, whole, other));
      else if (view == 2) c = colours(otherMap, otherTable, otherPlain, p, whole, other);
      else c = colours(colourMap, colourTable, colourPlain, p, whole, colour);
      if (linear && (view < 3)) c = srgb(c);
      if (view == 1) {
        vec3 n = slanted(p, whole);
        n = normalize(vec3(n.x, n.y * green, max(n.z, sqrt(max(0.01, 1.0 - dot(n.xy, n.xy))))));
        float r = scalar(roughMap, roughTable, roughPlain, p, whole, rough);
        float o = scalar(openMap, openTable, openPlain, p, whole, open);
        c = srgb(lit(light(max(c, 0.0)), n, clamp(glossy ? 1.0 - r : r, 0.0, 1.0), clamp(o, 0.0, 1.0)));
      }
      shown = vec4(borders && !plain ? withBorders(c, at) : c, 1.0);
    }`;

  const units = {}; // of each sampler
  for (const place of PLACES)
    for (const what of ["Map", "Table", "Plain"]) if (place + what !== "normalTable") units[place + what] = Object.keys(units).length;
  const by = (part) => set.maps.find((map) => map.part === part);
  let current = "";

  function repeating(gl, unit, image, absent) {
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    if (image) gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, image);
    else gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array([...absent, 255]));
    filtered(gl, gl.TEXTURE_2D, gl.REPEAT);
  }

  // Values of 16 bits, of one channel or three, as a texture that may be filtered.
  function tabled(gl, unit, map) {
    const bytes = Uint8Array.from(atob(map.table), (letter) => letter.charCodeAt(0));
    const values = new Uint16Array(bytes.buffer), channels = values.length / WIDE / map.levels;
    const texels = new Float32Array(WIDE * map.levels * 4);
    for (let i = 0; i < WIDE * map.levels; i++)
      for (let c = 0; c < 3; c++) texels[4 * i + c] = values[channels * i + (c % channels)] / 65535;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA16F, WIDE, map.levels, 0, gl.RGBA, gl.FLOAT, texels);
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
    for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.LINEAR);
  }

  // A map in its place; where there is none, a value that is the same everywhere.
  async function put(gl, uniform, place, map, absent) {
    const [image, itself] = map ? await Promise.all([map.source, map.plain].map(picture)) : [null, null];
    repeating(gl, units[`${place}Map`], image, absent);
    repeating(gl, units[`${place}Plain`], itself, absent);
    const numbers = map || { levels: 1, same: [0, 0, 0], origin: absent.map((value) => value / 255), axes: Array(9).fill(0), table: btoa("\0".repeat(2 * WIDE)) };
    if (place !== "normal") tabled(gl, units[`${place}Table`], numbers);
    gl.uniform1f(uniform(`${place}.levels`), numbers.levels);
    gl.uniform3fv(uniform(`${place}.same`), numbers.same);
    gl.uniform3fv(uniform(`${place}.origin`), numbers.origin);
    gl.uniformMatrix3fv(uniform(`${place}.axes`), false, numbers.axes);
  }

  async function begin(gl, uniform) {
    for (const [name, unit] of Object.entries(units)) gl.uniform1i(uniform(name), unit);
    gl.uniform2uiv(uniform("blend.size"), set.size);
    gl.uniform1f(uniform("blend.grid"), set.grid);
    gl.uniform1f(uniform("blend.sharpness"), set.sharpness);
    gl.uniform1ui(uniform("blend.cells"), set.cells);
    gl.uniform4uiv(uniform("blend.steps"), set.steps);
    gl.uniform1i(uniform("linear"), set.linear ? 1 : 0);
    gl.uniform1i(uniform("glossy"), !by("roughness") && by("smoothness") ? 1 : 0);
    gl.uniform1f(uniform("green"), by("normal") && by("normal").down ? -1 : 1);
    await put(gl, uniform, "colour", set.maps[0], [0, 0, 0]);
    await put(gl, uniform, "normal", by("normal"), [128, 128, 255]);
    await put(gl, uniform, "rough", by("roughness") || by("smoothness"), [200, 200, 200]);
    await put(gl, uniform, "open", by("occlusion"), [255, 255, 255]);
    await put(gl, uniform, "other", null, [0, 0, 0]);
    current = "";
  }

  function draw(gl, uniform, state) {
    const map = set.maps.find((one) => one.name === state.map);
    const kinds = { [COLOURS]: 2, [SCALAR]: 3, [NORMALS]: 4 };
    const view = state.map === "lit" ? 1 : map === set.maps[0] ? (map.kind === SCALAR ? 3 : 0) : kinds[map.kind];
    if ((view === 2 || view === 3) && current !== state.map) {
      current = state.map;
      put(gl, uniform, "other", map, [0, 0, 0]).then(page.again);
    }
    gl.uniform1i(uniform("view"), view);
    gl.uniform1ui(uniform("blend.seed"), state.seed >>> 0);
    gl.uniform1i(uniform("borders"), field("borders").checked ? 1 : 0);
    gl.uniform1f(uniform("dense"), Math.min(3, window.devicePixelRatio || 1));
  }

  const page = { fragment: set.glsl + MAIN, size: set.size, bounds: null, begin, draw };
  show(page);
})();
