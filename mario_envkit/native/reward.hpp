// Rewards made of the built-in terms, equal to mario_envkit/game/rewards.py to the last bit: the
// same operations in the same order (and compiled without fusing multiply and add).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "smb.hpp"

namespace mario {

enum class TermKind : int {
  kDistance,
  kProgress,
  kClock,
  kDeath,
  kFlag,
  kScore,
  kCoins,
  kPowerUp,
  kWarp,
  kStall,
  kPath,
};
constexpr int kTermKinds = 11;

// Pixels that are left to the flag, by place (place_of in mario_envkit/game/path_progress.py).
using Places = std::unordered_map<std::int64_t, std::int64_t>;

struct RewardTerm {
  TermKind kind;
  double amount = 0;    // penalty of kDeath and kStall, bonus of kFlag and kWarp, weight of the others
  bool option = false;  // kProgress: per area; kFlag: once an episode
  std::shared_ptr<const Places> places = {};  // kPath, which has some
};

struct RewardSpec {
  std::vector<RewardTerm> terms;
  double scale = 1;
  bool clipped = false;
  double low = 0, high = 0;
};

// What one game's reward remembers from frame to frame.
class RewardState {
 public:
  void start(const RewardSpec& spec, const GameState& state);

  // The reward of the frame that led to `state`; parts[i] receives the share of term i before
  // scale and clip.
  double frame(const RewardSpec& spec, const GameState& state, double* parts);

  // What a stall adds to the reward of its step, beside the clip, and to the parts.
  static double stall(const RewardSpec& spec, double* parts);

  using Memory = std::array<std::int64_t, 2>;  // of one term; its unused numbers are zero
  const std::vector<Memory>& memory() const { return memory_; }
  std::vector<Memory>& memory() { return memory_; }

 private:
  static Memory initial(const RewardTerm& term, const GameState& state);
  static double evaluate(const RewardTerm& term, Memory& memory, const GameState& state);

  std::vector<Memory> memory_;
};

}  // namespace mario
