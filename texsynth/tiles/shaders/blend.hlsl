// A texture without end or visible repeats, by histogram-preserving blending. Made by texsynth tiles blend.
//
// For Direct3D, Unity and Unreal; the twin of blend.glsl. By Heitz & Neyret 2018 and Deliot & Heitz 2019: the plane is
// cut into triangles, each corner of which draws the texture at an offset of its own, and three of them are blended. As
// the texture was made Gaussian before, the blend keeps its contrast, and a table turns it into the exemplar's colours.
//
// What to bind; the JSON beside this file has the names of the files and all numbers, as blend_size for blend.size
//   gaussian  the Gaussian texture of a map: wrap repeat, linear filter with mips (trilinear, anisotropic if you like),
//             never sRGB; compressed at most by what is good at gradients (BC7), or not at all.
//   table     its look-up table, a row for each mip level: wrap clamp, linear filter, no mips, never sRGB, not compressed.
//   normal    the normal map, which repeats: as gaussian, and unpacked by blendNormal alone (no normal map type).
//   A Blend holds what all maps of a set share. levels, same (blend_common), origin and axes are those of each map.
//
// How to call it
//   float2 place = uv * repeats * float2(blend.size); // in pixels of the texture; y runs down the picture
//   BlendPlace at = blendPlace(place, ddx(place), ddy(place), blend); // once for all maps
//   float3 colour = blendColour(gaussian, gaussianSampler, table, tableSampler, at, levels, same, origin, axes);
//   float rough = blendScalar(roughGaussian, ..., at, roughLevels, roughSame, roughOrigin, roughAxes);
//   float3 normal = blendNormal(normalMap, normalMapSampler, at, normalSame, normalSlopes);
//   The colour is that of the exemplar's file, which mostly is sRGB: where you compute in linear light, decode it last
//   (pow(colour, 2.2), or exactly). The columns of axes are blend_axes: float3x3 takes rows, so give it
//   transpose(float3x3(first column, second column, third column)).
//
// Unity: uv runs up the picture, and the first row of an image is its lowest: place = float2(uv.x, -uv.y) * repeats *
//   float2(blend.size), and define BLEND_FIRST_ROW_BELOW before this file. Import textures as Default (no Normal map),
//   sRGB off, Wrap Mode Repeat and mips on (the table: Clamp, mips off), Compression None or High Quality. In Shader
//   Graph a Custom Function node of type File can take this file; a UnityTexture2D has the members tex and samplerstate.
// Unreal: include this file from the Additional Include File Paths of a Custom node (a folder that is mapped by
//   AddShaderSourceDirectoryMapping), with texture objects Gaussian and Table as inputs; then
//     Blend blend; blend.size = uint2(Size); blend.seed = 0; blend.grid = Grid; blend.sharpness = 4; blend.cells = 32768;
//     blend.steps = uint4(1, 0, 0, 1); float2 place = UV * Size;
//     BlendPlace at = blendPlace(place, ddx(place), ddy(place), blend);
//     return blendColour(Gaussian, GaussianSampler, Table, TableSampler, at, Levels, Same, Origin, axes);
//   Import with sRGB off, Compression VectorDisplacementmap or BC7; the table with No Mipmaps and Clamp. uv runs down
//   the picture already; normals of Unreal have their green down, so give it a map of that convention.

#ifndef TEXSYNTH_BLEND // however often it is included
#define TEXSYNTH_BLEND

struct Blend {
  uint2 size;      // of the texture, in pixels
  uint seed;       // each makes another plane
  float grid;      // the side of a triangle, in pixels
  float sharpness; // the power of the weights: 1 is that of the papers; more mixes less
  uint cells;      // offsets to choose from: 32768 for any pixel; those of a lattice keep its rows in step
  uint4 steps;     // from one of them to the next
};

// What all maps of a set share at a place.
struct BlendPlace {
  float2 a, b, c;      // where the texture is read, in widths and heights of it
  float3 weights;      // how much each counts; their sum is 1
  float2 across, down; // how the place changes from pixel to pixel, in widths and heights
};

// A number that looks random for each place, equal bit for bit on every machine and in texsynth itself.
uint blendHash(int2 place, uint seed) {
  uint n = (uint(place.x) * 0x9E3779B1u) ^ (uint(place.y) * 0x85EBCA77u) ^ (seed * 0xC2B2AE3Du);
  n = (n ^ (n >> 16)) * 0x7FEB352Du;
  n = (n ^ (n >> 15)) * 0x846CA68Bu;
  return n ^ (n >> 16);
}

// The offset in pixels that a corner of the grid draws the texture at.
float2 blendOffset(int2 corner, Blend blend) {
  uint n = blend.cells;
  uint h = blendHash(corner, blend.seed);
  uint a = (h & 65535u) % n;
  uint b = (h >> 16) % n;
  uint x = (blend.size.x * ((a * blend.steps.x + b * blend.steps.y) % n) + n / 2u) / n;
  uint y = (blend.size.y * ((a * blend.steps.z + b * blend.steps.w) % n) + n / 2u) / n;
  return float2(float(x), float(y));
}

// place: in pixels of the texture, y down; across, down: how it changes from pixel to pixel.
BlendPlace blendPlace(float2 place, float2 across, float2 down, Blend blend) {
  float2 grid = float2(place.x - place.y * 0.57735026919, place.y * 1.15470053838) / blend.grid;
  float2 corner = floor(grid);
  float2 f = grid - corner;
  float z = 1.0 - f.x - f.y;
  bool upper = z > 0.0;
  int2 start = int2(int(corner.x), int(corner.y));
  int2 one = upper ? start : start + int2(1, 1);
  int2 two = start + (upper ? int2(0, 1) : int2(1, 0));
  int2 three = start + (upper ? int2(1, 0) : int2(0, 1));
  float3 weights = upper ? float3(z, f.y, f.x) : float3(-z, 1.0 - f.y, 1.0 - f.x);
  weights = pow(max(weights, 0.0), float3(blend.sharpness, blend.sharpness, blend.sharpness));
  float2 size = float2(float(blend.size.x), float(blend.size.y));
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
float3 blendNorm(float3 weights, float3 same) {
  return sqrt(same + (1.0 - same) * dot(weights, weights));
}

// With gradients, as the places jump from one triangle to the next.
float3 blendRead(Texture2D map, SamplerState mapSampler, float2 place, BlendPlace at) {
#ifdef BLEND_FIRST_ROW_BELOW
  place.y = 1.0 - place.y;
  at.across.y = -at.across.y;
  at.down.y = -at.down.y;
#endif
  return map.SampleGrad(mapSampler, place, at.across, at.down).xyz;
}

// The Gaussian textures' blend, in [0, 1].
float3 blendGaussian(Texture2D gaussian, SamplerState gaussianSampler, BlendPlace at, float3 same) {
  float3 a = blendRead(gaussian, gaussianSampler, at.a, at) - 0.5;
  float3 b = blendRead(gaussian, gaussianSampler, at.b, at) - 0.5;
  float3 c = blendRead(gaussian, gaussianSampler, at.c, at) - 0.5;
  float3 sum = at.weights.x * a + at.weights.y * b + at.weights.z * c;
  return clamp(0.5 + sum / blendNorm(at.weights, same), 0.0, 1.0);
}

float2 blendSize(Texture2D map, SamplerState mapSampler) {
  uint width, height;
  map.GetDimensions(width, height);
  return float2(float(width), float(height));
}

// The mip level that a texture is read at.
float blendLevel(Texture2D map, SamplerState mapSampler, BlendPlace at) {
  float2 across = at.across * blendSize(map, mapSampler);
  float2 down = at.down * blendSize(map, mapSampler);
  return 0.5 * log2(max(max(dot(across, across), dot(down, down)), 1.0));
}

// A value of the table at g in [0, 1] for a mip level, in each of its channels.
float3 blendTable(Texture2D table, SamplerState tableSampler, float g, float level, float levels) {
  float row = (min(level, levels - 1.0) + 0.5) / levels;
#ifdef BLEND_FIRST_ROW_BELOW
  row = 1.0 - row;
#endif
  return table.SampleLevel(tableSampler, float2((g * 255.0 + 0.5) / 256.0, row), 0.0).xyz;
}

// The base colour, or another map of three channels.
float3 blendColour(Texture2D gaussian, SamplerState gaussianSampler, Texture2D table, SamplerState tableSampler, BlendPlace at, float levels, float3 same, float3 origin, float3x3 axes) {
  float3 g = blendGaussian(gaussian, gaussianSampler, at, same);
  float level = blendLevel(gaussian, gaussianSampler, at);
  float x = blendTable(table, tableSampler, g.x, level, levels).x;
  float y = blendTable(table, tableSampler, g.y, level, levels).y;
  float z = blendTable(table, tableSampler, g.z, level, levels).z;
  return origin + mul(axes, float3(x, y, z));
}

// Height, roughness, or another map of one channel.
float blendScalar(Texture2D gaussian, SamplerState gaussianSampler, Texture2D table, SamplerState tableSampler, BlendPlace at, float levels, float same, float origin, float axes) {
  float g = blendGaussian(gaussian, gaussianSampler, at, float3(same, same, same)).x;
  return origin + axes * blendTable(table, tableSampler, g, blendLevel(gaussian, gaussianSampler, at), levels).x;
}

// The slopes of a normal, no steeper than 86 degrees.
float2 blendSlope(float3 texel) {
  float3 n = texel * 2.0 - 1.0;
  return n.xy / max(n.z, 0.0625);
}

// The normal in tangent space, of length 1; its green is up or down as in the map. slopes: their mean, blend_slopes.
float3 blendNormal(Texture2D normal, SamplerState normalSampler, BlendPlace at, float2 same, float2 slopes) {
  float2 a = blendSlope(blendRead(normal, normalSampler, at.a, at)) - slopes;
  float2 b = blendSlope(blendRead(normal, normalSampler, at.b, at)) - slopes;
  float2 c = blendSlope(blendRead(normal, normalSampler, at.c, at)) - slopes;
  float2 sum = at.weights.x * a + at.weights.y * b + at.weights.z * c;
  float2 slope = slopes + sum / blendNorm(at.weights, float3(same, 0.0)).xy;
  return normalize(float3(slope, 1.0));
}

#endif
