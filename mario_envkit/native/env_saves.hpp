// An environment of a pool as plain numbers: what Python keeps, and files hold, of a SavedEnv.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "game_env.hpp"

namespace mario {

// World and stage of the episode, frames, world and stage now, flag seen, stages cleared; then of
// the stall limit: world, stage and area of the furthest place, best x, steps without anything new;
// and of the time limit the steps so far. (SAVED_PROGRESS in vector/pool.py.)
constexpr int kProgressFields = 13;
// One row for each term of the reward.
constexpr int kMemoryFields = static_cast<int>(std::tuple_size_v<RewardState::Memory>);

void write_progress(const Progress& progress, std::int64_t* out);

// Everything but the stack's newest slot, which goes with the stack.
void read_progress(const std::int64_t* in, Progress& out);

void write_memory(const RewardState& reward, std::int64_t* out);
void read_memory(const std::int64_t* in, std::size_t terms, RewardState& out);

}  // namespace mario
