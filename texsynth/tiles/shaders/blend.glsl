// A texture without end or visible repeats, by histogram-preserving blending. Made by texsynth tiles blend.
//
// For OpenGL, Vulkan, WebGL 2 and Godot. By Heitz & Neyret 2018 and Deliot & Heitz 2019: the plane is cut into
// triangles, each corner of which draws the texture at an offset of its own, and three of them are blended. As the
// texture was made Gaussian before, the blend keeps its contrast, and a table turns it into the exemplar's colours.
//
// What to bind; the JSON beside this file has the names of the files and all numbers, as blend_size for blend.size
//   gaussian  the Gaussian texture of a map: wrap repeat, linear filter with mips (trilinear, anisotropic if you like),
//             never sRGB; compressed at most by what is good at gradients (BC7), or not at all.
//   table     its look-up table, a row for each mip level: wrap clamp, linear filter, no mips, never sRGB, not compressed.
//   normal    the normal map, which repeats: as gaussian, and unpacked by blendNormal alone (no normal map type).
//   A Blend holds what all maps of a set share. levels, same (blend_common), origin and axes are those of each map.
//
// How to call it
//   vec2 place = uv * repeats * vec2(blend.size);    // in pixels of the texture; y runs down the picture
//   BlendPlace at = blendPlace(place, dFdx(place), dFdy(place), blend); // once for all maps
//   vec3 colour = blendColour(gaussian, table, at, levels, same, origin, axes);
//   float rough = blendScalar(roughGaussian, roughTable, at, roughLevels, roughSame, roughOrigin, roughAxes);
//   vec3 normal = blendNormal(normalMap, at, normalSame, normalSlopes);
//   The colour is that of the exemplar's file, which mostly is sRGB: where you compute in linear light, decode it last
//   (pow(colour, vec3(2.2)), or exactly). The columns of axes are blend_axes.
//   Where uv runs up the picture (OpenGL, Godot's 3D, Unity): place = vec2(uv.x, -uv.y) * repeats * vec2(blend.size).
//   Where the first row of an image is its lowest (v = 0), as textures are loaded for OpenGL: define BLEND_FIRST_ROW_BELOW.
//
// Godot 4: save this file as blend.gdshaderinc and #include it; take the lines between GL_ES and #endif out; declare
//   `uniform sampler2D gaussian : filter_linear_mipmap_anisotropic, repeat_enable;` and
//   `uniform sampler2D table : filter_linear, repeat_disable;`, without source_color or hint_normal; import both
//   without compression (Lossless), the Gaussian texture with mipmaps. ALBEDO takes linear light; NORMAL_MAP takes
//   blendNormal(...) * 0.5 + 0.5.

#ifndef TEXSYNTH_BLEND // however often it is included
#define TEXSYNTH_BLEND

#ifdef GL_ES
precision highp float;
precision highp int;
precision highp sampler2D;
#endif

struct Blend {
  uvec2 size;      // of the texture, in pixels
  uint seed;       // each makes another plane
  float grid;      // the side of a triangle, in pixels
  float sharpness; // the power of the weights: 1 is that of the papers; more mixes less
  uint cells;      // offsets to choose from: 32768 for any pixel; those of a lattice keep its rows in step
  uvec4 steps;     // from one of them to the next
};

// What all maps of a set share at a place.
struct BlendPlace {
  vec2 a, b, c;      // where the texture is read, in widths and heights of it
  vec3 weights;      // how much each counts; their sum is 1
  vec2 across, down; // how the place changes from pixel to pixel, in widths and heights
};

// A number that looks random for each place, equal bit for bit on every machine and in texsynth itself.
uint blendHash(ivec2 place, uint seed) {
  uint n = (uint(place.x) * 0x9E3779B1u) ^ (uint(place.y) * 0x85EBCA77u) ^ (seed * 0xC2B2AE3Du);
  n = (n ^ (n >> 16)) * 0x7FEB352Du;
  n = (n ^ (n >> 15)) * 0x846CA68Bu;
  return n ^ (n >> 16);
}

// The offset in pixels that a corner of the grid draws the texture at.
vec2 blendOffset(ivec2 corner, Blend blend) {
  uint n = blend.cells;
  uint h = blendHash(corner, blend.seed);
  uint a = (h & 65535u) % n;
  uint b = (h >> 16) % n;
  uint x = (blend.size.x * ((a * blend.steps.x + b * blend.steps.y) % n) + n / 2u) / n;
  uint y = (blend.size.y * ((a * blend.steps.z + b * blend.steps.w) % n) + n / 2u) / n;
  return vec2(float(x), float(y));
}

// place: in pixels of the texture, y down; across, down: how it changes from pixel to pixel.
BlendPlace blendPlace(vec2 place, vec2 across, vec2 down, Blend blend) {
  vec2 grid = vec2(place.x - place.y * 0.57735026919, place.y * 1.15470053838) / blend.grid;
  vec2 corner = floor(grid);
  vec2 f = grid - corner;
  float z = 1.0 - f.x - f.y;
  bool upper = z > 0.0;
  ivec2 start = ivec2(int(corner.x), int(corner.y));
  ivec2 one = upper ? start : start + ivec2(1, 1);
  ivec2 two = start + (upper ? ivec2(0, 1) : ivec2(1, 0));
  ivec2 three = start + (upper ? ivec2(1, 0) : ivec2(0, 1));
  vec3 weights = upper ? vec3(z, f.y, f.x) : vec3(-z, 1.0 - f.y, 1.0 - f.x);
  weights = pow(max(weights, 0.0), vec3(blend.sharpness, blend.sharpness, blend.sharpness));
  vec2 size = vec2(float(blend.size.x), float(blend.size.y));
  BlendPlace at;
  at.a = (place + blendOffset(one, blend)) / size;
  at.b = (place + blendOffset(two, blend)) / size;
  at.c = (place + blendOffset(three, blend)) / size;
  at.weights = weights / (weights.x + weights.y + weights.z);
  at.across = across / size;
  at.down = down / size;
  return at;
}

// What the sum of what is blended is divided by, so that it varies as the texture does. same: the share of the variance
// that is equal at all offsets.
vec3 blendNorm(vec3 weights, vec3 same) {
  return sqrt(same + (1.0 - same) * dot(weights, weights));
}

// With gradients, as the places jump from one triangle to the next.
vec3 blendRead(sampler2D map, vec2 place, BlendPlace at) {
#ifdef BLEND_FIRST_ROW_BELOW
  place.y = 1.0 - place.y;
  at.across.y = -at.across.y;
  at.down.y = -at.down.y;
#endif
  return textureGrad(map, place, at.across, at.down).xyz;
}

// The Gaussian textures' blend, in [0, 1].
vec3 blendGaussian(sampler2D gaussian, BlendPlace at, vec3 same) {
  vec3 a = blendRead(gaussian, at.a, at) - 0.5;
  vec3 b = blendRead(gaussian, at.b, at) - 0.5;
  vec3 c = blendRead(gaussian, at.c, at) - 0.5;
  vec3 sum = at.weights.x * a + at.weights.y * b + at.weights.z * c;
  return clamp(0.5 + sum / blendNorm(at.weights, same), 0.0, 1.0);
}

vec2 blendSize(sampler2D map) {
  return vec2(textureSize(map, 0));
}

// The mip level that a texture is read at.
float blendLevel(sampler2D map, BlendPlace at) {
  vec2 across = at.across * blendSize(map);
  vec2 down = at.down * blendSize(map);
  return 0.5 * log2(max(max(dot(across, across), dot(down, down)), 1.0));
}

// A value of the table at g in [0, 1] for a mip level, in each of its channels.
vec3 blendTable(sampler2D table, float g, float level, float levels) {
  float row = (min(level, levels - 1.0) + 0.5) / levels;
#ifdef BLEND_FIRST_ROW_BELOW
  row = 1.0 - row;
#endif
  return textureLod(table, vec2((g * 255.0 + 0.5) / 256.0, row), 0.0).xyz;
}

// The base colour, or another map of three channels.
vec3 blendColour(sampler2D gaussian, sampler2D table, BlendPlace at, float levels, vec3 same, vec3 origin, mat3 axes) {
  vec3 g = blendGaussian(gaussian, at, same);
  float level = blendLevel(gaussian, at);
  float x = blendTable(table, g.x, level, levels).x;
  float y = blendTable(table, g.y, level, levels).y;
  float z = blendTable(table, g.z, level, levels).z;
  return origin + axes * vec3(x, y, z);
}

// Height, roughness, or another map of one channel.
float blendScalar(sampler2D gaussian, sampler2D table, BlendPlace at, float levels, float same, float origin, float axes) {
  float g = blendGaussian(gaussian, at, vec3(same, same, same)).x;
  return origin + axes * blendTable(table, g, blendLevel(gaussian, at), levels).x;
}

// The slopes of a normal, no steeper than 86 degrees.
vec2 blendSlope(vec3 texel) {
  vec3 n = texel * 2.0 - 1.0;
  return n.xy / max(n.z, 0.0625);
}

// The normal in tangent space, of length 1; its green is up or down as in the map. slopes: their mean, blend_slopes.
vec3 blendNormal(sampler2D normal, BlendPlace at, vec2 same, vec2 slopes) {
  vec2 a = blendSlope(blendRead(normal, at.a, at)) - slopes;
  vec2 b = blendSlope(blendRead(normal, at.b, at)) - slopes;
  vec2 c = blendSlope(blendRead(normal, at.c, at)) - slopes;
  vec2 sum = at.weights.x * a + at.weights.y * b + at.weights.z * c;
  vec2 slope = slopes + sum / blendNorm(at.weights, vec3(same, 0.0)).xy;
  return normalize(vec3(slope, 1.0));
}

#endif
