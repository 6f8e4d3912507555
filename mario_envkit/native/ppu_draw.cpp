// The pixels. Nothing here changes the machine.
#include <algorithm>
#include <cstring>

#include "ppu.hpp"
#include "timing.hpp"

namespace mario {

namespace {

constexpr std::uint64_t kEveryByte = 0x0101010101010101u;
constexpr unsigned kBehind = 0x20;  // a sprite pixel that the background hides

// Stores `count` rows of a tile, one picture row apart; `mask`: what one AND makes slots with.
inline void store_tile(std::uint8_t* out, const std::uint8_t* rows, std::uint64_t mask, int count) {
  for (int y = 0; y < count; ++y) {
    std::uint64_t pixels;
    std::memcpy(&pixels, rows + y * 8, 8);
    pixels &= mask;
    std::memcpy(out + y * Picture::kStride, &pixels, 8);
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
    const unsigned bits = ((low >> bit) & 1u) | ((high >> bit) & 1u) << 1;
    result.pixels[x] = static_cast<std::uint8_t>(bits ? 0x0cu | bits : 0u);
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

// The sprites to be shown on a line.
template <class T>
typename Ppu<T>::LineSprites Ppu<T>::sprites_on(int line) const {
  if (!(s_.mask & kMaskSprites)) return {nullptr, 0};
  if (T::kSpritesWrapToTop && line == 0) return {s_.top_sprites, s_.top_count};
  return {line_sprites_[line], line_count_[line]};
}

// Draws the sprites of a line over nothing: slots, with kBehind where the background hides them.
// `pixels` is clear, and has room for 8 more than a row.
template <class T>
void Ppu<T>::overlay(int line, const LineSprites& sprites, std::uint8_t* pixels) const {
  for (int i = sprites.count - 1; i >= 0; --i) {  // the first sprite is on top: draw it last
    const int sprite = sprites.numbers[i] & 63;
    const std::uint8_t* entry = s_.oam + sprite * 4;
    const unsigned mask = (entry[2] & 3u) << 2 | 3u;
    const unsigned flags = 0x10u | (entry[2] & 0x20u);
    const SpriteRow row = sprite_row(sprite, line);
    std::uint8_t* out = pixels + entry[3];
    for (int x = 0; x < 8; ++x) {
      if (row.pixels[x]) out[x] = static_cast<std::uint8_t>((row.pixels[x] & mask) | flags);
    }
  }
  if (!(s_.mask & kMaskLeftSprites)) std::memset(pixels, 0, 8);
}

// Draws the sprites of a line over its background. `pixels` is as for overlay(), and left clear.
template <class T>
void Ppu<T>::draw_sprites(int line, std::uint8_t* pixels) const {
  const LineSprites sprites = sprites_on(line);
  if (sprites.count == 0) return;
  overlay(line, sprites, pixels);
  std::uint8_t* row = picture_->row(line);
  const auto column = [&](int i) { return s_.oam[(sprites.numbers[i] & 63) * 4 + 3]; };
  // Where sprites overlap this is done twice, which changes nothing.
  for (int i = 0; i < sprites.count; ++i) {
    for (int x = column(i), end = x + 8; x < end; ++x) row[x] = compose(row[x], pixels[x]);
  }
  for (int i = 0; i < sprites.count; ++i) std::memset(pixels + column(i), 0, 8);
}

// ---------------------------------------------------------------------------------- background

// The row of a nametable that v points into, and its attributes, for both horizontal nametables.
struct TileRow {
  const std::uint8_t* names[2];
  const std::uint8_t* attributes[2];
  unsigned first;  // column: bit 5 is the nametable
  unsigned shift;  // which half of the attribute byte

  template <class Index>
  TileRow(const std::uint8_t* vram, unsigned v, Index&& index)
      : first((v & 0x0400u) >> 5 | (v & 0x1fu)), shift((v >> 4) & 4u) {
    for (unsigned side = 0; side < 2; ++side) {
      const unsigned table = (v & 0x0800u) | side << 10;
      names[side] = vram + index(table | (v & 0x03e0u));
      attributes[side] = vram + index(table | 0x03c0u | ((v >> 4) & 0x38u));
    }
  }
  int name(int column) const {
    const unsigned x = first + static_cast<unsigned>(column);
    return names[(x >> 5) & 1u][x & 31u];
  }
  // What makes palette slots of the tile's pixels.
  unsigned mask(int column) const {
    const unsigned x = first + static_cast<unsigned>(column);
    const unsigned attribute = attributes[(x >> 5) & 1u][(x >> 2) & 7u];
    return ((attribute >> (shift | (x & 2u))) & 3u) << 2 | 3u;
  }
};

// The slot of the background at column x: 0 if transparent. `v` is the address at column `anchor`
// (less the fine scroll, where columns do not follow it).
template <class T>
int Ppu<T>::tile_pixel(std::uint16_t v, int anchor, int x) const {
  if (!tiles_on() || (x < 8 && !(s_.mask & kMaskLeftTiles))) return 0;
  const TileRow row(s_.vram, v, [this](unsigned address) { return vram_index(address); });
  const int column = ((x + s_.fine_x) >> 3) - (anchor >> 3);
  const int table = (s_.ctrl & kCtrlTileTable) ? 256 : 0;
  const std::uint8_t* pixels = cartridge_.tile_row(table + row.name(column), v >> 12);
  return pixels[(x + s_.fine_x) & 7] & static_cast<int>(row.mask(column));
}

// `count` lines of `columns` tiles from the one that v points into, all within one row of tiles.
template <class T>
void Ppu<T>::draw_tiles(std::uint16_t v, int columns, std::uint8_t* out, int count) const {
  const TileRow row(s_.vram, v, [this](unsigned address) { return vram_index(address); });
  const int table = (s_.ctrl & kCtrlTileTable) ? 256 : 0;
  const std::uint8_t* patterns = cartridge_.tile_row(table, v >> 12);
  for (int column = 0; column < columns; ++column, out += 8) {
    const std::uint8_t* rows = patterns + row.name(column) * 64;
    const std::uint64_t mask = row.mask(column) * kEveryByte;
    if (count == 8) {
      store_tile(out, rows, mask, 8);
    } else {
      store_tile(out, rows, mask, count);
    }
  }
}

template <class T>
void Ppu<T>::draw_lines(int line, int count) {
  find_sprites();
  update_palette(line * kWidth);
  std::uint16_t v = s_.v;
  for (int y = line, end = line + count; y < end;) {
    // Lines of one row of tiles look alike, unless v comes back from the first with another x: it
    // was written to, or `t` was, since the last reload.
    const bool alike = ((after_lines(v, 1) ^ v) & 0x041fu) == 0;
    const int rows = !tiles_on() ? end - y : alike ? std::min(end - y, 8 - ((v >> 12) & 7)) : 1;
    if (tiles_on()) draw_tiles(v, 33, picture_->row(y) - s_.fine_x, rows);
    const std::size_t blank = !tiles_on() ? kWidth : (s_.mask & kMaskLeftTiles) ? 0 : 8;
    for (int i = y; blank != 0 && i < y + rows; ++i) std::memset(picture_->row(i), 0, blank);
    v = after_lines(v, rows);
    y += rows;
  }
  std::uint8_t sprites[kWidth + 8] = {};
  for (int y = line; y < line + count; ++y) draw_sprites(y, sprites);
  drawn_to_ = (line + count) * kWidth;
}

template <class T>
void Ppu<T>::draw_part(int line, int x0, int x1) {
  find_sprites();
  update_palette(line * kWidth + x0);
  const int anchor = T::kColumnsFollowFineX ? x0 + s_.fine_x : x0;
  std::uint8_t tiles[kWidth + 16] = {};
  // The tile that v points into starts at this column of the screen.
  const int start = (anchor & ~7) - s_.fine_x;
  if (tiles_on()) draw_tiles(s_.v, (x1 - start + 7) / 8, tiles, 1);
  std::uint8_t sprites[kWidth + 8] = {};
  overlay(line, sprites_on(line), sprites);
  std::uint8_t* row = picture_->row(line);
  const int clip = (s_.mask & kMaskLeftTiles) ? 0 : 8;
  for (int x = x0; x < x1; ++x) row[x] = compose(x < clip ? 0u : tiles[x - start], sprites[x]);
  drawn_to_ = line * kWidth + x1;
}

template class Ppu<ConsoleTiming>;
template class Ppu<NesPyTiming>;

}  // namespace mario
