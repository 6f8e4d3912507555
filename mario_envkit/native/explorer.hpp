// One environment that is saved and restored over and over: the inner loop of searches.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "game_env.hpp"

namespace mario {

// A joypad byte, held for some frames (1 or more).
struct Hold {
  std::int32_t buttons;
  std::int32_t frames;
};

// How an expedition ended: with the flag of its stage; or with a death, a warp out of the stage, or
// a game that does not go on.
enum class SearchEnd : int { kRunning, kWon, kLost };

// Where an expedition writes, one row for each hold; memory of the caller's.
struct Log {
  GameState* states;       // at the end of each hold, after what the rules skip
  std::uint8_t* bytes;     // the work RAM at `addresses`, at the same moment
  std::int32_t* frames;    // frames played of each hold: fewer than asked if the episode ended
};

// Saved environments are called by numbers. Used by one thread at a time (see SharedExplorer).
class Explorer {
 public:
  virtual ~Explorer() = default;

  // `core`: the name of a timing. `addresses`: of the work RAM. Number 0 is the start.
  // Throws std::invalid_argument for an unknown core or an address outside the work RAM.
  static std::unique_ptr<Explorer> make(const std::string& core,
                                        std::shared_ptr<const Cartridge> cartridge,
                                        const Saved& start, std::vector<int> addresses);

  // Plays `holds` one after the other from saved environment `from`, until the episode ends.
  // Returns how many were begun; ending() says whether it did.
  virtual int explore(int from, const std::vector<Hold>& holds, const Log& log) = 0;
  SearchEnd ending() const { return ending_; }

  // Saves the environment as it was at the end of hold `row` of the last expedition; returns its
  // number. The episode must not have ended in that hold.
  int keep(int row);
  // Its number may be given again.
  void forget(int number);

  int address_count() const { return static_cast<int>(addresses_.size()); }

 protected:
  explicit Explorer(std::vector<int> addresses);

  const SavedEnv& at(int number) const;
  int add(const SavedEnv& saved);

  std::vector<int> addresses_;
  std::vector<SavedEnv> visited_;  // after each hold of the last expedition; grows, never shrinks
  int kept_rows_ = 0;              // of which these are of the last
  SearchEnd ending_ = SearchEnd::kRunning;

 private:
  std::vector<std::unique_ptr<SavedEnv>> saved_;  // nullptr: forgotten
  std::vector<int> free_;
};

}  // namespace mario
