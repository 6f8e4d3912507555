// The PPU, run lazily: it does its dots only when a register is touched or a frame ends. Nothing
// of its state depends on whether pixels are drawn.
#pragma once

#include <cstdint>

#include "cartridge.hpp"
#include "picture.hpp"
#include "state.hpp"

namespace mario {

constexpr int kLineDots = 341;
constexpr int kPreRender = 20 * kLineDots;        // first dot of the pre-render line
constexpr int kSkipDecision = kPreRender + 339;   // where an odd frame drops a dot
constexpr int kFirstLine = kPreRender + kLineDots;
constexpr int kLongFrame = 262 * kLineDots;       // dots from one vertical blank to the next
constexpr int kNever = 1 << 30;

// Bits of $2000, $2001 and $2002.
constexpr unsigned kCtrlStep32 = 0x04, kCtrlSpriteTable = 0x08, kCtrlTileTable = 0x10;
constexpr unsigned kCtrlTallSprites = 0x20, kCtrlNmi = 0x80;
constexpr unsigned kMaskGrey = 0x01, kMaskLeftTiles = 0x02, kMaskLeftSprites = 0x04;
constexpr unsigned kMaskTiles = 0x08, kMaskSprites = 0x10, kMaskBoth = 0x18;
constexpr unsigned kStatusHit = 0x40, kStatusBlank = 0x80;

template <class Timing>
class Ppu {
 public:
  Ppu(State& state, const Cartridge& cartridge) : s_(state), cartridge_(cartridge) {}

  // From here on pixels go to `picture`; nullptr: nothing is drawn.
  void draw_into(Picture* picture);
  // Ends the drawing of a frame.
  void finish_drawing();

  // Does all dots before `target`, which must not lie beyond the next vertical blank.
  void catch_up(int target) {
    if (target <= s_.ppu_pos) return;
    if (target <= kPreRender) {
      s_.ppu_pos = target;  // vertical blank: nothing happens
    } else {
      advance(target);
    }
  }

  // Where the next vertical blank begins; exact once kSkipDecision has been passed.
  int vblank_dot() const {
    return s_.ppu_pos > kSkipDecision ? kLongFrame - s_.skipped_dot : kLongFrame - 1;
  }

  // Begins a vertical blank at the current dot, which becomes dot 0 and is done.
  void begin_vblank();

  // $2000 to $2007 as of the current dot. write() says whether it raised an NMI.
  std::uint8_t read_register(int number);
  bool write_register(int number, std::uint8_t value);
  void write_oam(std::uint8_t value);
  void write_all_oam(const std::uint8_t* page);  // 256 bytes, from the current address on

  // The dot at which sprite 0 will hit, or a dot before which it cannot, if no register is written
  // until then; kNever if it will not hit in this frame.
  int next_hit() const;

 private:
  struct SpriteRow {
    std::uint8_t pixels[8];  // as in Cartridge::tile_row()
  };

  struct LineSprites {
    const std::uint8_t* numbers;  // in order of priority
    int count;
  };

  bool tiles_on() const { return (s_.mask & kMaskTiles) != 0; }
  bool both_on() const { return (s_.mask & kMaskBoth) == kMaskBoth; }
  bool v_moves() const {
    return Timing::kEitherLayerMovesV ? (s_.mask & kMaskBoth) != 0 : tiles_on();
  }
  bool v_reloads() const {
    return Timing::kEitherLayerMovesV ? (s_.mask & kMaskBoth) != 0 : both_on();
  }
  int sprite_height() const { return (s_.ctrl & kCtrlTallSprites) ? 16 : 8; }
  int first_line() const { return kFirstLine - s_.skipped_dot; }
  int first_sprite() const { return Timing::kConsoleBus ? 0 : s_.oam_addr / 4; }

  // Time (ppu.cpp)
  void advance(int target);
  void pre_render(int target);
  void whole_lines(int line, int count);
  void part_of_line(int line, int from, int to);
  std::uint16_t after_lines(std::uint16_t v, int count) const;
  std::uint16_t after_columns(std::uint16_t v, int x0, int x1) const;
  std::uint16_t reload_x(std::uint16_t v) const;
  void note_top_sprites();

  // Sprite 0 (ppu.cpp)
  bool hit_possible() const;
  bool on_line(int sprite, int line) const;
  int hit_column(std::uint16_t v, int line, int x0, int x1) const;

  // Memory (ppu.cpp)
  int vram_index(unsigned address) const {
    const unsigned bank = cartridge_.vertical_mirroring() ? address >> 10 : address >> 11;
    return static_cast<int>((address & 0x3ffu) | (bank & 1u) << 10);
  }
  std::uint8_t read_bus(unsigned address) const;
  std::uint8_t read_data();
  void write_data(std::uint8_t value);

  // Pixels (ppu_draw.cpp)
  SpriteRow sprite_row(int sprite, int line) const;
  SpriteRow wrapped_sprite_row(int sprite) const;
  int tile_pixel(std::uint16_t v, int anchor, int x) const;
  void find_sprites();
  void update_palette(int position);
  void draw_lines(int line, int count);
  void draw_tiles(std::uint16_t v, int columns, std::uint8_t* out, int count) const;
  void draw_part(int line, int x0, int x1);
  LineSprites sprites_on(int line) const;
  void overlay(int line, const LineSprites& sprites, std::uint8_t* pixels) const;
  void draw_sprites(int line, std::uint8_t* pixels) const;

  State& s_;
  const Cartridge& cartridge_;

  // Only for drawing; derived from the state when a frame begins to be drawn.
  Picture* picture_ = nullptr;
  bool palette_changed_ = false;
  bool sprites_changed_ = true;
  int drawn_to_ = 0;
  std::uint8_t line_count_[kHeight] = {};
  std::uint8_t line_sprites_[kHeight][8] = {};
};

}  // namespace mario
