// One console with one cartridge: what everything above the emulation uses.
#pragma once

#include <cstdint>
#include <memory>

#include "cartridge.hpp"
#include "console.hpp"
#include "picture.hpp"
#include "state.hpp"
#include "timing.hpp"

namespace mario {

// Used by one thread at a time (see SharedMachine); different machines share nothing that is
// written, so each thread may run its own. It cannot be moved: `ram()` is a fixed address for its
// lifetime.
template <class Timing>
class Machine {
 public:
  explicit Machine(std::shared_ptr<const Cartridge> cartridge);
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // As when the console is switched on: memory zero, picture black.
  void power_on();

  // Holds `buttons` (bit 0 A, B, select, start, up, down, left, right) on joypad 1 for some frames.
  // `draw`: a hint that picture() will be wanted after the last of them; it changes no state.
  void step(std::uint8_t buttons, int frames = 1, bool draw = false);

  // Joypad 2, held until it is changed.
  void set_second_joypad(std::uint8_t buttons) { state_.buttons[1] = buttons; }

  // The 2,048 bytes of work RAM; they may be written between steps.
  std::uint8_t* ram() { return state_.ram; }
  const std::uint8_t* ram() const { return state_.ram; }

  // The machine as a value; loading it brings back the picture too. Load only what save() or
  // deserialize() gave: those states are safe to run.
  Saved save() const { return Saved{before_, state_}; }
  void save(std::uint8_t* bytes) const { serialize(before_, state_, bytes); }
  void load(const Saved& saved);

  // The picture at the end of the last frame; black before the first. If that frame was not drawn,
  // it is run once more with drawing on, from the state in which it began; RAM written since stays.
  const Picture& picture();

  const State& state() const { return state_; }
  const Cartridge& cartridge() const { return *cartridge_; }

 private:
  std::shared_ptr<const Cartridge> cartridge_;
  State state_;
  State before_;   // at the start of the last frame
  bool drawn_;     // whether picture_ shows the last frame
  Picture picture_;
  Console<Timing> console_;
};

extern template class Machine<ConsoleTiming>;
extern template class Machine<NesPyTiming>;

}  // namespace mario
