#include "explorer.hpp"

#include <stdexcept>
#include <utility>

namespace mario {

namespace {

// Frame by frame, without pictures, rewards or limits.
EnvSpec bare_spec() {
  EnvSpec spec;
  spec.observes = Observes::kRam;
  return spec;
}

template <class Timing>
class TimedExplorer final : public Explorer {
 public:
  TimedExplorer(std::shared_ptr<const Cartridge> cartridge, const Saved& start,
                std::vector<int> addresses)
      : Explorer(std::move(addresses)),
        plan_(bare_spec()),
        stack_(plan_.observation_size),
        scratch_(plan_.observation_size),
        env_(std::move(cartridge), plan_, stack_.data()) {
    History nobody;
    env_.machine().load(start);
    const GameState state = read_state(env_.machine().ram());
    env_.reset(Start{start, {state.world, state.stage}}, 0, nobody);
    SavedEnv saved;
    env_.save(saved);
    add(saved);
  }

  int explore(int from, const std::vector<Hold>& holds, const Log& log) override {
    env_.load(at(from));
    ending_ = SearchEnd::kRunning;
    kept_rows_ = 0;
    if (visited_.size() < holds.size()) visited_.resize(holds.size());
    int row = 0;
    for (const Hold& hold : holds) {
      log.frames[row] = play(hold);
      note(row++, log);
      if (ending_ != SearchEnd::kRunning) break;
      env_.save(visited_[static_cast<std::size_t>(kept_rows_++)]);
    }
    return row;
  }

 private:
  // Returns how many frames were played.
  int play(const Hold& hold) {
    History nobody;
    for (int frame = 1; frame <= hold.frames; ++frame) {
      try {
        env_.step(Press{static_cast<std::uint8_t>(hold.buttons)}, scratch_.data(), nobody);
      } catch (const GameStuck&) {
        ending_ = SearchEnd::kLost;
        return frame;
      }
      if (env_.outcome().terminated) {
        ending_ = env_.outcome().ending == Ending::kFlag ? SearchEnd::kWon : SearchEnd::kLost;
        return frame;
      }
    }
    return hold.frames;
  }

  void note(int row, const Log& log) {
    const std::uint8_t* ram = env_.machine().ram();
    log.states[row] = read_state(ram);
    std::uint8_t* bytes = log.bytes + static_cast<std::ptrdiff_t>(row) * address_count();
    for (const int address : addresses_) *bytes++ = ram[address];
  }

  EnvPlan plan_;
  std::vector<std::uint8_t> stack_, scratch_;
  GameEnv<Timing> env_;
};

}  // namespace

std::unique_ptr<Explorer> Explorer::make(const std::string& core,
                                         std::shared_ptr<const Cartridge> cartridge,
                                         const Saved& start, std::vector<int> addresses) {
  if (core == ConsoleTiming::kCore) {
    return std::make_unique<TimedExplorer<ConsoleTiming>>(std::move(cartridge), start,
                                                          std::move(addresses));
  }
  if (core == NesPyTiming::kCore) {
    return std::make_unique<TimedExplorer<NesPyTiming>>(std::move(cartridge), start,
                                                        std::move(addresses));
  }
  throw std::invalid_argument("there is no core " + core);
}

Explorer::Explorer(std::vector<int> addresses) : addresses_(std::move(addresses)) {
  for (const int address : addresses_) {
    if (address < 0 || address >= kRamSize) {
      throw std::invalid_argument("an address is not one of the work RAM");
    }
  }
}

const SavedEnv& Explorer::at(int number) const {
  const auto index = static_cast<std::size_t>(number);
  if (number < 0 || index >= saved_.size() || !saved_[index]) {
    throw std::invalid_argument("there is no saved environment with this number");
  }
  return *saved_[index];
}

int Explorer::add(const SavedEnv& saved) {
  auto copy = std::make_unique<SavedEnv>(saved);
  if (free_.empty()) {
    saved_.push_back(std::move(copy));
    return static_cast<int>(saved_.size()) - 1;
  }
  const int number = free_.back();
  free_.pop_back();
  saved_[static_cast<std::size_t>(number)] = std::move(copy);
  return number;
}

int Explorer::keep(int row) {
  if (row < 0 || row >= kept_rows_) {
    throw std::invalid_argument("the last expedition saved nothing in this row");
  }
  return add(visited_[static_cast<std::size_t>(row)]);
}

void Explorer::forget(int number) {
  at(number);  // throws if there is none
  saved_[static_cast<std::size_t>(number)].reset();
  free_.push_back(number);
}

}  // namespace mario
