#include "ppu.hpp"

#include <algorithm>

#include "timing.hpp"

namespace mario {

namespace {

// Bits of v and t: yyy NN YYYYY XXXXX (fine y, nametable, coarse y, coarse x).
constexpr unsigned kXBits = 0x041f;
constexpr unsigned kYBits = 0x7be0;

std::uint16_t u16(unsigned value) { return static_cast<std::uint16_t>(value); }

// Moves v `count` tiles to the right: coarse x and the horizontal nametable are one 6-bit number.
std::uint16_t add_columns(std::uint16_t v, int count) {
  const unsigned column = ((v & 0x0400u) >> 5 | (v & 0x1fu)) + static_cast<unsigned>(count);
  return u16((v & ~kXBits) | (column & 0x20u) << 5 | (column & 0x1fu));
}

// Moves v one line down. Rows 30 and 31 hold attributes: from 31 it wraps without changing the
// nametable.
std::uint16_t add_line(std::uint16_t v) {
  if ((v & 0x7000u) != 0x7000u) return u16(v + 0x1000u);
  unsigned row = (v & 0x03e0u) >> 5;
  unsigned next = v & 0x0fffu & ~0x03e0u;
  if (row == 29) {
    row = 0;
    next ^= 0x0800u;
  } else {
    row = (row + 1) & 31u;
  }
  return u16((v & 0x8000u) | next | row << 5);
}

std::uint16_t add_lines(std::uint16_t v, int count) {
  if ((v & 0x03e0u) >> 5 >= 30) {
    for (; count > 0; --count) v = add_line(v);
    return v;
  }
  unsigned y = ((v & 0x03e0u) >> 2 | ((v >> 12) & 7u)) + static_cast<unsigned>(count);
  unsigned next = v & 0x8c1fu;
  if (y >= 240) {
    y -= 240;
    next ^= 0x0800u;
  }
  return u16(next | (y & 7u) << 12 | (y >> 3) << 5);
}

// nes-py mirrors everything above the last nametable into it.
unsigned clamp_to_last_nametable(unsigned address) {
  return std::min(address, 0x2c00u | (address & 0x3ffu));
}

}  // namespace

// ---------------------------------------------------------------------------------------- time

template <class T>
void Ppu<T>::advance(int target) {
  pre_render(target);
  const int start = first_line();
  const int end = start + kHeight * kLineDots;
  const int visible = std::min(target, end);
  while (s_.ppu_pos < visible) {
    const int line = (s_.ppu_pos - start) / kLineDots;
    const int offset = (s_.ppu_pos - start) % kLineDots;
    const int available = visible - s_.ppu_pos;
    if (offset == 0 && available >= kLineDots) {
      const int count = available / kLineDots;
      whole_lines(line, count);
      s_.ppu_pos += count * kLineDots;
    } else {
      const int to = std::min(kLineDots, offset + available);
      part_of_line(line, offset, to);
      s_.ppu_pos += to - offset;
    }
  }
  s_.ppu_pos = std::max(s_.ppu_pos, target);
}

template <class T>
void Ppu<T>::pre_render(int target) {
  const int from = s_.ppu_pos;
  if (from >= kFirstLine - s_.skipped_dot) return;
  const auto passes = [&](int first, int last) { return from <= last && target > first; };
  if (passes(kPreRender, kPreRender)) s_.status = 0;
  if (v_reloads()) {
    if (passes(kPreRender + T::kCopyXOffset, kPreRender + T::kCopyXOffset)) s_.v = reload_x(s_.v);
    if (passes(kPreRender + T::kCopyYFirst, kPreRender + 303)) {
      s_.v = u16((s_.v & ~kYBits) | (s_.t & kYBits));
    }
  }
  if (passes(kSkipDecision, kSkipDecision)) {
    const bool rendering = T::kEitherLayerMovesV ? (s_.mask & kMaskBoth) != 0 : both_on();
    s_.skipped_dot = s_.odd_frame && rendering;
    s_.odd_frame ^= 1;
  }
  s_.ppu_pos = std::min(target, kFirstLine - s_.skipped_dot);
}

template <class T>
void Ppu<T>::whole_lines(int line, int count) {
  if (picture_) draw_lines(line, count);
  const int end = line + count;
  int at = line;
  if (hit_possible()) {
    // Only the lines that sprite 0 is on need a look.
    const int first = s_.oam[0] + 1;
    if (T::kSpritesWrapToTop && at == 0 && on_line(0, 0) &&
        hit_column(s_.v, 0, 0, kWidth) < kWidth) {
      s_.status |= kStatusHit;
    }
    const int last = std::min(end, first + sprite_height());
    for (int y = std::max(at, first); y < last && !(s_.status & kStatusHit); ++y) {
      s_.v = after_lines(s_.v, y - at);
      at = y;
      if (hit_column(s_.v, y, 0, kWidth) < kWidth) s_.status |= kStatusHit;
    }
  }
  s_.v = after_lines(s_.v, end - at);
  if (end == kHeight) note_top_sprites();
}

template <class T>
void Ppu<T>::part_of_line(int line, int from, int to) {
  const int x0 = std::min(from, kWidth);
  const int x1 = std::min(to, kWidth);
  if (x0 < x1) {
    if (picture_) draw_part(line, x0, x1);
    if (hit_possible() && on_line(0, line) && hit_column(s_.v, line, x0, x1) < x1) {
      s_.status |= kStatusHit;
    }
    if (v_moves()) s_.v = after_columns(s_.v, x0, x1);
  }
  const auto passes = [&](int offset) { return from <= offset && offset < to; };
  if (passes(T::kIncrementYOffset) && v_moves()) s_.v = add_line(s_.v);
  if (passes(T::kCopyXOffset) && v_reloads()) s_.v = reload_x(s_.v);
  if (line == kHeight - 1 && to == kLineDots) note_top_sprites();
}

template <class T>
std::uint16_t Ppu<T>::after_lines(std::uint16_t v, int count) const {
  if (count == 0 || !v_moves()) return v;
  v = add_lines(v, count);
  if (v_reloads()) return reload_x(v);
  return count % 2 ? u16(v ^ 0x0400u) : v;  // 32 columns a line
}

template <class T>
std::uint16_t Ppu<T>::after_columns(std::uint16_t v, int x0, int x1) const {
  const int shift = T::kColumnsFollowFineX ? s_.fine_x : 0;
  return add_columns(v, ((x1 + shift) >> 3) - ((x0 + shift) >> 3));
}

template <class T>
std::uint16_t Ppu<T>::reload_x(std::uint16_t v) const {
  return u16((v & ~kXBits) | (s_.t & kXBits));
}

template <class T>
void Ppu<T>::begin_vblank() {
  s_.ppu_pos = 1;
  s_.skipped_dot = 0;
  if (!s_.hide_vblank) {
    s_.status |= kStatusBlank;
    if (s_.ctrl & kCtrlNmi) s_.nmi_pending = 1;
  }
  s_.hide_vblank = 0;
  palette_changed_ = true;  // the next pixel drawn is at the top again
}

// nes-py looks for the sprites of the next line at the end of each, so those that reach below the
// screen are found on row 0 of the next frame.
template <class T>
void Ppu<T>::note_top_sprites() {
  if constexpr (T::kSpritesWrapToTop) {
    int count = 0;
    for (int i = first_sprite(); i < 64 && count < 8; ++i) {
      const int row = kHeight - 1 - s_.oam[i * 4];
      if (row >= 0 && row < sprite_height()) {
        s_.top_sprites[count++] = static_cast<std::uint8_t>(i);
      }
    }
    s_.top_count = static_cast<std::uint8_t>(count);
    std::fill(s_.top_sprites + count, s_.top_sprites + 8, std::uint8_t{0});
  }
}

// ------------------------------------------------------------------------------------ sprite 0

template <class T>
bool Ppu<T>::hit_possible() const {
  return !(s_.status & kStatusHit) && both_on() && first_sprite() == 0;
}

template <class T>
bool Ppu<T>::on_line(int sprite, int line) const {
  if (line == 0) {
    return T::kSpritesWrapToTop &&
           std::find(s_.top_sprites, s_.top_sprites + s_.top_count, sprite) !=
               s_.top_sprites + s_.top_count;
  }
  const int row = line - 1 - s_.oam[sprite * 4];
  return row >= 0 && row < sprite_height();
}

// The first column in [x0, x1) where sprite 0 hits on a line that it is on, or x1. `v` is the
// address at column x0.
template <class T>
int Ppu<T>::hit_column(std::uint16_t v, int line, int x0, int x1) const {
  const unsigned left = kMaskLeftTiles | kMaskLeftSprites;
  const int clip = (s_.mask & left) == left ? 0 : 8;
  const int sprite_x = s_.oam[3];
  const int from = std::max({x0, sprite_x, clip});
  const int to = std::min({x1, sprite_x + 8, T::kHitColumns});
  if (from >= to) return x1;
  const SpriteRow row = sprite_row(0, line);
  const int anchor = T::kColumnsFollowFineX ? x0 + s_.fine_x : x0;
  for (int x = from; x < to; ++x) {
    if (row.pixels[x - sprite_x] && tile_pixel(v, anchor, x)) return x;
  }
  return x1;
}

template <class T>
int Ppu<T>::next_hit() const {
  if (!hit_possible()) return kNever;
  const int start = first_line();
  if (s_.ppu_pos <= start) return start;
  int line = (s_.ppu_pos - start) / kLineDots;
  const int offset = (s_.ppu_pos - start) % kLineDots;
  std::uint16_t v = s_.v;
  if (offset > 0) {
    const int x0 = std::min(offset, kWidth);
    if (line < kHeight && on_line(0, line)) {
      const int x = hit_column(v, line, x0, kWidth);
      if (x < kWidth) return start + line * kLineDots + x;
    }
    v = after_columns(v, x0, kWidth);
    if (offset <= T::kIncrementYOffset) v = add_line(v);
    if (offset <= T::kCopyXOffset) v = reload_x(v);
    ++line;
  }
  const int first = std::max(line, s_.oam[0] + 1);
  const int last = std::min(kHeight, s_.oam[0] + 1 + sprite_height());
  for (int y = first; y < last; ++y) {
    v = after_lines(v, y - line);
    line = y;
    const int x = hit_column(v, y, 0, kWidth);
    if (x < kWidth) return start + y * kLineDots + x;
  }
  return kNever;
}

// --------------------------------------------------------------------------------- registers

template <class T>
std::uint8_t Ppu<T>::read_register(int number) {
  switch (number) {
    case 2: {
      const unsigned undriven = T::kConsoleBus ? s_.io_latch & 0x1fu : 0u;
      const auto value = static_cast<std::uint8_t>((s_.status & 0xc0u) | undriven);
      s_.status &= static_cast<std::uint8_t>(~kStatusBlank);
      s_.second_write = 0;
      s_.io_latch = value;
      return value;
    }
    case 4:
      return s_.io_latch = s_.oam[s_.oam_addr];
    case 7:
      return s_.io_latch = read_data();
    default:
      return T::kConsoleBus ? s_.io_latch : 0;
  }
}

template <class T>
bool Ppu<T>::write_register(int number, std::uint8_t value) {
  s_.io_latch = value;
  switch (number) {
    case 0: {
      const bool enabled = (value & kCtrlNmi) && !(s_.ctrl & kCtrlNmi);
      s_.ctrl = value;
      s_.t = u16((s_.t & ~0x0c00u) | (value & 3u) << 10);
      sprites_changed_ = true;
      return T::kConsoleBus && enabled && (s_.status & kStatusBlank);
    }
    case 1:
      if ((s_.mask ^ value) & kMaskGrey) palette_changed_ = true;
      s_.mask = value;
      break;
    case 3:
      s_.oam_addr = value;
      sprites_changed_ = true;
      break;
    case 4:
      write_oam(value);
      break;
    case 5:
      if (!s_.second_write) {
        s_.t = u16((s_.t & ~0x1fu) | value >> 3);
        s_.fine_x = value & 7;
      } else {
        s_.t = u16((s_.t & ~0x73e0u) | (value & 7u) << 12 | (value & 0xf8u) << 2);
      }
      s_.second_write ^= 1;
      break;
    case 6:
      if (!s_.second_write) {
        s_.t = u16((s_.t & 0x00ffu) | (value & 0x3fu) << 8);
      } else {
        s_.t = u16((s_.t & 0xff00u) | value);
        s_.v = s_.t;
      }
      s_.second_write ^= 1;
      break;
    case 7:
      write_data(value);
      break;
    default:
      break;
  }
  return false;
}

template <class T>
void Ppu<T>::write_oam(std::uint8_t value) {
  s_.oam[s_.oam_addr++] = value;
  sprites_changed_ = true;
}

template <class T>
void Ppu<T>::write_all_oam(const std::uint8_t* page) {
  const std::size_t before_end = 256u - s_.oam_addr;
  std::copy_n(page, before_end, s_.oam + s_.oam_addr);
  std::copy_n(page + before_end, s_.oam_addr, s_.oam);
  sprites_changed_ = true;
}

// ------------------------------------------------------------------------------------- memory

// Pattern and nametable memory; nes-py's map has its own borders.
template <class T>
std::uint8_t Ppu<T>::read_bus(unsigned address) const {
  if (address < 0x2000u) return cartridge_.patterns()[address];
  if constexpr (T::kConsoleBus) return s_.vram[vram_index(address)];
  if (address < 0x3effu) return s_.vram[vram_index(clamp_to_last_nametable(address))];
  return address < 0x3fffu ? s_.palette[address & 0x1fu] : 0;
}

template <class T>
std::uint8_t Ppu<T>::read_data() {
  const unsigned step = (s_.ctrl & kCtrlStep32) ? 32 : 1;
  const unsigned address = T::kConsoleBus ? s_.v & 0x3fffu : s_.v;
  s_.v = u16(s_.v + step);
  if constexpr (T::kConsoleBus) {
    s_.v &= 0x7fff;
    const std::uint8_t buffered = s_.read_buffer;
    s_.read_buffer = read_bus(address >= 0x3f00u ? address & 0x2fffu : address);
    if (address < 0x3f00u) return buffered;
    const unsigned slot = (address & 0x13u) == 0x10u ? address & 0x0fu : address & 0x1fu;
    return static_cast<std::uint8_t>((s_.palette[slot] & 0x3fu) | (s_.io_latch & 0xc0u));
  }
  // nes-py asks where the address is after the step.
  std::uint8_t value = read_bus(address);
  if (s_.v < 0x3f00) std::swap(value, s_.read_buffer);
  return value;
}

template <class T>
void Ppu<T>::write_data(std::uint8_t value) {
  const unsigned step = (s_.ctrl & kCtrlStep32) ? 32 : 1;
  const unsigned address = T::kConsoleBus ? s_.v & 0x3fffu : s_.v;
  s_.v = u16(s_.v + step);
  if constexpr (T::kConsoleBus) {
    s_.v &= 0x7fff;
    if (address >= 0x3f00u) {
      s_.palette[(address & 0x13u) == 0x10u ? address & 0x0fu : address & 0x1fu] = value;
      palette_changed_ = true;
    } else if (address >= 0x2000u) {
      s_.vram[vram_index(address)] = value;
    }
  } else if (address >= 0x3effu) {
    if (address < 0x3fffu) s_.palette[address == 0x3f10u ? 0u : address & 0x1fu] = value;
    palette_changed_ = true;
  } else if (address >= 0x2000u) {
    s_.vram[vram_index(clamp_to_last_nametable(address))] = value;
  }
}

template class Ppu<ConsoleTiming>;
template class Ppu<NesPyTiming>;

}  // namespace mario
