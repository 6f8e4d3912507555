// The bus: CPU, PPU, cartridge and joypads, and what happens when.
#pragma once

#include <cstdint>

#include "cartridge.hpp"
#include "ppu.hpp"
#include "state.hpp"

namespace mario {

template <class Timing, bool kFromRom>
class Cpu;

template <class Timing>
class Console {
 public:
  Console(State& state, const Cartridge& cartridge)
      : s_(state), cartridge_(cartridge), ppu_(state, cartridge) {}

  // Fills the state with a machine that has just been switched on.
  void power_on();

  // Runs one frame with the joypads as they are; draws it if there is a picture.
  void run_frame(Picture* picture);

 private:
  friend class Cpu<Timing, true>;
  friend class Cpu<Timing, false>;

  // Brings the PPU to `dot`, into the next vertical blank if need be; returns the dot in terms of
  // the origin, which moves then.
  int synchronise(int dot);
  void enter_vblank();
  int next_event() const;
  bool handle_event();  // true: the frame is over
  // How many dots of waiting for sprite 0 can be passed over. `loop`: where the wait starts,
  // `iteration`: dots it takes, `left`: dots to the next event, `seen_clear`: what it read last.
  int idle_dots(std::uint32_t loop, int iteration, int left, bool seen_clear);
  void take_nmi();

  // Whatever is not work RAM or ROM. `dot`: when. `left`: dots from the end of the instruction to
  // the next event, which a write may change.
  std::uint8_t read_io(std::uint16_t address, int dot);
  int write_io(std::uint16_t address, std::uint8_t value, int dot, int left);
  std::uint8_t read(std::uint16_t address, int dot);
  void push(std::uint8_t value) { s_.ram[0x100 | s_.sp--] = value; }

  void settle_vblank_race(int dot);
  std::uint8_t read_joypad(int port);
  void strobe(std::uint8_t value);
  int copy_sprites(std::uint8_t page, int dot);

  State& s_;
  const Cartridge& cartridge_;
  Ppu<Timing> ppu_;
  int event_ = 0;           // the dot of the next event
  bool frame_done_ = false;
};

}  // namespace mario
