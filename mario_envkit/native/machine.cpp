#include "machine.hpp"

#include <utility>

namespace mario {

template <class Timing>
Machine<Timing>::Machine(std::shared_ptr<const Cartridge> cartridge)
    : cartridge_(std::move(cartridge)), console_(state_, *cartridge_) {
  power_on();
}

template <class Timing>
void Machine<Timing>::power_on() {
  console_.power_on();
  before_ = state_;
  picture_.blacken();
  drawn_ = true;
}

template <class Timing>
void Machine<Timing>::step(std::uint8_t buttons, int frames, bool draw) {
  state_.buttons[0] = buttons;
  for (int i = 1; i < frames; ++i) console_.run_frame(nullptr);
  if (frames < 1) return;
  before_ = state_;
  console_.run_frame(draw ? &picture_ : nullptr);
  drawn_ = draw;
}

template <class Timing>
void Machine<Timing>::load(const Saved& saved) {
  before_ = saved.before;
  state_ = saved.now;
  drawn_ = !state_.has_frame;
  if (drawn_) picture_.blacken();
}

template <class Timing>
const Picture& Machine<Timing>::picture() {
  if (!drawn_) {
    State again = before_;  // not the state itself: somebody may be looking at its RAM
    Console<Timing>(again, *cartridge_).run_frame(&picture_);
    drawn_ = true;
  }
  return picture_;
}

template class Machine<ConsoleTiming>;
template class Machine<NesPyTiming>;

}  // namespace mario
