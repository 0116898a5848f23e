// A random plane of a set of tiles beside one tile repeated, drawn by tiles.glsl, the very file for engines.
"use strict";
const TABLE = 256; // cells along a side of the part of the plane whose tiles are laid here and not by the shader

function isSmallerWang(set) {
  return set.kind === "wang" && set.tiles.length < set.colours ** 4;
}

// What lays the tiles of a set whose places need more than a hash, as tiles/plane.py does: a function of the cell at
// the upper left (which is that of the plane for a smaller Wang set) and of the seed, for TABLE x TABLE cells.
function laying(set) {
  // Which of two materials lies at a place: what most of nine places drew.
  function region(x, y, seed) {
    let votes = 0;
    for (let down = -1; down <= 1; down++) for (let across = -1; across <= 1; across++) votes += mixed(x + across, y + down, seed) % 2;
    return votes >= 5 ? 1 : 0;
  }

  const byColours = new Map(set.tiles.map((colours, number) => [colours.join(), number]));

  function marching(x, y, at) {
    return [at(x, y), at(x + 1, y), at(x + 1, y + 1), at(x, y + 1), 0, 0, 0, 0, 0];
  }

  function blob(x, y, at) { // a corner counts between two edges of the same material
    const middle = at(x, y);
    const [n, e, s, w] = [[0, -1], [1, 0], [0, 1], [-1, 0]].map(([across, down]) => middle * at(x + across, y + down));
    const corners = [n * w * at(x - 1, y - 1), n * e * at(x + 1, y - 1), s * e * at(x + 1, y + 1), s * w * at(x - 1, y + 1)];
    return [...corners, n, e, s, w, middle];
  }

  // In a smaller Wang set each tile chooses the edges of those below it and to its right (Cohen et al. 2003).
  function laid(left, top, seed) {
    const numbers = new Uint8Array(TABLE * TABLE);
    if (isSmallerWang(set)) {
      const south = Array.from({ length: TABLE }, (_, x) => mixed(2 * x, 0, seed) % set.colours);
      for (let y = 0; y < TABLE; y++) {
        let east = mixed(1, y, seed) % set.colours;
        for (let x = 0; x < TABLE; x++) {
          const fitting = set.fitting[south[x] * set.colours + east];
          const number = fitting[mixed(x, y, seed + 1) % fitting.length];
          numbers[y * TABLE + x] = number;
          [, , , , , east, south[x]] = set.tiles[number];
        }
      }
      return numbers;
    }
    const side = TABLE + 2, cells = new Uint8Array(side * side);
    for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) cells[y * side + x] = region(left + x - 1, top + y - 1, seed);
    const at = (x, y) => cells[(y - top + 1) * side + x - left + 1];
    const colours = set.kind === "blob" ? blob : marching;
    for (let y = 0; y < TABLE; y++)
      for (let x = 0; x < TABLE; x++) numbers[y * TABLE + x] = byColours.get(colours(left + x, top + y, at).join());
    return numbers;
  }

  return laid;
}

(() => {
  const set = JSON.parse(document.getElementById("set").textContent);
  const [RANDOM_CORNERS, RANDOM_EDGES, LAID] = [0, 1, 2];
  const isSmaller = isSmallerWang(set);
  const way = set.kind === "corner" ? RANDOM_CORNERS : set.kind === "wang" && !isSmaller ? RANDOM_EDGES : LAID;

  const MAIN = `
    /* head */
    uniform Tiles tiles;
    uniform sampler2DArray colourMap, normalMap, roughMap, openMap, dataMap;
    uniform highp usampler2D table;
    uniform ivec2 tableCorner; // the cell of its first texel
    uniform int way, plainTile, view; // 0 the base colour, 1 lit, 2 a map of colours, 3 another map
    uniform int marks[${set.tiles.length}]; // colours of the corners or edges of each tile, two bits each
    uniform bool borders, edged, glossy;
    uniform float green, dense;

    int numberAt(ivec2 cell) {
      if (plain) return plainTile;
      if (way == ${RANDOM_CORNERS}) return cornerTile(cell, tiles);
      if (way == ${RANDOM_EDGES}) return wangTile(cell, tiles);
      return int(texelFetch(table, clamp(cell - tableCorner, ivec2(0), ivec2(${TABLE - 1})), 0).r);
    }
    vec3 marked(int colour) {
      return colour == 0 ? vec3(0.13, 0.55, 0.95) : colour == 1 ? vec3(1.0, 0.66, 0.1) : vec3(0.9, 0.2, 0.55);
    }
    // Lines between tiles, in the colours of their edges, and dots in those of their corners. within: in the tile, 0 to 1.
    vec3 withBorders(vec3 c, int number, vec2 within) {
      vec2 side = vec2(lessThan(within, vec2(0.5)));
      vec2 far = (0.5 - abs(within - 0.5)) * tiles.size / (pixel * dense); // from the border, in pixels of the page
      vec2 size = tiles.size / (pixel * dense);
      int corner = side.y > 0.5 ? (side.x > 0.5 ? 0 : 1) : (side.x > 0.5 ? 3 : 2);
      int edge = far.y < far.x ? (side.y > 0.5 ? 0 : 2) : (side.x > 0.5 ? 3 : 1);
      int mark = marks[number];
      float near = min(far.x, far.y), wide = edged ? 2.0 : 0.8;
      vec3 line = edged ? marked(mark >> (2 * edge) & 3) : vec3(1.0);
      c = mix(c, vec3(0.0), 0.45 * (1.0 - smoothstep(wide + 0.5, wide + 1.5, near)));
      c = mix(c, line, 1.0 - smoothstep(wide - 0.5, wide + 0.5, near));
      if (edged || mark < 0) return c;
      float dot_ = min(7.0, 0.16 * min(size.x, size.y)), from = length(far);
      c = mix(c, vec3(0.0), 0.6 * (1.0 - smoothstep(dot_ + 0.5, dot_ + 1.5, from)));
      return mix(c, marked(mark >> (2 * corner) & 3), 1.0 - smoothstep(dot_ - 0.5, dot_ + 0.5, from));
    }
    void main() {
      vec2 at = place() / tiles.size, across = vec2(pixel, 0.0) / tiles.size, down = vec2(0.0, pixel) / tiles.size;
      ivec2 cell = ivec2(floor(at));
      vec2 within = at - vec2(cell);
      int number = numberAt(cell + corner);
      vec4 c;
      if (view == 3) {
        c = tileOfArray(dataMap, number, within, across, down, tiles);
      } else if (view == 2) {
        c = tileOfArray(dataMap, number, within, across, down, tiles);
        c.rgb = srgb(c.rgb);
      } else {
        c = tileOfArray(colourMap, number, within, across, down, tiles);
        if (view == 1) {
          vec3 n = tileOfArray(normalMap, number, within, across, down, tiles).xyz * 2.0 - 1.0;
          n = normalize(vec3(n.x, n.y * green, max(n.z, sqrt(max(0.01, 1.0 - dot(n.xy, n.xy))))));
          float rough = tileOfArray(roughMap, number, within, across, down, tiles).r;
          float open = tileOfArray(openMap, number, within, across, down, tiles).r;
          c.rgb = lit(c.rgb, n, glossy ? 1.0 - rough : rough, open);
        }
        c.rgb = srgb(c.rgb);
      }
      shown = chequered(c);
      if (borders) shown.rgb = withBorders(shown.rgb, number, within);
    }`;

  const laid = laying(set);
  const images = new Map(), textures = new Map(); // by the names of maps
  const slots = ["colourMap", "normalMap", "roughMap", "openMap", "dataMap", "table"];
  let current = "", table = "";

  // A map as an array of tiles with their padding, each with mips of its own.
  function upload(gl, unit, image, isColour, absent) {
    gl.activeTexture(gl.TEXTURE0 + unit);
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, texture);
    const format = isColour ? gl.SRGB8_ALPHA8 : gl.RGBA8;
    if (!image) {
      gl.texImage3D(gl.TEXTURE_2D_ARRAY, 0, format, 1, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(absent));
      filtered(gl, gl.TEXTURE_2D_ARRAY, gl.CLAMP_TO_EDGE);
      return texture;
    }
    const [width, height] = [image.naturalWidth / set.columns, image.naturalHeight / set.rows];
    const levels = 1 + Math.floor(Math.log2(Math.max(width, height)));
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, levels, format, width, height, set.tiles.length);
    // Once out of the picture, as a part of it costs as much as the whole.
    const copy = Object.assign(document.createElement("canvas"), { width: image.naturalWidth, height: image.naturalHeight });
    const context = copy.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const texels = new Uint8Array(context.getImageData(0, 0, copy.width, copy.height).data.buffer);
    gl.pixelStorei(gl.UNPACK_ROW_LENGTH, copy.width);
    set.tiles.forEach((_, number) => {
      const first = (Math.floor(number / set.columns) * height * copy.width + (number % set.columns) * width) * 4;
      gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, number, width, height, 1, gl.RGBA, gl.UNSIGNED_BYTE, texels, first);
    });
    gl.pixelStorei(gl.UNPACK_ROW_LENGTH, 0);
    filtered(gl, gl.TEXTURE_2D_ARRAY, gl.CLAMP_TO_EDGE);
    return texture;
  }

  const by = (role) => set.maps.find((map) => map.part === role);

  async function loaded(map) {
    if (map && !images.has(map)) images.set(map, await picture(map.source));
    return map ? images.get(map) : null;
  }

  async function begin(gl, uniform) {
    slots.forEach((name, unit) => gl.uniform1i(uniform(name), unit));
    upload(gl, 0, await loaded(set.maps[0]), true);
    upload(gl, 1, await loaded(by("normal")), false, [128, 128, 255, 255]);
    upload(gl, 2, await loaded(by("roughness") || by("smoothness")), false, [200, 200, 200, 255]);
    upload(gl, 3, await loaded(by("occlusion")), false, [255, 255, 255, 255]);
    upload(gl, 4, null, false, [0, 0, 0, 255]);
    gl.uniform2f(uniform("tiles.size"), set.width, set.height);
    gl.uniform1f(uniform("tiles.padding"), set.padding);
    gl.uniform2i(uniform("tiles.grid"), set.columns, set.rows);
    gl.uniform1i(uniform("tiles.colours"), set.colours);
    gl.uniform1i(uniform("way"), way);
    gl.uniform1i(uniform("plainTile"), set.plain);
    gl.uniform1i(uniform("edged"), set.kind === "wang" ? 1 : 0);
    gl.uniform1i(uniform("glossy"), !by("roughness") && by("smoothness") ? 1 : 0);
    gl.uniform1f(uniform("green"), by("normal") && by("normal").down ? -1 : 1);
    const first = set.kind === "wang" ? 4 : 0;
    const marks = set.tiles.map((tile) => tile.slice(first, first + 4).reduce((sum, colour, i) => sum | (colour << (2 * i)), 0));
    gl.uniform1iv(uniform("marks[0]"), set.kind === "blob" ? marks.map(() => -1) : marks);
    current = table = "";
    textures.clear();
    if (way !== LAID) return;
    gl.activeTexture(gl.TEXTURE5);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  }

  function lay(gl, uniform, cell, seed) { // anew where the view has left what is laid
    const near = (place) => (isSmaller ? 0 : Math.floor((place - TABLE / 8) / (TABLE / 4)) * (TABLE / 4));
    const [left, top] = cell.map(near), key = [left, top, seed].join();
    if (key === table) return;
    table = key;
    gl.activeTexture(gl.TEXTURE5);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8UI, TABLE, TABLE, 0, gl.RED_INTEGER, gl.UNSIGNED_BYTE, laid(left, top, seed));
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4);
    gl.uniform2i(uniform("tableCorner"), left, top);
  }

  function present(gl, map, image) { // in the place of maps that are shown by themselves
    if (current !== map.name) return;
    gl.activeTexture(gl.TEXTURE4);
    if (textures.has(map.name)) gl.bindTexture(gl.TEXTURE_2D_ARRAY, textures.get(map.name));
    else textures.set(map.name, upload(gl, 4, image, map.colour));
    page.again();
  }

  function draw(gl, uniform, state) {
    const map = set.maps.find((one) => one.name === state.map);
    const view = state.map === "lit" ? 1 : map === set.maps[0] ? 0 : map.colour ? 2 : 3;
    if (view > 1 && current !== state.map) {
      current = state.map;
      loaded(map).then((image) => present(gl, map, image));
    }
    gl.uniform1i(uniform("view"), view);
    gl.uniform1i(uniform("tiles.seed"), state.seed);
    gl.uniform1i(uniform("borders"), field("borders").checked ? 1 : 0);
    gl.uniform1f(uniform("dense"), Math.min(3, window.devicePixelRatio || 1));
    if (way === LAID) lay(gl, uniform, state.cell, state.seed);
  }

  const page = {
    fragment: set.glsl + MAIN,
    size: [set.width, set.height],
    bounds: isSmaller ? [0, 0, TABLE * set.width, TABLE * set.height] : null,
    begin,
    draw,
  };
  show(page);
})();
