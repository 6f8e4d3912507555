// The pixels. Nothing here changes the machine.
#include <algorithm>
#include <cstring>

#include "ppu.hpp"
#include "timing.hpp"

namespace mario {

namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101u;
constexpr unsigned kBehind = 0x20;  // a sprite pixel that the background hides

// Eight pixels 0 to 3 of one tile row, with the upper two bits of their slot where not transparent.
inline void store_pixels(std::uint8_t* out, const std::uint8_t* row, std::uint64_t palette) {
  std::uint64_t pixels;
  std::memcpy(&pixels, row, 8);
  pixels |= ((pixels | pixels >> 1) & kOnes) * palette;
  std::memcpy(out, &pixels, 8);
}

// The same for the first `count` rows of a tile, one picture row apart.
inline void store_tile(std::uint8_t* out, const std::uint8_t* rows, std::uint64_t palette,
                       int count) {
  if (count == 8) {
    for (int y = 0; y < 8; ++y) store_pixels(out + y * Picture::kStride, rows + y * 8, palette);
  } else {
    for (int y = 0; y < count; ++y) store_pixels(out + y * Picture::kStride, rows + y * 8, palette);
  }
}

inline std::uint8_t compose(unsigned tile, unsigned sprite) {
  const bool sprite_wins = sprite != 0 && (!(sprite & kBehind) || tile == 0);
  return static_cast<std::uint8_t>(sprite_wins ? sprite & 0x1fu : tile);
}

}  // namespace

template <class T>
void Ppu<T>::draw_into(Picture* picture) {
  picture_ = picture;
  palette_changed_ = sprites_changed_ = true;
  if (picture_) picture_->begin();
}

template <class T>
void Ppu<T>::finish_drawing() {
  if (picture_) picture_->finish(drawn_to_);
  picture_ = nullptr;
}

template <class T>
void Ppu<T>::update_palette(int position) {
  if (!palette_changed_) return;
  palette_changed_ = false;
  const unsigned bits = T::kConsoleBus && (s_.mask & kMaskGrey) ? 0x30u : 0x3fu;
  std::uint8_t palette[32];
  for (int i = 0; i < 32; ++i) palette[i] = static_cast<std::uint8_t>(s_.palette[i] & bits);
  picture_->use_palette(position, palette);
}

// ------------------------------------------------------------------------------------- sprites

template <class T>
typename Ppu<T>::SpriteRow Ppu<T>::sprite_row(int sprite, int line) const {
  if (T::kSpritesWrapToTop && line == 0) return wrapped_sprite_row(sprite);
  const std::uint8_t* entry = s_.oam + sprite * 4;
  const unsigned attributes = entry[2];
  const int height = sprite_height();
  int row = (line - 1 - entry[0]) & (height - 1);
  if (attributes & 0x80u) row ^= height - 1;
  int tile;
  if (height == 16) {
    tile = (entry[1] & 1) * 256 + (entry[1] & 0xfe) + (row >> 3);
  } else {
    tile = entry[1] + ((s_.ctrl & kCtrlSpriteTable) ? 256 : 0);
  }
  SpriteRow result;
  std::memcpy(result.pixels, (attributes & 0x40u) ? cartridge_.flipped_row(tile, row)
                                                  : cartridge_.tile_row(tile, row), 8);
  return result;
}

// What nes-py shows of a sprite on row 0: it computes a negative row there, and reads the bytes
// before the tile.
template <class T>
typename Ppu<T>::SpriteRow Ppu<T>::wrapped_sprite_row(int sprite) const {
  const std::uint8_t* entry = s_.oam + sprite * 4;
  const int height = sprite_height();
  int row = -static_cast<std::uint8_t>(entry[0] + 1) % height;
  if (entry[2] & 0x80u) row ^= height - 1;
  int address;
  if (height == 16) {
    row = (row & 7) | ((row & 8) << 1);
    address = ((entry[1] >> 1) * 32 + row) | (entry[1] & 1) << 12;
  } else {
    address = entry[1] * 16 + row + ((s_.ctrl & kCtrlSpriteTable) ? 0x1000 : 0);
  }
  const unsigned low = read_bus(static_cast<unsigned>(address) & 0xffffu);
  const unsigned high = read_bus(static_cast<unsigned>(address + 8) & 0xffffu);
  SpriteRow result;
  for (int x = 0; x < 8; ++x) {
    const int bit = (entry[2] & 0x40u) ? x : 7 - x;
    result.pixels[x] = static_cast<std::uint8_t>(((low >> bit) & 1u) | ((high >> bit) & 1u) << 1);
  }
  return result;
}

// For every line the first eight sprites on it, in order of priority.
template <class T>
void Ppu<T>::find_sprites() {
  if (!sprites_changed_) return;
  sprites_changed_ = false;
  std::memset(line_count_, 0, sizeof line_count_);
  const int height = sprite_height();
  for (int i = first_sprite(); i < 64; ++i) {
    const int first = s_.oam[i * 4] + 1;
    const int last = std::min(first + height, kHeight);
    for (int line = first; line < last; ++line) {
      if (line_count_[line] < 8) {
        line_sprites_[line][line_count_[line]++] = static_cast<std::uint8_t>(i);
      }
    }
  }
}

// Draws the sprites of a line over nothing: slots, with kBehind where the background hides them.
// `pixels` has room for 8 more than a row and is cleared. Returns whether there are any.
template <class T>
bool Ppu<T>::overlay(int line, std::uint8_t* pixels) const {
  const bool top = T::kSpritesWrapToTop && line == 0;
  const std::uint8_t* sprites = top ? s_.top_sprites : line_sprites_[line];
  const int count = top ? s_.top_count : line_count_[line];
  if (count == 0 || !(s_.mask & kMaskSprites)) return false;
  std::memset(pixels, 0, kWidth + 8);
  for (int i = count - 1; i >= 0; --i) {  // the first sprite is on top: draw it last
    const int sprite = sprites[i] & 63;
    const std::uint8_t* entry = s_.oam + sprite * 4;
    const unsigned slot = 0x10u | (entry[2] & 3u) << 2 | (entry[2] & 0x20u);
    const SpriteRow row = sprite_row(sprite, line);
    std::uint8_t* out = pixels + entry[3];
    for (int x = 0; x < 8; ++x) {
      if (row.pixels[x]) out[x] = static_cast<std::uint8_t>(slot | row.pixels[x]);
    }
  }
  if (!(s_.mask & kMaskLeftSprites)) std::memset(pixels, 0, 8);
  return true;
}

// ---------------------------------------------------------------------------------- background

// The eight rows of the tile `column` tiles to the right of v.
template <class T>
const std::uint8_t* Ppu<T>::tile_rows(std::uint16_t v, int column) const {
  const unsigned x = ((v & 0x0400u) >> 5 | (v & 0x1fu)) + static_cast<unsigned>(column);
  const unsigned address = (v & 0x0be0u) | (x & 0x20u) << 5 | (x & 0x1fu);
  const int table = (s_.ctrl & kCtrlTileTable) ? 256 : 0;
  return cartridge_.tile_row(table + s_.vram[vram_index(address)], 0);
}

// Its palette, as bits 2 and 3 of a slot.
template <class T>
unsigned Ppu<T>::attribute(std::uint16_t v, int column) const {
  const unsigned x = ((v & 0x0400u) >> 5 | (v & 0x1fu)) + static_cast<unsigned>(column);
  const unsigned address =
      0x03c0u | (v & 0x0800u) | (x & 0x20u) << 5 | ((v >> 4) & 0x38u) | ((x >> 2) & 7u);
  const unsigned shift = ((v >> 4) & 4u) | (x & 2u);
  return ((s_.vram[vram_index(address)] >> shift) & 3u) << 2;
}

// The slot of the background at column x: 0 if transparent. `v` is the address at column `anchor`
// (less the fine scroll, where columns do not follow it).
template <class T>
int Ppu<T>::tile_pixel(std::uint16_t v, int anchor, int x) const {
  if (!tiles_on() || (x < 8 && !(s_.mask & kMaskLeftTiles))) return 0;
  const int column = ((x + s_.fine_x) >> 3) - (anchor >> 3);
  const int pixel = tile_rows(v, column)[((v >> 12) & 7) * 8 + ((x + s_.fine_x) & 7)];
  return pixel ? static_cast<int>(attribute(v, column)) | pixel : 0;
}

// `count` lines from the one that v points into, all within one row of tiles.
template <class T>
void Ppu<T>::draw_tiles(std::uint16_t v, int line, int count) {
  const int fine_y = (v >> 12) & 7;
  std::uint8_t* out = picture_->row(line) - s_.fine_x;
  for (int column = 0; column < 33; ++column) {
    store_tile(out + column * 8, tile_rows(v, column) + fine_y * 8, attribute(v, column), count);
  }
  if (!(s_.mask & kMaskLeftTiles)) {
    for (int y = line; y < line + count; ++y) std::memset(picture_->row(y), 0, 8);
  }
}

template <class T>
void Ppu<T>::draw_lines(int line, int count) {
  find_sprites();
  update_palette(line * kWidth);
  std::uint16_t v = s_.v;
  for (int y = line, end = line + count; y < end;) {
    const int rows = tiles_on() ? std::min(end - y, 8 - ((v >> 12) & 7)) : end - y;
    if (tiles_on()) {
      draw_tiles(v, y, rows);
    } else {
      for (int i = y; i < y + rows; ++i) std::memset(picture_->row(i), 0, kWidth);
    }
    v = after_lines(v, rows);
    y += rows;
  }
  std::uint8_t sprites[kWidth + 8];
  for (int y = line; y < line + count; ++y) {
    if (!overlay(y, sprites)) continue;
    std::uint8_t* row = picture_->row(y);
    for (int x = 0; x < kWidth; ++x) row[x] = compose(row[x], sprites[x]);
  }
  drawn_to_ = (line + count) * kWidth;
}

template <class T>
void Ppu<T>::draw_part(int line, int x0, int x1) {
  find_sprites();
  update_palette(line * kWidth + x0);
  std::uint8_t sprites[kWidth + 8] = {};
  overlay(line, sprites);
  const int anchor = T::kColumnsFollowFineX ? x0 + s_.fine_x : x0;
  std::uint8_t* row = picture_->row(line);
  for (int x = x0; x < x1; ++x) {
    row[x] = compose(static_cast<unsigned>(tile_pixel(s_.v, anchor, x)), sprites[x]);
  }
  drawn_to_ = line * kWidth + x1;
}

template class Ppu<ConsoleTiming>;
template class Ppu<NesPyTiming>;

}  // namespace mario
