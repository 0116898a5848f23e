/**
 * The material under a moving light: a sphere and a plane, drawn by rays in one fragment shader, without a library.
 *
 * Colours are decoded from sRGB; all other maps are plain numbers. Reflection is that of GGX microfacets with Smith's
 * masking (Walter et al. 2007) and Schlick's Fresnel term; the height is seen by parallax with shadows of its own
 * (Tatarchuk 2006); what a reduced normal map has lost of its bumps becomes roughness (Toksvig 2005); tones are those
 * of Khronos' PBR Neutral.
 *
 * It is a module of the studio, and part of the script of a report (view.py), where `export` is taken off.
 */
const VERTEX = `#version 300 es
  void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0, 0.0, 1.0); }`;

const FRAGMENT = `#version 300 es
  precision highp float;
  uniform sampler2D colourMap, normalMap, heightMap, roughMap, metalMap, openMap, glowMap, solidMap;
  uniform vec4 port;        // left, bottom, width and height of what is drawn, in pixels
  uniform int shape;        // 0 the plane, 1 the sphere
  uniform mat3 turn;        // from the shape's axes to the viewer's: x right, y up, z towards the viewer
  uniform vec3 lamp;        // towards the light, of unit length
  uniform float tiles;      // along a side of the plane, and across the sphere
  uniform float aspect;     // width of a tile over its height
  uniform float relief;     // from lowest to highest, in widths of a tile
  uniform float green;      // 1 where the normal map's green points up, -1 where it points down
  uniform bool bumpy, deep, gloss; // is there a normal map, a height map; does the roughness map hold smoothness?
  out vec4 shown;

  const float PI = 3.14159265;
  const int STEPS = 32, SHADOW_STEPS = 16;
  const vec3 SUN = vec3(4.4, 4.2, 3.9);

  // A place on the surface: in tiles, how it changes from pixel to pixel, and the tangents there.
  struct Place { vec2 at, across, down; mat3 frame; float fine; }; // fine: the level of the height map to read

  float height(Place p, vec2 at) { return textureLod(heightMap, at, p.fine).r; }

  // Where a line that goes down by the whole relief, and along by span, first meets the height; z is the height.
  vec3 met(Place p, vec2 span) {
    float noise = fract(52.98 * fract(dot(gl_FragCoord.xy, vec2(0.06711, 0.00584))));
    float before = 1.0, level = 1.0 - noise / float(STEPS), above = 0.0;
    vec2 at = p.at;
    for (int i = 0; i <= STEPS; i++) {
      at = p.at + span * (1.0 - level);
      float over = level - height(p, at);
      if (over <= 0.0) {
        float share = above > over ? above / (above - over) : 0.0;
        level = mix(before, level, share);
        break;
      }
      before = level, above = over;
      level -= 1.0 / float(STEPS);
    }
    level = max(level, 0.0);
    return vec3(p.at + span * (1.0 - level), level);
  }

  // How much of the light gets from a place to the top of the relief; along: in tiles, for the whole relief.
  float lit(Place p, vec3 start, vec2 along) {
    float hidden = 0.0;
    for (int i = 1; i <= SHADOW_STEPS; i++) {
      float share = (float(i) - 0.5) / float(SHADOW_STEPS);
      float level = mix(start.z, 1.0, share);
      float over = height(p, start.xy + along * (level - start.z)) - level;
      hidden = max(hidden, over / (0.03 + 0.35 * share * (1.0 - start.z)));
    }
    return 1.0 - smoothstep(0.0, 1.0, hidden);
  }

  // The normal in the tangents' axes, and how much roughness its length stands for.
  vec4 bump(Place p, vec2 at) {
    if (!bumpy && !deep) return vec4(0.0, 0.0, 1.0, 0.0);
    if (!bumpy) {
      vec2 step = 1.0 / vec2(textureSize(heightMap, 0));
      vec2 rise = vec2(height(p, at + vec2(step.x, 0.0)) - height(p, at - vec2(step.x, 0.0)),
                       height(p, at + vec2(0.0, step.y)) - height(p, at - vec2(0.0, step.y)));
      return vec4(normalize(vec3(-rise * relief * vec2(0.5, 0.5 * aspect) / step, 1.0)), 0.0);
    }
    vec3 n = textureGrad(normalMap, at, p.across, p.down).xyz * 2.0 - 1.0;
    n.y *= green;
    if (n.z < 0.1) return vec4(normalize(vec3(n.xy, sqrt(max(1.0 - dot(n.xy, n.xy), 0.01)))), 0.0); // of two channels
    float size = clamp(length(n), 0.1, 1.0);
    return vec4(normalize(n), max(0.0, (1.0 - size) / size - 0.01));
  }

  // A window of this colour round a direction, seen through a lobe of this roughness.
  vec3 window(vec3 way, vec3 towards, vec3 light, float rough) {
    float size = mix(0.05, 0.5, rough), near = dot(way, normalize(towards));
    return light * mix(1.0, 0.16, sqrt(rough)) * smoothstep(0.93 - size, 0.93 + 0.4 * size, near);
  }

  // A quiet room: floor, a sky that is palest low down, and two windows.
  vec3 room(vec3 way, float rough) {
    float soft = mix(0.06, 1.0, rough);
    vec3 sky = mix(vec3(0.60, 0.62, 0.65), vec3(0.30, 0.35, 0.43), clamp(way.y, 0.0, 1.0));
    vec3 seen = mix(vec3(0.13, 0.12, 0.11), sky, smoothstep(-soft, soft, way.y));
    seen += window(way, vec3(-0.55, 0.62, 0.56), vec3(1.5, 1.45, 1.35), rough);
    return seen + window(way, vec3(0.9, 0.5, 0.15), vec3(0.7, 0.8, 0.95), rough);
  }

  // What surroundings reflect, by Karis' fit (2014) of the integral of the lobe.
  vec3 reflectance(vec3 straight, float rough, float nv) {
    vec4 r = rough * vec4(-1.0, -0.0275, -0.572, 0.022) + vec4(1.0, 0.0425, 1.04, -0.04);
    float a = min(r.x * r.x, exp2(-9.28 * nv)) * r.x + r.y;
    vec2 ab = vec2(-1.04, 1.04) * a + r.zw;
    return straight * ab.x + ab.y;
  }

  vec3 shaded(Place p, vec3 eye) {
    vec3 look = eye * p.frame, ray = lamp * p.frame; // towards the viewer and the light, in the tangents' axes
    vec2 scale = vec2(1.0, aspect) * relief;
    vec3 hit = deep ? met(p, -look.xy / max(look.z, 0.15) * scale) : vec3(p.at, 1.0);
    float sun = deep && ray.z > 0.0 ? lit(p, hit, ray.xy / max(ray.z, 0.08) * scale) : 1.0;
    vec2 at = hit.xy;

    vec4 base = textureGrad(colourMap, at, p.across, p.down);
    float open = textureGrad(openMap, at, p.across, p.down).r;
    float metal = textureGrad(metalMap, at, p.across, p.down).r;
    float rough = textureGrad(roughMap, at, p.across, p.down).r;
    vec4 bent = bump(p, at);
    float alpha = pow(clamp(gloss ? 1.0 - rough : rough, 0.06, 1.0), 2.0);
    alpha = sqrt(min(1.0, alpha * alpha + bent.w));
    rough = sqrt(alpha);

    vec3 n = bent.xyz, half_ = normalize(look + ray);
    float nl = clamp(n.z > 0.0 ? dot(n, ray) : 0.0, 0.0, 1.0) * smoothstep(-0.05, 0.1, ray.z);
    float nv = clamp(dot(n, look), 0.04, 1.0), nh = clamp(dot(n, half_), 0.0, 1.0), vh = clamp(dot(look, half_), 0.0, 1.0);
    vec3 straight = mix(vec3(0.04), base.rgb, metal), body = base.rgb * (1.0 - metal);
    float a2 = alpha * alpha, bell = nh * nh * (a2 - 1.0) + 1.0;
    float masked = 0.5 / (nl * sqrt(nv * nv * (1.0 - a2) + a2) + nv * sqrt(nl * nl * (1.0 - a2) + a2) + 1e-5);
    vec3 fresnel = straight + (1.0 - straight) * pow(1.0 - vh, 5.0);
    vec3 seen = (body * (1.0 - fresnel) / PI + fresnel * a2 / (PI * bell * bell) * masked) * nl * sun * SUN;

    vec3 way = p.frame * reflect(-look, n), up = p.frame * n;
    vec3 mirrored = reflectance(straight, rough, nv);
    float glint = clamp(pow(nv + open, exp2(-16.0 * rough - 1.0)) - 1.0 + open, 0.0, 1.0); // Lagarde 2014
    seen += body * room(up, 1.0) * open + room(way, rough) * mirrored * glint;
    return seen + textureGrad(glowMap, at, p.across, p.down).rgb;
  }

  vec3 toned(vec3 c) {
    const float start = 0.76, drained = 0.15;
    float low = min(c.r, min(c.g, c.b));
    c -= low < 0.08 ? low - 6.25 * low * low : 0.04;
    float peak = max(c.r, max(c.g, c.b));
    if (peak < start) return c;
    float d = 1.0 - start, fresh = 1.0 - d * d / (peak + d - start);
    return mix(c * fresh / peak, vec3(fresh), 1.0 - 1.0 / (drained * (peak - fresh) + 1.0));
  }

  void main() {
    vec2 at = (2.0 * (gl_FragCoord.xy - port.xy) - port.zw) / min(port.z, port.w);
    if (shape == 0) at.y -= 0.06; // what is nearer looks larger
    vec3 eye = vec3(0.0, 0.0, 4.6) * turn, ray = normalize(vec3(at * 0.265, -1.0)) * turn;
    Place p;
    float cover;
    vec3 normal;
    if (shape == 0) {
      vec2 reach = vec2(min(1.0, aspect), min(1.0, 1.0 / aspect)) * 1.06;
      vec2 on = (eye - ray * eye.z / ray.z).xy;
      p.at = (on / reach * 0.5 + 0.5) * tiles;
      p.across = dFdx(p.at), p.down = dFdy(p.at);
      vec2 edge = (reach - abs(on)) / max(fwidth(on), 1e-6);
      cover = ray.z < 0.0 ? clamp(min(edge.x, edge.y) + 0.5, 0.0, 1.0) : 0.0;
      normal = vec3(0.0, 0.0, 1.0);
      p.frame = turn;
    } else {
      float along = dot(eye, ray), miss = dot(eye, eye) - along * along, pixel = 9.0 / min(port.z, port.w) * 0.265;
      cover = clamp((1.0 - sqrt(miss)) / pixel + 0.5, 0.0, 1.0);
      normal = normalize(eye - ray * (along + sqrt(max(1.0 - miss, 0.0))));
      float around = atan(normal.x, normal.z) / PI;
      p.at = vec2(max(1.0, round(tiles / aspect)) * (around + 0.5), tiles * (0.5 + asin(clamp(normal.y, -1.0, 1.0)) / PI));
      p.across = dFdx(p.at), p.down = dFdy(p.at);
      float whole = 2.0 * max(1.0, round(tiles / aspect)); // around meets itself at the back
      p.across.x -= whole * round(p.across.x / whole), p.down.x -= whole * round(p.down.x / whole);
      vec3 east = normalize(vec3(normal.z, 1e-5, -normal.x));
      p.frame = turn * mat3(east, cross(normal, east), normal);
    }
    if (cover <= 0.0) discard;
    vec2 texels = vec2(textureSize(heightMap, 0));
    p.fine = 0.6 + 0.5 * log2(max(min(dot(p.across * texels, p.across * texels), dot(p.down * texels, p.down * texels)), 1.0));
    vec3 towards = turn * -ray;
    vec3 c = toned(shaded(p, towards));
    cover *= textureGrad(solidMap, p.at, p.across, p.down).r;
    c = mix(12.92 * c, 1.055 * pow(max(c, 1e-5), vec3(1.0 / 2.4)) - 0.055, step(0.0031308, c));
    shown = vec4(c * cover, cover);
  }`;

/** By sampler: the roles whose picture it reads, the first that is there; without one, this colour. */
export const MAPS = {
  colourMap: [["base_colour"], [128, 128, 128]],
  normalMap: [["normal"], [128, 128, 255]],
  heightMap: [["height"], [255, 255, 255]],
  roughMap: [["roughness", "smoothness"], [165, 165, 165]],
  metalMap: [["metallic"], [0, 0, 0]],
  openMap: [["occlusion"], [255, 255, 255]],
  glowMap: [["emissive"], [0, 0, 0]],
  solidMap: [["opacity"], [255, 255, 255]],
};

function compiled(gl) {
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    const logs = gl.getAttachedShaders(program).map((shader) => gl.getShaderInfoLog(shader));
    throw new Error([gl.getProgramInfoLog(program), ...logs].join("\n"));
  }
  return program;
}

function texture(gl, image, colour, isColour) {
  const name = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, name);
  gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, true);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  const format = isColour ? gl.SRGB8_ALPHA8 : gl.RGBA8;
  if (image) gl.texImage2D(gl.TEXTURE_2D, 0, format, gl.RGBA, gl.UNSIGNED_BYTE, image);
  else gl.texImage2D(gl.TEXTURE_2D, 0, format, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array([...colour, 255]));
  gl.generateMipmap(gl.TEXTURE_2D);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
  const slanted = gl.getExtension("EXT_texture_filter_anisotropic");
  if (slanted) gl.texParameterf(gl.TEXTURE_2D, slanted.TEXTURE_MAX_ANISOTROPY_EXT, 8);
  return name;
}

function turned(yaw, tilt) { // column by column: first about y, then about x
  const [c, s, d, t] = [Math.cos(yaw), Math.sin(yaw), Math.cos(tilt), Math.sin(tilt)];
  return [c, t * s, -d * s, 0, d, t, s, -t * c, d * c];
}

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const PARTS = { both: [1, 0], sphere: [1], plane: [0] }; // what is drawn side by side: 1 the sphere, 0 the plane

/** Maps on a canvas, under a lamp that goes where the pointer and the arrow keys put it, or goes round by itself. */
export class Light {
  // Angles are in radians; fine: pixels that are drawn for each of the screen; slow: frames that took long.
  state = { x: -0.55, y: 0.5, round: 2.4, yaw: 0, tilt: 0, drag: null, fine: 1, last: 0, slow: 0, rest: 0 };
  gl = null;
  asked = false;
  visible = true;

  /** wanted: what is read for every frame, `shape` (both, sphere or plane), `tiles` (along a side), `relief` (from
   *  lowest to highest, in widths of a tile) and `moves` (does the light go round?), which is also set. */
  constructor(canvas, wanted) {
    Object.assign(this, { canvas, wanted });
    this.frame = this.frame.bind(this);
    this.listen();
  }

  /** Draws these maps from now on: by role, each an `image` and for a normal map whether its green points `down`;
   *  there must be a base_colour. Says whether it can: that takes WebGL 2. */
  show(maps) {
    this.maps = maps;
    if (!this.gl && !this.begin()) return false;
    this.upload();
    this.ask();
    return true;
  }

  begin() {
    this.gl = this.canvas.getContext("webgl2", { alpha: true, antialias: false });
    if (!this.gl) return false;
    this.program = compiled(this.gl);
    this.gl.useProgram(this.program);
    this.textures = [];
    return true;
  }

  place(name) {
    return this.gl.getUniformLocation(this.program, name);
  }

  upload() {
    const { gl, maps } = this;
    for (const old of this.textures) gl.deleteTexture(old);
    this.textures = Object.entries(MAPS).map(([sampler, [roles, absent]], unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.uniform1i(this.place(sampler), unit);
      const image = roles.map((role) => maps[role]?.image).find(Boolean);
      return texture(gl, image, absent, /colour|glow/.test(sampler));
    });
    const { image } = maps.base_colour;
    gl.uniform1f(this.place("aspect"), image.naturalWidth / image.naturalHeight);
    gl.uniform1f(this.place("green"), maps.normal?.down ? -1 : 1);
    gl.uniform1i(this.place("bumpy"), maps.normal ? 1 : 0);
    gl.uniform1i(this.place("gloss"), !maps.roughness && maps.smoothness ? 1 : 0);
  }

  lamp() {
    const { x, y, round } = this.state;
    const [right, up] = this.wanted.moves ? [0.85 * Math.cos(round), 0.85 * Math.sin(round)] : [x, y];
    const size = Math.hypot(right, up, 0.9);
    return [right / size, up / size, 0.9 / size];
  }

  draw(fine) {
    const { canvas, gl, state } = this;
    const side = Math.min(2, window.devicePixelRatio || 1) * fine;
    const [width, height] = [Math.round(canvas.clientWidth * side), Math.round(canvas.clientHeight * side)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const { tiles, relief } = this.wanted;
    gl.viewport(0, 0, width, height);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform3fv(this.place("lamp"), this.lamp());
    gl.uniform1f(this.place("tiles"), tiles);
    gl.uniform1f(this.place("relief"), relief);
    gl.uniform1i(this.place("deep"), this.maps.height && relief > 0 ? 1 : 0);
    const shapes = PARTS[this.wanted.shape];
    shapes.forEach((shape, index) => {
      const port = [Math.round((index * width) / shapes.length), 0, Math.round(width / shapes.length), height];
      gl.viewport(...port);
      gl.uniform4f(this.place("port"), ...port);
      gl.uniform1i(this.place("shape"), shape);
      const tilt = shape ? state.tilt : Math.max(-1.3, Math.min(1.3, state.tilt - 0.5));
      gl.uniformMatrix3fv(this.place("turn"), false, turned(state.yaw, tilt));
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    });
  }

  frame(now) {
    const { state, wanted } = this;
    this.asked = false;
    if (!this.gl) return;
    const passed = Math.min(now - state.last, 100);
    state.last = now;
    if (wanted.moves) {
      state.round += passed * 0.0006;
      state.slow = passed > 70 ? state.slow + 1 : 0; // a machine without a graphics card draws fewer pixels
      if (state.slow > 8 && state.fine > 0.3) [state.fine, state.slow] = [state.fine / 1.5, 0];
    }
    this.draw(state.fine);
    clearTimeout(state.rest);
    if (wanted.moves && this.visible) this.ask();
    else if (state.fine < 1) state.rest = setTimeout(() => this.gl && this.draw(1), 300); // sharp once nothing moves
  }

  /** Draws anew with the next frame. */
  ask() {
    if (this.asked || !this.gl) return;
    this.asked = true;
    requestAnimationFrame(this.frame);
  }

  aim(event) { // the light stands over the pointer, in the part of the canvas that it is in
    const box = this.canvas.getBoundingClientRect();
    const x = (((event.clientX - box.left) / box.width) * PARTS[this.wanted.shape].length) % 1;
    this.state.x = (2 * x - 1) * 1.5;
    this.state.y = (1 - (2 * (event.clientY - box.top)) / box.height) * 1.5;
    this.wanted.moves = false;
  }

  listen() {
    const { canvas } = this;
    this.listenToPointer();
    canvas.addEventListener("keydown", (event) => this.press(event));
    new ResizeObserver(() => this.ask()).observe(canvas);
    new IntersectionObserver(([entry]) => (this.visible = entry.isIntersecting, this.ask())).observe(canvas);
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.gl = null;
    });
    canvas.addEventListener("webglcontextrestored", () => this.show(this.maps));
  }

  listenToPointer() {
    const { canvas, state } = this;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
      state.drag = event.pointerType === "mouse" ? [event.clientX, event.clientY] : null;
    });
    canvas.addEventListener("pointermove", (event) => {
      if (state.drag) {
        state.yaw += (event.clientX - state.drag[0]) * 0.008;
        state.tilt = Math.max(-1.2, Math.min(1.2, state.tilt + (event.clientY - state.drag[1]) * 0.008));
        state.drag = [event.clientX, event.clientY];
      } else this.aim(event);
      this.ask();
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (state.drag = null));
    canvas.addEventListener("dblclick", () => ([state.yaw, state.tilt] = [0, 0], this.ask()));
  }

  press(event) {
    const { state, wanted } = this;
    if (event.key === " ") wanted.moves = !wanted.moves;
    else if (KEYS[event.key]) {
      const [x, y] = KEYS[event.key];
      Object.assign(state, { x: state.x + 0.15 * x, y: state.y + 0.15 * y });
      wanted.moves = false;
    } else return;
    event.preventDefault();
    this.ask();
  }
}
