#include "reward.hpp"

#include <algorithm>
#include <cstddef>

namespace mario {

namespace {

// A jump of more pixels in a frame is a change of scene.
constexpr std::int64_t kFastest = 5;

// Pixels along a run that pay in a frame: MOST_GAINED.
constexpr std::int64_t kMostGained = 128;

// Of a place: in the air and under water, whatever the height. ANY_ROW.
constexpr std::int64_t kAnyRow = 63;

std::int64_t powerup_level(const GameState& state) {
  return std::min<std::int64_t>(state.powerup, 2);
}

std::int64_t stage_number(const GameState& state) { return state.world * 256 + state.stage; }

// As 7.4 reads it: one pixel beyond the left end of an area is 65,535.
std::int64_t unsigned_x(const GameState& state) { return state.x_pos & 0xffff; }

std::int64_t place_of(const GameState& state, std::int64_t row) {
  const std::int64_t stage = state.world * 64 + state.stage;
  return ((stage << 16 | state.area) << 12 | ((state.x_pos >> 4) + 16)) << 6 | row;
}

// Pixels to the flag from a place; -1 away from all runs.
std::int64_t pixels_left(const RewardTerm& term, const GameState& state, std::int64_t row) {
  const auto found = term.places->find(place_of(state, row));
  return found == term.places->end() ? -1 : found->second;
}

bool is_on_ground(const GameState& state) { return !state.airborne && !state.swimming; }

// Pixels to the flag; -1 if Mario is on no run. `sure`: what he stood on last was on one.
std::int64_t path_left(const RewardTerm& term, const GameState& state, bool sure) {
  if (is_on_ground(state)) return pixels_left(term, state, state.y_pos >> 4);
  return state.swimming || sure ? pixels_left(term, state, kAnyRow) : -1;
}

}  // namespace

RewardState::Memory RewardState::initial(const RewardTerm& term, const GameState& state) {
  switch (term.kind) {
    case TermKind::kDistance: return {unsigned_x(state), 0};
    case TermKind::kProgress: return {state.x_pos, state.area};
    case TermKind::kClock: return {state.time, 0};
    case TermKind::kScore: return {state.score, 0};
    case TermKind::kCoins: return {state.coins, 0};
    case TermKind::kPowerUp: return {powerup_level(state), 0};
    case TermKind::kWarp: return {stage_number(state), 0};
    case TermKind::kPath: {
      const std::int64_t left = path_left(term, state, true);
      const bool sure = left >= 0 || !is_on_ground(state);
      return {left, stage_number(state) * 2 + sure};
    }
    case TermKind::kDeath:
    case TermKind::kStall:
    case TermKind::kFlag: break;
  }
  return {0, 0};
}

double RewardState::evaluate(const RewardTerm& term, Memory& memory, const GameState& state) {
  switch (term.kind) {
    case TermKind::kDistance: {
      const std::int64_t moved = unsigned_x(state) - memory[0];
      memory[0] += moved;
      const bool walked = moved >= -kFastest && moved <= kFastest;
      return term.amount * (walked ? static_cast<double>(moved) : 0.0);
    }
    case TermKind::kProgress: {
      const std::int64_t moved = state.x_pos - memory[0];
      const bool entered = term.option && state.area != memory[1];
      if (moved > 0 || entered) memory[0] += moved;
      memory[1] = state.area;
      const bool gained = moved > 0 && moved <= kFastest && !entered;
      return term.amount * (gained ? static_cast<double>(moved) : 0.0);
    }
    case TermKind::kClock: {
      const std::int64_t ticks = state.time - memory[0];
      memory[0] = state.time;
      return term.amount * (ticks <= 0 ? static_cast<double>(ticks) : 0.0);
    }
    case TermKind::kDeath: return term.amount * static_cast<double>(state.dying | state.dead);
    case TermKind::kFlag: {
      const bool first = state.flag_get > memory[0];
      memory[0] = term.option ? memory[0] | state.flag_get : state.flag_get;
      return term.amount * static_cast<double>(first);
    }
    case TermKind::kScore: {
      const std::int64_t gained = state.score - memory[0];
      memory[0] = state.score;
      return term.amount * (gained > 0 ? static_cast<double>(gained) / 100 : 0.0);
    }
    case TermKind::kCoins: {
      std::int64_t gained = state.coins - memory[0];
      if (gained < -50) gained += 100;
      memory[0] = state.coins;
      return term.amount * (gained > 0 ? static_cast<double>(5 * gained) : 0.0);
    }
    case TermKind::kPowerUp: {
      const std::int64_t gained = powerup_level(state) - memory[0];
      memory[0] = powerup_level(state);
      return term.amount * static_cast<double>(5 * gained);
    }
    case TermKind::kWarp: {
      const bool left = stage_number(state) != memory[0];
      const bool warped = left && !memory[1];
      memory[0] = stage_number(state);
      memory[1] = state.flag_get | (left ? 0 : memory[1]);
      return term.amount * static_cast<double>(warped);
    }
    case TermKind::kPath: {
      const bool entered = stage_number(state) != memory[1] >> 1;
      bool sure = (memory[1] & 1) != 0 || entered;
      const std::int64_t left = path_left(term, state, sure);
      const bool gains = left >= 0 && memory[0] >= 0 && !entered && left < memory[0];
      const std::int64_t gained = gains ? std::min(memory[0] - left, kMostGained) : 0;
      if (entered || gains || (left >= 0 && memory[0] < 0)) memory[0] = left;
      if (is_on_ground(state)) sure = left >= 0 && left <= memory[0] + kMostGained;
      memory[1] = stage_number(state) * 2 + sure;
      return term.amount * static_cast<double>(gained);
    }
    case TermKind::kStall: break;  // no frame knows of it
  }
  return 0.0;
}

double RewardState::stall(const RewardSpec& spec, double* parts) {
  double paid = 0;
  for (std::size_t i = 0; i < spec.terms.size(); ++i) {
    const RewardTerm& term = spec.terms[i];
    if (term.kind != TermKind::kStall) continue;
    parts[i] += term.amount;
    paid += spec.scale * term.amount;
  }
  return paid;
}

void RewardState::start(const RewardSpec& spec, const GameState& state) {
  memory_.clear();
  for (const RewardTerm& term : spec.terms) memory_.push_back(initial(term, state));
}

double RewardState::frame(const RewardSpec& spec, const GameState& state, double* parts) {
  double total = 0;
  for (std::size_t i = 0; i < spec.terms.size(); ++i) {
    parts[i] = evaluate(spec.terms[i], memory_[i], state);
    total += parts[i];
  }
  total *= spec.scale;
  if (!spec.clipped) return total;
  const double up = (spec.low - total) * static_cast<double>(total < spec.low);
  const double down = (spec.high - total) * static_cast<double>(total > spec.high);
  return total + up + down;
}

}  // namespace mario
