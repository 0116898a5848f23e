// An endless plane of corner or Wang tiles, which never shows the same arrangement twice. Made by texsynth tiles.
//
// For OpenGL, Vulkan, WebGL 2 and Godot. Which tile lies in a cell follows from the place of the cell and a seed alone,
// so that no map of the plane is stored, and every machine draws the same one.
//
// What to bind
//   The atlas, best as an array texture of one tile a layer, its padding included (tileOfArray): each tile then has
//   mips of its own. Or the atlas as it is (tileOfAtlas), whose mips are read as far down as the padding keeps tiles
//   apart. Linear filter with mips (trilinear, anisotropic if you like); clamped; sRGB for the base colour only, and
//   none for normals, roughness, height and other maps. Compression in blocks is fine: tiles begin at whole blocks
//   where size and padding are multiples of 4.
//   The numbers of a Tiles stand in the JSON beside the atlas. Sizes may all be given in any one unit, so that they
//   hold for maps of another resolution too.
//
// How to call it
//   vec2 at = uv * repeats;                          // the place in tiles; y runs down the picture
//   ivec2 cell = ivec2(floor(at));
//   int number = cornerTile(cell, tiles);            // wangTile(cell, tiles) for a complete set of Wang tiles
//   vec4 colour = tileOfArray(atlas, number, at - vec2(cell), dFdx(at), dFdy(at), tiles);
//   Every map of the set is read with the same number and place. Gradients are those of `at`, which runs on from tile
//   to tile: the coordinates of the atlas jump there, and a plain texture() would show a line at each border.
//   Where uv runs up the picture (OpenGL, Godot's 3D, Unity): at = vec2(uv.x, -uv.y) * repeats.
//   Where the first row of an image is its lowest (v = 0), as textures are loaded for OpenGL: define TILES_FIRST_ROW_BELOW.
//   Smaller Wang sets, blobs and marching squares: number comes from your map of the plane, for instance a texture of
//   one texel a cell that is read by texelFetch; the JSON says which colours each tile has.
//
// Godot 4: save this file as tiles.gdshaderinc and #include it; take the lines between GL_ES and #endif out; declare
//   `uniform sampler2DArray atlas : source_color, filter_linear_mipmap_anisotropic, repeat_disable;` (an image that is
//   imported as Texture2DArray with the columns and rows of the atlas), and no source_color for other maps.

#ifndef TEXSYNTH_TILES // however often it is included
#define TEXSYNTH_TILES

#ifdef GL_ES
precision highp float;
precision highp int;
precision highp sampler2DArray;
#endif

struct Tiles {
  vec2 size;     // of a tile, width and height
  float padding; // round each tile of the atlas
  ivec2 grid;    // columns and rows of the atlas
  int colours;   // of corners or of edges
  int seed;      // each makes another plane
};

// A number that looks random for each place, equal bit for bit on every machine and in texsynth itself.
uint tileHash(ivec2 place, int seed) {
  uint n = (uint(place.x) * 0x9E3779B1u) ^ (uint(place.y) * 0x85EBCA77u) ^ (uint(seed) * 0xC2B2AE3Du);
  n = (n ^ (n >> 16)) * 0x7FEB352Du;
  n = (n ^ (n >> 15)) * 0x846CA68Bu;
  return n ^ (n >> 16);
}

int tileColour(ivec2 place, Tiles tiles) {
  return int(tileHash(place, tiles.seed) % uint(tiles.colours));
}

// The corner tile of a cell: its number has as digits the colours north-west, north-east, south-east and south-west.
int cornerTile(ivec2 cell, Tiles tiles) {
  int nw = tileColour(cell, tiles);
  int ne = tileColour(cell + ivec2(1, 0), tiles);
  int se = tileColour(cell + ivec2(1, 1), tiles);
  int sw = tileColour(cell + ivec2(0, 1), tiles);
  return nw + tiles.colours * (ne + tiles.colours * (se + tiles.colours * sw));
}

// The tile of a cell of a complete Wang set: its number has as digits the colours north, east, south and west.
int wangTile(ivec2 cell, Tiles tiles) {
  int n = tileColour(ivec2(2 * cell.x, cell.y), tiles);
  int e = tileColour(ivec2(2 * cell.x + 3, cell.y), tiles);
  int s = tileColour(ivec2(2 * cell.x, cell.y + 1), tiles);
  int w = tileColour(ivec2(2 * cell.x + 1, cell.y), tiles);
  return n + tiles.colours * (e + tiles.colours * (s + tiles.colours * w));
}

// A place within a tile, from 0 to 1, as one within its picture with the padding.
vec2 tilePlace(vec2 within, Tiles tiles) {
  return (within * tiles.size + tiles.padding) / (tiles.size + 2.0 * tiles.padding);
}

// How much a change in tiles is within the picture of a tile.
vec2 tileScale(Tiles tiles) {
  return tiles.size / (tiles.size + 2.0 * tiles.padding);
}

// The colour of a tile out of an array texture. across, down: how the place in tiles changes from pixel to pixel.
vec4 tileOfArray(sampler2DArray atlas, int number, vec2 within, vec2 across, vec2 down, Tiles tiles) {
  vec2 at = tilePlace(within, tiles);
  vec2 scale = tileScale(tiles);
#ifdef TILES_FIRST_ROW_BELOW
  at.y = 1.0 - at.y;
  scale.y = -scale.y;
#endif
  return textureGrad(atlas, vec3(at, float(number)), across * scale, down * scale);
}

// The colour of a tile out of the atlas; no farther down its mips than the padding reaches.
vec4 tileOfAtlas(sampler2D atlas, int number, vec2 within, vec2 across, vec2 down, Tiles tiles) {
  vec2 grid = vec2(tiles.grid);
  vec2 cell = vec2(float(number % tiles.grid.x), float(number / tiles.grid.x));
  vec2 at = (cell + tilePlace(within, tiles)) / grid;
  float texels = max(length(across * tiles.size), length(down * tiles.size));
  vec2 scale = tileScale(tiles) / grid * min(1.0, max(tiles.padding, 1.0) / max(texels, 1e-6));
#ifdef TILES_FIRST_ROW_BELOW
  at.y = 1.0 - at.y;
  scale.y = -scale.y;
#endif
  return textureGrad(atlas, at, across * scale, down * scale);
}

#endif
