// An endless plane of corner or Wang tiles, which never shows the same arrangement twice. Made by texsynth tiles.
//
// For Direct3D, Unity and Unreal; line by line the twin of tiles.glsl. Which tile lies in a cell follows from the place
// of the cell and a seed alone, so that no map of the plane is stored, and every machine draws the same one.
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
//   float2 at = uv * repeats;                        // the place in tiles; y runs down the picture
//   int2 cell = int2(floor(at));
//   int number = cornerTile(cell, tiles);            // wangTile(cell, tiles) for a complete set of Wang tiles
//   float4 colour = tileOfArray(atlas, atlasSampler, number, at - float2(cell), ddx(at), ddy(at), tiles);
//   Every map of the set is read with the same number and place. Gradients are those of `at`, which runs on from tile
//   to tile: the coordinates of the atlas jump there, and a plain Sample() would show a line at each border.
//   Smaller Wang sets, blobs and marching squares: number comes from your map of the plane, for instance a texture of
//   one texel a cell that is read by Load; the JSON says which colours each tile has.
//
// Unity: uv runs up the picture, and the first row of an image is its lowest: at = float2(uv.x, -uv.y) * repeats, and
//   define TILES_FIRST_ROW_BELOW for tileOfAtlas and tileOfArray. Import the atlas as 2D Array with the columns and
//   rows of the JSON (Texture Shape), wrap mode Clamp. In Shader Graph a Custom Function node of type File can take
//   this file; its inputs give the fields of a Tiles, a UnityTexture2DArray has the members tex and samplerstate.
// Unreal: include this file from the Additional Include File Paths of a Custom node (a folder that is mapped by
//   AddShaderSourceDirectoryMapping), with inputs Atlas (texture object), UV, and the numbers; then
//     Tiles tiles; tiles.size = Size; tiles.padding = Padding; tiles.grid = int2(Grid); tiles.colours = 2; tiles.seed = 0;
//     int2 cell = int2(floor(UV)); int number = cornerTile(cell, tiles);
//     return tileOfAtlas(Atlas, AtlasSampler, number, UV - float2(cell), ddx(UV), ddy(UV), tiles);
//   The atlas is imported with sRGB for colours only, and mips from the image; uv runs down the picture already.

#ifndef TEXSYNTH_TILES // however often it is included
#define TEXSYNTH_TILES

struct Tiles {
  float2 size;   // of a tile, width and height
  float padding; // round each tile of the atlas
  int2 grid;     // columns and rows of the atlas
  int colours;   // of corners or of edges
  int seed;      // each makes another plane
};

// A number that looks random for each place, equal bit for bit on every machine and in texsynth itself.
uint tileHash(int2 place, int seed) {
  uint n = (uint(place.x) * 0x9E3779B1u) ^ (uint(place.y) * 0x85EBCA77u) ^ (uint(seed) * 0xC2B2AE3Du);
  n = (n ^ (n >> 16)) * 0x7FEB352Du;
  n = (n ^ (n >> 15)) * 0x846CA68Bu;
  return n ^ (n >> 16);
}

int tileColour(int2 place, Tiles tiles) {
  return int(tileHash(place, tiles.seed) % uint(tiles.colours));
}

// The corner tile of a cell: its number has as digits the colours north-west, north-east, south-east and south-west.
int cornerTile(int2 cell, Tiles tiles) {
  int nw = tileColour(cell, tiles);
  int ne = tileColour(cell + int2(1, 0), tiles);
  int se = tileColour(cell + int2(1, 1), tiles);
  int sw = tileColour(cell + int2(0, 1), tiles);
  return nw + tiles.colours * (ne + tiles.colours * (se + tiles.colours * sw));
}

// The tile of a cell of a complete Wang set: its number has as digits the colours north, east, south and west.
int wangTile(int2 cell, Tiles tiles) {
  int n = tileColour(int2(2 * cell.x, cell.y), tiles);
  int e = tileColour(int2(2 * cell.x + 3, cell.y), tiles);
  int s = tileColour(int2(2 * cell.x, cell.y + 1), tiles);
  int w = tileColour(int2(2 * cell.x + 1, cell.y), tiles);
  return n + tiles.colours * (e + tiles.colours * (s + tiles.colours * w));
}

// A place within a tile, from 0 to 1, as one within its picture with the padding.
float2 tilePlace(float2 within, Tiles tiles) {
  return (within * tiles.size + tiles.padding) / (tiles.size + 2.0 * tiles.padding);
}

// How much a change in tiles is within the picture of a tile.
float2 tileScale(Tiles tiles) {
  return tiles.size / (tiles.size + 2.0 * tiles.padding);
}

// The colour of a tile out of an array texture. across, down: how the place in tiles changes from pixel to pixel.
float4 tileOfArray(Texture2DArray atlas, SamplerState atlasSampler, int number, float2 within, float2 across, float2 down, Tiles tiles) {
  float2 at = tilePlace(within, tiles);
  float2 scale = tileScale(tiles);
#ifdef TILES_FIRST_ROW_BELOW
  at.y = 1.0 - at.y;
  scale.y = -scale.y;
#endif
  return atlas.SampleGrad(atlasSampler, float3(at, float(number)), across * scale, down * scale);
}

// The colour of a tile out of the atlas; no farther down its mips than the padding reaches.
float4 tileOfAtlas(Texture2D atlas, SamplerState atlasSampler, int number, float2 within, float2 across, float2 down, Tiles tiles) {
  float2 grid = float2(tiles.grid);
  float2 cell = float2(float(number % tiles.grid.x), float(number / tiles.grid.x));
  float2 at = (cell + tilePlace(within, tiles)) / grid;
  float texels = max(length(across * tiles.size), length(down * tiles.size));
  float2 scale = tileScale(tiles) / grid * min(1.0, max(tiles.padding, 1.0) / max(texels, 1e-6));
#ifdef TILES_FIRST_ROW_BELOW
  at.y = 1.0 - at.y;
  scale.y = -scale.y;
#endif
  return atlas.SampleGrad(atlasSampler, at, across * scale, down * scale);
}

#endif
