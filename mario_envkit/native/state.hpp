// The whole machine as one flat value: saving and loading are one copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

namespace mario {

constexpr int kRamSize = 2048;

struct State {
  std::uint8_t ram[kRamSize];
  std::uint8_t vram[2048];     // two nametables
  std::uint8_t oam[256];       // sprites
  std::uint8_t palette[32];

  // Time, in dots since the vertical-blank flag was last set (see timing.hpp).
  std::int32_t now;            // where the next instruction starts
  std::int32_t ppu_pos;        // dots that the PPU has done
  std::int32_t frame_end;      // where the current step ends (nes-py timing only)

  // CPU
  std::uint16_t pc;
  std::uint16_t v;             // PPU: current address
  std::uint16_t t;             // PPU: address of the top left corner
  std::uint8_t a, x, y, sp;
  std::uint8_t p;              // NV1BDIZC
  std::uint8_t nmi_pending;

  // PPU
  std::uint8_t fine_x;
  std::uint8_t second_write;   // the latch of $2005 and $2006
  std::uint8_t ctrl, mask, status;
  std::uint8_t oam_addr;
  std::uint8_t read_buffer;    // of $2007
  std::uint8_t io_latch;       // the byte that the PPU's undriven lines still hold
  std::uint8_t odd_frame;
  std::uint8_t skipped_dot;    // 1: the pre-render line of this frame was a dot short
  std::uint8_t dot_phase;      // dots from power-on to the origin, modulo 6
  std::uint8_t top_count;      // sprites that wrap to row 0 (nes-py timing only)
  std::uint8_t top_sprites[8];

  // Joypads
  std::uint8_t buttons[2];
  std::uint8_t shift[2];
  std::uint8_t strobe;

  std::uint8_t has_frame;      // 0 from power-on until a frame has run
  std::uint8_t hide_vblank;    // the next vertical blank will not show in $2002
  std::uint8_t reserved;       // zero: no byte of a state is indeterminate
};

static_assert(std::is_trivially_copyable_v<State>);
static_assert(std::has_unique_object_representations_v<State>, "no padding");

// A machine at the end of a frame, with the machine at the start of that frame: from the latter the
// picture can be drawn again, so that no pixel needs to be kept.
struct Saved {
  State before;
  State now;
};

// Bytes of a Saved: explicit little-endian fields, the same on every machine.
constexpr int kStateFormat = 1;
std::size_t serialized_size();
std::vector<std::uint8_t> serialize(const Saved& saved);
// The same, written to `out`, of serialized_size() bytes.
void serialize(const State& before, const State& now, std::uint8_t* out);

// Reads what serialize() wrote into `out`. Returns an empty string, or one sentence on what is
// wrong, and then `out` must not be run. Whatever passes can be loaded and run without harm.
std::string deserialize(const std::uint8_t* bytes, std::size_t size, Saved& out);

}  // namespace mario
