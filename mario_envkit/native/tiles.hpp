// The game as a small grid of codes, decoded from work RAM.
//
// The same bytes as mario_envkit/game/tiles.py, which names every address and its source and is
// what this is tested against.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mario {

constexpr int kTileRows = 13, kTileColumns = 16;
constexpr std::size_t kTilePictureSize = 16 * 16;  // the grid, a row of facts, two of objects

// Writes kTilePictureSize bytes; any 2,048 bytes will do for RAM. `show_buttons`, `show_level`: the
// joypad and the level, too.
void read_tiles(const std::uint8_t* ram, std::uint8_t* out, bool show_buttons, bool show_level);

}  // namespace mario
